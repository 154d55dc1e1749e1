"""Each contract test runs once on the real API server and once on the simulator."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from cluster.client import CRD, NAMESPACE, Client
from cluster.contract.servers import NAMES, WIDGETS, Server
from cluster.crds import install, ours
from cluster.fixtures import Cluster
from cluster.kubectl import Kubectl
from cluster.namespaces import make_namespace
from cluster.simulated import simulated


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The real half needs the control plane; the fixture asks for it only when it runs."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec and callspec.params.get("server") == "real":
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest_asyncio.fixture(params=NAMES)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """An API server with the widgets installed and a fresh namespace."""
    if request.param == "sim":
        async with _sim() as server:
            yield server
    else:
        async with _real(request.getfixturevalue("cluster")) as server:
            yield server


@asynccontextmanager
async def _real(cluster: Cluster) -> AsyncIterator[Server]:
    async def forget_history() -> None:
        cluster.plane.forget_history()

    async with Client(cluster.plane.admin) as client:
        if await _install(client):
            cluster.plane.restart_controllers()  # so that they collect garbage of the new kind from now on
        namespace = await make_namespace(client, f"t-{secrets.token_hex(4)}")
        yield Server("real", client, namespace, forget_history, cluster.plane.admin.kubeconfig)
        await client.delete(NAMESPACE, "", namespace)


@asynccontextmanager
async def _sim() -> AsyncIterator[Server]:
    async with simulated() as simulator, Client(url=simulator.url) as client:

        async def forget_history() -> None:
            simulator.api.compact()

        def kubeconfig(path: Path) -> Path:
            config = {
                "clusters": [{"name": "sim", "cluster": {"server": simulator.url}}],
                "contexts": [{"name": "sim", "context": {"cluster": "sim", "user": ""}}],
                "current-context": "sim",
            }
            path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
            return path

        await _install(client)
        namespace = await make_namespace(client, f"t-{secrets.token_hex(4)}")
        yield Server("sim", client, namespace, forget_history, kubeconfig)


async def _install(client: Client) -> bool:
    """The widgets, where they are not there yet."""
    if await client.find(CRD, "", WIDGETS["metadata"]["name"]) is not None:
        return False
    await install(client, [WIDGETS])
    return True


@pytest_asyncio.fixture
async def own(server: Server) -> Server:
    """The same, with our own definitions."""
    found = [await server.client.find(CRD, "", one["metadata"]["name"]) for one in ours()]
    if None in found:
        await install(server.client, ours())
    return server


@pytest.fixture
def kubectl(server: Server, tmp_path: Path) -> Kubectl:
    """A kubectl in the namespace of this test."""
    return Kubectl(server.kubeconfig(tmp_path / "kubeconfig"), server.namespace)
