"""A cluster of pretended pods on virtual time: a store with its controllers, and words to talk about both."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim.builtin import install
from gradatim.sim.builtin.catalogue import POD, REPLICA_SET
from gradatim.sim.controllers import Controllers
from gradatim.sim.garbage import Garbage
from gradatim.sim.pods.instant import InstantPods
from gradatim.sim.store import Store

EPOCH = 1_700_000_000.0


class Cluster:
    """The store, and shorthands to write and to look."""

    def __init__(self, store: Store, controllers: Controllers) -> None:
        self.store = store
        self.controllers = controllers

    def apply(self, resource: Resource, obj: Manifest, namespace: str = "test") -> Ref:
        """Create an object."""
        ref = Ref(resource, namespace if resource.namespaced else "", obj["metadata"]["name"])
        self.store.create(ref, {"apiVersion": resource.api_version, "kind": resource.kind, **obj})
        return ref

    def change(self, ref: Ref, change: Callable[[Manifest], Any]) -> None:
        """Change an object."""
        self.store.mutate(ref, change)

    def set_image(self, ref: Ref, image: str) -> None:
        """What `kubectl set image` does."""
        self.change(ref, lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image=image))

    def scale(self, ref: Ref, replicas: int) -> None:
        """What `kubectl scale` does."""
        self.change(ref, lambda obj: obj["spec"].update(replicas=replicas))

    def status(self, ref: Ref) -> Manifest:
        """An object's status."""
        status: Manifest = self.store.get(ref).get("status") or {}
        return status

    def conditions(self, ref: Ref) -> dict[str, tuple[str, str]]:
        """Status and reason of every condition."""
        return {each["type"]: (each["status"], each["reason"]) for each in self.status(ref).get("conditions", ())}

    def pods(self, **labels: str) -> list[Manifest]:
        """The pods with some labels."""
        every = self.store.list(POD)
        return [pod for pod in every if labels.items() <= pod["metadata"]["labels"].items()]

    def sizes(self) -> list[int]:
        """`spec.replicas` of the ReplicaSets, by revision."""
        key = "deployment.kubernetes.io/revision"
        every = sorted(self.store.list(REPLICA_SET), key=lambda each: int(each["metadata"]["annotations"][key]))
        return [each["spec"]["replicas"] for each in every]


@contextlib.asynccontextmanager
async def cluster(*, nodes: tuple[str, ...] = ("node-1", "node-2"), **pods: Any) -> AsyncIterator[Cluster]:
    """A running cluster; the other arguments are those of InstantPods."""
    loop = asyncio.get_running_loop()
    store = Store(lambda: EPOCH + loop.time(), chance=random.Random(7))
    install(store)
    Garbage(store)
    controllers = Controllers(store, InstantPods(**pods), nodes=nodes)
    task = asyncio.create_task(controllers.run())
    await asyncio.sleep(0)
    try:
        yield Cluster(store, controllers)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def deployment(name: str = "hello", replicas: int = 3, image: str = "hello:v1", **spec: Any) -> Manifest:
    """A Deployment; keyword arguments go into its spec."""
    return {
        "metadata": {"name": name, "annotations": {"example.com/team": "a"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image, "ports": [{"containerPort": 8080}]}]},
            },
            **spec,
        },
    }


def rolling(surge: int | str, unavailable: int | str) -> Manifest:
    """A rolling update strategy."""
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
