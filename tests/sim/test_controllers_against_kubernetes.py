"""The same stories on the simulator and on a real kube-controller-manager: after each step both must show the same.

Times and generated names are left out; numbers, conditions with their reasons and messages, revisions and the order
of the reasons of Progressing are compared. Of endpoints only the ready ones: the stand-in for the kubelet gives broken
pods no address. Of the reasons not ReplicaSetUpdated and NewReplicaSetCreated: the real controller passes over them
when it is quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from cluster_in_time import cluster as cluster_in_time
from cluster_in_time import deployment, rolling

from cluster.client import NAMESPACE, Client, path
from cluster.namespaces import make_namespace
from gradatim.ports.objects import DAEMON_SET, DEPLOYMENT, ENDPOINT_SLICE, SERVICE, Manifest, Ref, Resource
from gradatim.sim.builtin.catalogue import ENDPOINTS, REPLICA_SET
from virtual_loop import VirtualLoop

QUIET = 1.7
"""Seconds (real) without a change after which a step counts as done."""

List = Callable[[Resource], Awaitable[list[Manifest]]]
Step = dict[str, Any]


NODES = ("node-1", "node-2", "node-3")


class Story(msgspec.Struct, frozen=True):
    """A Deployment and merge patches of its spec; `after` is how long a step needs beside what comes by itself."""

    spec: dict[str, Any]
    steps: tuple[Step, ...]
    replicas: int = 3
    after: float = 0.0


def image(name: str) -> Step:
    """The patch that `kubectl set image` makes."""
    return {"template": {"spec": {"containers": [container(name)]}}}


def container(image: str) -> Manifest:
    return {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}


STORIES = {
    "an update, a way back, another update": Story({}, (image("hello:v2"), image("hello:v1"), image("hello:v3"))),
    "surge only": Story({"strategy": rolling("100%", 0)}, (image("hello:v2"),), replicas=4),
    "unavailable only": Story({"strategy": rolling(0, 2)}, (image("hello:v2"),), replicas=4),
    "recreate": Story({"strategy": {"type": "Recreate"}}, (image("hello:v2"), {"replicas": 1}, image("hello:v3"))),
    "scaling": Story({}, ({"replicas": 5}, {"replicas": 0}, image("hello:v2"), {"replicas": 2}, {"replicas": 1})),
    "a broken revision": Story({"progressDeadlineSeconds": 5}, (image("broken:2"), image("hello:v3")), after=7.0),
    "a broken revision, given up": Story(
        {"progressDeadlineSeconds": 5}, (image("broken:2"), image("hello:v1")), after=7.0
    ),
    "a broken revision, scaled": Story(
        {"strategy": rolling(3, 2)},
        (image("broken:2"), {"replicas": 15}, {"replicas": 6}, image("hello:v1")),
        replicas=10,
    ),
    "paused": Story(
        {},
        ({"paused": True}, image("hello:v2"), {"replicas": 4}, {"paused": False}, {"paused": True}, {"paused": False}),
    ),
    "available late": Story({"minReadySeconds": 2}, (image("hello:v2"),), after=3.0),
    "a short history": Story({"revisionHistoryLimit": 1}, tuple(image(f"hello:v{n}") for n in range(2, 5)), replicas=1),
    "no deadline": Story({"progressDeadlineSeconds": 2**31 - 1}, (image("broken:2"), image("hello:v3"))),
}  # fmt: skip


def service(name: str = "hello") -> Manifest:
    """A Service for the story's pods."""
    ports = [{"name": "web", "port": 80, "targetPort": 8080}, {"name": "more", "port": 81, "targetPort": 5000}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def first(story: Story) -> Manifest:
    made = deployment(replicas=story.replicas, **story.spec)
    return {"apiVersion": "apps/v1", "kind": "Deployment", **made}


async def seen(list_: List) -> dict[str, Any]:
    """What both worlds show, without times and generated names."""
    [made] = await list_(DEPLOYMENT)
    status = dict(made.get("status", {}))
    conditions = {each["type"]: each for each in status.pop("conditions", ())}
    every = await list_(REPLICA_SET)
    revision = "deployment.kubernetes.io/revision"
    return {
        "generation": made["metadata"]["generation"],
        "annotations": made["metadata"]["annotations"],
        "status": status,
        "conditions": {
            kind: (each["status"], each["reason"], re.sub('".*"', '"…"', each["message"]))
            for kind, each in conditions.items()
        },
        "replica sets": {each["metadata"]["annotations"][revision]: replica_set(each) for each in every},
        "slices": [
            (
                sorted((port["name"], port["port"]) for port in each["ports"] or ()),
                [e["conditions"] for e in each["endpoints"] or () if e["conditions"]["ready"]],
            )
            for each in await list_(ENDPOINT_SLICE)
        ],
        "endpoints": [
            len(subset["addresses"])
            for each in await list_(ENDPOINTS)
            for subset in each.get("subsets", ())
            if "addresses" in subset
        ],
    }


def replica_set(each: Manifest) -> Any:
    """Without its generation: how many steps it took depends on when pods get ready."""
    status = {key: value for key, value in each["status"].items() if key != "observedGeneration"}
    return each["spec"]["replicas"], status, each["metadata"]["annotations"]


def note(reasons: list[str], obj: Manifest) -> None:
    """Remember each new reason of Progressing."""
    for each in obj.get("status", {}).get("conditions", ()):
        news = each["type"] == "Progressing" and reasons[-1:] != [each["reason"]]
        if news and each["reason"] not in ("ReplicaSetUpdated", "NewReplicaSetCreated"):
            reasons.append(each["reason"])


async def simulated(story: Story) -> list[Any]:
    """Tell a story to the simulator, on virtual time."""
    async with cluster_in_time(ready_after=0.5, stop_after=1.0) as world:
        reasons: list[str] = []
        ref = Ref(DEPLOYMENT, "test", "hello")
        world.store.subscribe(lambda event: note(reasons, event.object) if event.ref == ref else None)

        async def list_(resource: Resource) -> list[Manifest]:
            return world.store.list(resource, "test")

        world.apply(SERVICE, service())
        world.apply(DEPLOYMENT, first(story))
        shown = []
        for step in (None, *story.steps):
            if step is not None:
                world.change(ref, lambda obj, step=step: merge(obj["spec"], step))
            await asyncio.sleep(60 if "progressDeadlineSeconds" not in story.spec else story.after + 3)
            shown.append((await seen(list_), list(reasons)))
        return shown


def merge(target: Manifest, patch: Manifest) -> None:
    """A JSON merge patch."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


async def real(client: Client, namespace: str, story: Story) -> list[Any]:
    """Tell a story to the real control plane and wait after each step until nothing moves."""

    async def list_(resource: Resource) -> list[Manifest]:
        return await client.items(resource, namespace)

    reasons: list[str] = []
    await client.create(SERVICE, namespace, service())
    await client.create(DEPLOYMENT, namespace, first(story))
    watching = asyncio.create_task(follow(client, namespace, reasons))
    try:
        shown = []
        for step in (None, *story.steps):
            if step is not None:
                await client.merge(DEPLOYMENT, namespace, "hello", {"spec": step})
            await asyncio.sleep(story.after * 3)  # a deadline may pass late on a busy machine
            shown.append((await settled(list_), list(reasons)))
        return shown
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def follow(client: Client, namespace: str, reasons: list[str]) -> None:
    """Note every reason that the watch shows."""
    async with client.watching(path(DEPLOYMENT, namespace), resourceVersion="0") as events:
        async for event in events:
            note(reasons, event["object"])


async def settled(list_: List) -> dict[str, Any]:
    """What is seen once it has not changed for a while, and no pod is on its way out."""

    async def look() -> tuple[dict[str, Any], bool]:
        found = await seen(list_)
        status = found["status"]
        ends = not status.get("terminatingReplicas")
        return found, ends and status.get("observedGeneration") == found["generation"]

    return await quiet(look)


async def quiet(look: Callable[[], Awaitable[tuple[Any, bool]]]) -> Any:
    """Look until the same has been seen for a while, with the generation observed."""
    loop = asyncio.get_running_loop()
    (last, observed), since = await look(), loop.time()
    async with asyncio.timeout(90):
        while loop.time() - since < QUIET or not observed:
            await asyncio.sleep(0.1)
            now, observed = await look()
            if now != last:
                last, since = now, loop.time()
    return last


def differences(mine: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Every leaf that differs, by its place."""
    if isinstance(mine, dict) and isinstance(wanted, dict):
        for key in sorted(mine.keys() | wanted.keys()):
            yield from differences(mine.get(key), wanted.get(key), f"{where}/{key}")
    elif isinstance(mine, (list, tuple)) and isinstance(wanted, (list, tuple)) and len(mine) == len(wanted):
        for index, pair in enumerate(zip(mine, wanted, strict=True)):
            yield from differences(*pair, f"{where}/{index}")
    elif mine != wanted:
        yield f"{where}: ours {mine!r}, the real one {wanted!r}"


async def compared(admin: Client, name: str) -> list[str]:
    """One story in a namespace of its own; where the two worlds differ."""
    namespace = await make_namespace(admin, f"t-{secrets.token_hex(4)}")
    theirs = await real(admin, namespace, STORIES[name])
    ours = await asyncio.to_thread(VirtualLoop.run, simulated(STORIES[name]))
    await admin.delete(NAMESPACE, "", namespace)
    return list(differences(ours, theirs, name))


@pytest.mark.asyncio
async def test_deployments_go_the_same_way_as_on_a_real_cluster(admin: Client) -> None:
    """All stories at once, each in its namespace: state after every step, and Progressing's reasons in order."""
    found = await asyncio.gather(*(compared(admin, name) for name in STORIES))
    assert not (lines := [line for each in found for line in each]), "\n".join(lines)


DAEMON_STEPS: tuple[Step, ...] = (
    image("hello:v2"),
    {"template": {"spec": {"nodeSelector": {"nobody": "true"}}}},
    {"template": {"spec": {"nodeSelector": {"nobody": None}}}},
    image("broken:2"),
    image("hello:v3"),
    {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}, **image("hello:v4")},
)


def daemon_set() -> Manifest:
    spec = deployment()["spec"]
    kept = {key: spec[key] for key in ("selector", "template")}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "hello"}, "spec": kept}


async def simulated_daemon_set() -> list[Manifest]:
    """The status after each step, on virtual time."""
    async with cluster_in_time(nodes=NODES, ready_after=0.5, stop_after=1.0) as world:
        ref, shown = world.apply(DAEMON_SET, daemon_set()), []
        for step in ({}, *DAEMON_STEPS):
            world.change(ref, lambda obj, step=step: merge(obj["spec"], step))
            await asyncio.sleep(60)
            shown.append(world.status(ref))
        return shown


async def real_daemon_set(client: Client, namespace: str) -> list[Manifest]:
    """The status after each step, once it has stayed the same for a while."""
    shown: list[Manifest] = []
    await client.create(DAEMON_SET, namespace, daemon_set())
    for step in ({}, *DAEMON_STEPS):
        await client.merge(DAEMON_SET, namespace, "hello", {"spec": step})

        async def look() -> tuple[Manifest, bool]:
            obj = await client.get(DAEMON_SET, namespace, "hello")
            status = obj.get("status", {})
            return status, status.get("observedGeneration") == obj["metadata"]["generation"]

        shown.append(await quiet(look))
    return shown


@pytest.mark.asyncio
async def test_a_daemon_set_counts_its_pods_as_on_a_real_cluster(admin: Client, namespace: str) -> None:
    """Update, no fitting node, back, a broken revision, a good one, and one that waits for deletions."""
    theirs = await real_daemon_set(admin, namespace)
    ours = await asyncio.to_thread(VirtualLoop.run, simulated_daemon_set())
    assert not (lines := list(differences(ours, theirs))), "\n".join(lines)
