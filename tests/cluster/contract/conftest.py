"""Each contract test runs once on the real API server and once on the simulator."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from cluster.client import CRD, NAMESPACE, Client
from cluster.contract.servers import NAMES, WIDGETS, Server
from cluster.crds import install
from cluster.fixtures import Cluster
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
        namespace = await _furnished(client)
        yield Server("real", client, namespace, forget_history)
        await client.delete(NAMESPACE, "", namespace)


@asynccontextmanager
async def _sim() -> AsyncIterator[Server]:
    async with simulated() as simulator, Client(url=simulator.url) as client:

        async def forget_history() -> None:
            simulator.api.compact()

        yield Server("sim", client, await _furnished(client), forget_history)


async def _furnished(client: Client) -> str:
    if await client.find(CRD, "", WIDGETS["metadata"]["name"]) is None:
        await install(client, [WIDGETS])
    return await make_namespace(client, f"t-{secrets.token_hex(4)}")
