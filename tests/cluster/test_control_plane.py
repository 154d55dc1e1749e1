"""The control plane that the other tests stand on does what a cluster does."""

from __future__ import annotations

import os

import pytest

from cluster.client import NODE, POD, Client, path
from cluster.fixtures import Cluster
from cluster.namespaces import until
from gradatim.ports.objects import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, Manifest

TEMPLATE: Manifest = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "shop", "image": "shop:1"}]},
}


def workload(kind: str, **spec: object) -> Manifest:
    selector = {"matchLabels": {"app": "shop"}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "shop"},
        "spec": {"selector": selector, "template": TEMPLATE, **spec},
    }


@pytest.mark.asyncio
async def test_a_deployment_gets_ready_pods_with_addresses_and_loses_them(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    await admin.create(DEPLOYMENT, namespace, workload("Deployment", replicas=2))

    async def ready(count: int) -> bool:
        return bool((await admin.get(DEPLOYMENT, namespace, "shop"))["status"].get("readyReplicas", 0) == count)

    await until(lambda: ready(2), "two ready pods")
    pods = await admin.items(POD, namespace)
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 2
    assert all(address.startswith("10.1.") for address in addresses)
    serving = [cluster.nodes.serving[address]["metadata"]["uid"] for address in addresses]
    assert sorted(serving) == sorted(pod["metadata"]["uid"] for pod in pods)

    await admin.merge(DEPLOYMENT, namespace, "shop", {"spec": {"replicas": 0}}, "scale")
    await until(lambda: _none(admin, namespace), "no pods")


@pytest.mark.asyncio
async def test_a_broken_image_never_becomes_ready(admin: Client, namespace: str) -> None:
    broken = workload("Deployment", replicas=1, progressDeadlineSeconds=2)
    broken["spec"]["template"] = {
        "metadata": TEMPLATE["metadata"],
        "spec": {"containers": [{"name": "shop", "image": "broken:2"}]},
    }
    await admin.create(DEPLOYMENT, namespace, broken)

    async def deadline_exceeded() -> bool:
        status = (await admin.get(DEPLOYMENT, namespace, "shop")).get("status", {})
        return any(one["reason"] == "ProgressDeadlineExceeded" for one in status.get("conditions", ()))

    await until(deadline_exceeded, "the Deployment gives up")
    (pod,) = await admin.items(POD, namespace)
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"


@pytest.mark.asyncio
async def test_a_daemon_set_scales_to_zero_by_a_selector_that_no_node_has(admin: Client, namespace: str) -> None:
    await admin.create(DAEMON_SET, namespace, workload("DaemonSet"))
    nodes = len(await admin.items(NODE))

    async def ready(count: int) -> bool:
        status = (await admin.get(DAEMON_SET, namespace, "shop"))["status"]
        return bool(status.get("observedGeneration") and status["numberReady"] == count)

    await until(lambda: ready(nodes), "a ready pod on every node")
    assert {pod["spec"]["nodeName"] for pod in await admin.items(POD, namespace)} == {"node-1", "node-2", "node-3"}

    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"no-such": "node"}}}}}
    await admin.merge(DAEMON_SET, namespace, "shop", nowhere)
    await until(lambda: _none(admin, namespace), "no pods")


@pytest.mark.asyncio
async def test_access_rules_are_enforced(cluster: Cluster, namespace: str) -> None:
    async with Client(cluster.plane.user("nobody-special")) as client:
        answer = await client.ask("GET", path(CONFIG_MAP, namespace))
    assert (answer.status, answer.reason) == (403, "Forbidden")


@pytest.mark.asyncio
async def test_the_server_calls_itself_by_its_pinned_version(admin: Client) -> None:
    from cluster.binaries import version

    assert (await admin.must("GET", "/version"))["gitVersion"] == version("kubernetes")


@pytest.mark.asyncio
async def test_the_api_server_survives_a_crash_and_so_do_the_nodes(
    cluster: Cluster, admin: Client, namespace: str
) -> None:
    await admin.create(DEPLOYMENT, namespace, workload("Deployment", replicas=1))
    cluster.plane.kill_api_server()
    cluster.plane.restart_api_server()
    async with Client(cluster.plane.admin) as fresh:
        await fresh.merge(DEPLOYMENT, namespace, "shop", {"spec": {"replicas": 2}})

        async def ready() -> bool:
            return bool((await fresh.get(DEPLOYMENT, namespace, "shop"))["status"].get("readyReplicas") == 2)

        await until(ready, "both pods ready after the restart", seconds=30)


async def _none(client: Client, namespace: str) -> bool:
    return not await client.items(POD, namespace)


def test_all_that_need_it_go_to_one_worker(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Else each worker starts a control plane of its own, and plays again what a module plays once."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    grouped = request.config.getoption("loadgroup", default=False)
    assert workers == 1 or not grouped or request.node.nodeid.endswith("@cluster")
