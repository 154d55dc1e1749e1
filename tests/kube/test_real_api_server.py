"""The same code against a real kube-apiserver: what our own fake server may have misunderstood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.control_plane import Credentials
from cluster.fixtures import Cluster
from gradatim.kube import errors
from gradatim.kube.auth import load
from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.http import HttpTransport
from gradatim.kube.lease import Lease, Terms
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import CANARY, CONFIG_MAP, DEPLOYMENT, METRIC_TEMPLATE, Manifest, Ref, Resource

from .http_servers import Proxy
from .world import Heard, canary

pytestmark = pytest.mark.asyncio

OWNER = canary("owner")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


@asynccontextmanager
async def connected(folder: Path, user: Credentials, proxy: str = "") -> AsyncIterator[Client]:
    """A client made as the operator makes it: from a kubeconfig."""
    access = load(str(user.kubeconfig(folder / f"{user.user}.yaml")))
    if proxy:
        access = type(access)(access.server, access.credentials, access.ca, proxy=f"http://{proxy}")
    transport = HttpTransport(access, {})
    try:
        yield Client(transport, Limiter(0), time.monotonic, "gradatim/test", timeout=10)
    finally:
        await transport.close()


@asynccontextmanager
async def caching(client: Client, heard: Heard, **settings: Any) -> AsyncIterator[Cache]:
    cache = Cache(client, time.monotonic, "", heard, **settings)
    try:
        yield cache
    finally:
        await cache.close()


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (another process is at work)
            await asyncio.sleep(0.02)


def config_map(ref: Ref, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ref.name}, "data": data}


def version(manifest: Manifest | None) -> str:
    return str(manifest["metadata"].get("resourceVersion", "")) if manifest else ""


async def test_verbs_and_refusals(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    ref = Ref(CONFIG_MAP, namespace, "settings")
    async with connected(tmp_path, cluster.plane.admin) as kube:
        assert (await kube.version())["major"] == "1"
        assert version(await kube.create(ref, config_map(ref), dry_run=True)) == ""
        made = await kube.create(ref, config_map(ref, a="1"))
        with pytest.raises(errors.AlreadyExists) as exists:
            await kube.create(ref, config_map(ref))
        assert exists.value.message == 'configmaps "settings" already exists'
        await kube.patch(ref, {"data": {"b": "2"}})
        await kube.patch(ref, [{"op": "add", "path": "/data/c", "value": "3"}], kind="json")
        await kube.patch(ref, {"data": {"d": "4"}}, kind="strategic")
        with pytest.raises(errors.Conflict, match="the object has been modified"):
            await kube.replace(ref, made)
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ref.name}, "data": {"a": "9"}}
        with pytest.raises(errors.Conflict, match="conflict"):
            await kube.patch(ref, applied, kind="apply", field_manager="somebody")
        await kube.patch(ref, applied, kind="apply", field_manager="somebody", force=True)
        found = await kube.get(ref)
        assert found["data"] == {"a": "9", "b": "2", "c": "3", "d": "4"}
        assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"flagger", "somebody"}
        with pytest.raises(errors.Invalid, match="Invalid value"):
            await kube.create(Ref(CONFIG_MAP, namespace, "No_Name"), config_map(Ref(CONFIG_MAP, namespace, "No_Name")))
        with pytest.raises(errors.Conflict):
            await kube.delete(ref, uid="another")
        await kube.delete(ref, uid=found["metadata"]["uid"], propagation="Background", grace=0)
        with pytest.raises(errors.NotFound) as missing:
            await kube.get(ref)
        assert (missing.value.message, missing.value.served) == ('configmaps "settings" not found', True)
        for unknown in (
            Resource("nobody.example", "v1", "things", "Thing"),
            Resource("apps", "v1", "things", "Thing"),
        ):
            with pytest.raises(errors.NotFound) as unserved:
                await kube.served(unknown)
            assert not unserved.value.served


async def test_lists_of_several_pages(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async with connected(tmp_path, cluster.plane.admin) as kube:
        refs = [Ref(CONFIG_MAP, namespace, f"m{number}") for number in range(7)]
        await asyncio.gather(*(kube.create(ref, config_map(ref)) for ref in refs))
        found = await kube.list(CONFIG_MAP, namespace, field_selector="metadata.name!=m3", limit=2)
        assert [item["metadata"]["name"] for item in found] == ["m0", "m1", "m2", "m4", "m5", "m6"]
        assert {item["kind"] for item in found} == {"ConfigMap"}


@pytest.mark.parametrize("watch_list", [False, True])
async def test_the_cache_follows_and_finds_what_happened_while_it_was_cut_off(
    cluster: Cluster, namespace: str, tmp_path: Path, watch_list: bool
) -> None:
    proxy, heard = Proxy(), Heard()
    kept, dropped, later = (Ref(CONFIG_MAP, namespace, name) for name in ("kept", "dropped", "later"))
    async with (
        connected(tmp_path, cluster.plane.admin) as user,
        proxy.running() as address,
        connected(tmp_path, cluster.plane.admin, address) as kube,
        caching(kube, heard, watch_list=watch_list) as cache,
    ):
        for ref in (kept, dropped):
            await user.create(ref, config_map(ref))
        for ref in (kept, dropped, later):
            await cache.want(ref, OWNER)
        assert cache.get(later) is None
        assert kube.requests.get("list", 0) == (0 if watch_list else 1), "streaming lists are on in this version"
        proxy.cut()
        await user.delete(dropped)
        await user.create(later, config_map(later))
        await until(lambda: len(heard.changes) == 2)
        assert heard.take() == [(dropped, frozenset({OWNER})), (later, frozenset({OWNER}))]
        assert cache.get(dropped) is None
        cache.put(await kube.patch(kept, {"data": {"own": "write"}}), kept)
        written = await user.patch(later, {"data": {"x": "y"}})
        await until(lambda: version(cache.get(later)) == version(written))
        assert heard.take() == [(later, frozenset({OWNER}))], "no echo of the own write"
        assert cache.counts()[CONFIG_MAP].lists == 1


@pytest.mark.parametrize("watch_list", [False, True])
async def test_history_that_was_compacted_away_is_made_good_by_a_new_list(
    cluster: Cluster, namespace: str, tmp_path: Path, watch_list: bool
) -> None:
    proxy, heard = Proxy(), Heard()
    refs = [Ref(CONFIG_MAP, namespace, f"m{number}") for number in range(4)]
    async with (
        connected(tmp_path, cluster.plane.admin) as user,
        proxy.running() as address,
        connected(tmp_path, cluster.plane.admin, address) as kube,
        caching(kube, heard, watch_list=watch_list) as cache,
    ):
        for ref in refs:
            await user.create(ref, config_map(ref))
            await cache.want(ref, OWNER)
        proxy.refuse = True
        proxy.cut()
        await user.delete(refs[0])
        changed = await user.patch(refs[1], {"data": {"x": "y"}})
        cluster.plane.forget_history()
        cluster.plane.restart_api_server()  # its memory of recent versions goes with it
        proxy.refuse = False
        await until(lambda: cache.counts()[CONFIG_MAP].lists == 2, 60)
        assert cache.get(refs[0]) is None
        assert version(cache.get(refs[1])) == version(changed)
        assert sorted(heard.take()) == [(ref, frozenset({OWNER})) for ref in refs[:2]]


async def test_a_definition_installed_later_and_a_status_of_its_own(
    cluster: Cluster, namespace: str, tmp_path: Path, crds: Callable[..., None]
) -> None:
    heard, ref = Heard(), canary("podinfo", namespace)
    crds("own")
    async with connected(tmp_path, cluster.plane.admin) as kube, caching(kube, heard) as cache:
        for resource in (CANARY, METRIC_TEMPLATE):
            cache.watch_all(resource)
            await cache.synced(resource)
        spec = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "service": {"port": 80},
            "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10},
        }
        await kube.create(
            ref, {"apiVersion": CANARY.api_version, "kind": "Canary", "metadata": {"name": ref.name}, "spec": spec}
        )
        await until(lambda: ref in cache.list(CANARY))
        cache.put(await kube.patch(ref, {"status": {"phase": "Initializing"}}, subresource="status"), ref)
        kept = cache.get(ref)
        assert kept is not None
        assert kept["status"]["phase"] == "Initializing"
        await kube.delete(ref)
        await until(lambda: ref not in cache.list(CANARY))
        # Canaries of other tests may be on their way out in their own namespaces.
        assert {told for told in heard.take() if told[0].namespace == namespace} == {(ref, frozenset())}
        with pytest.raises(errors.NotFound, match=r"does not serve things\.nobody\.example"):
            await cache.want(Ref(Resource("nobody.example", "v1", "things", "Thing"), namespace, "x"), OWNER)


async def test_what_rbac_forbids_and_what_it_only_half_allows(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    ref, hidden = Ref(CONFIG_MAP, namespace, "settings"), Ref(DEPLOYMENT, namespace, "podinfo")
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    role = {"apiVersion": ROLE.api_version, "kind": "Role", "metadata": {"name": "half"}, "rules": rules}
    subject = {"kind": "User", "name": "half", "apiGroup": ROLE.group}
    binding = {
        "apiVersion": BINDING.api_version,
        "kind": "RoleBinding",
        "metadata": {"name": "half"},
        "roleRef": {"apiGroup": ROLE.group, "kind": "Role", "name": "half"},
        "subjects": [subject],
    }
    async with (
        connected(tmp_path, cluster.plane.admin) as user,
        connected(tmp_path, cluster.plane.user("half")) as kube,
        caching(kube, Heard()) as cache,
    ):
        await user.create(Ref(ROLE, namespace, "half"), role)
        await user.create(Ref(BINDING, namespace, "half"), binding)
        made = await user.create(ref, config_map(ref))

        async def allowed() -> bool:
            try:
                return bool(await kube.get(ref))
            except errors.Forbidden:
                return False

        await until_async(allowed)
        await cache.want(ref, OWNER)
        assert version(cache.get(ref)) == version(made)
        with pytest.raises(
            errors.Forbidden, match='User "half" cannot list resource "deployments" in API group "apps"'
        ):
            await cache.want(hidden, OWNER)
        with pytest.raises(errors.Forbidden, match='cannot delete resource "configmaps"'):
            await kube.delete(ref)


async def until_async(true: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 (another process is at work)
            await asyncio.sleep(0.05)


async def test_the_lease_is_handed_over(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async with connected(tmp_path, cluster.plane.admin) as kube:
        terms = Terms(duration=60, renew_deadline=15, retry=0.1)
        one, two = (Lease(kube, namespace, identity=name, terms=terms) for name in ("one", "two"))
        await one.acquire()
        holding = asyncio.create_task(one.hold())
        waiting = asyncio.create_task(two.acquire())
        await until(lambda: two.holder == "one")
        await asyncio.sleep(0.3)
        one.fence()
        assert not waiting.done()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        await one.release()
        async with asyncio.timeout(5):
            await waiting
        two.fence()
        with pytest.raises(errors.LeaseLost):
            one.fence()
