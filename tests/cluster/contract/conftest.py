"""Each contract test runs once on the real API server and once on the simulator."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cluster.client import CRD, NAMESPACE, Client
from cluster.contract.servers import NAMES, WIDGETS, Server
from cluster.crds import install
from cluster.fixtures import Cluster
from cluster.namespaces import make_namespace


@pytest_asyncio.fixture(params=NAMES)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """An API server with the widgets installed and a fresh namespace."""
    cluster: Cluster = request.getfixturevalue("cluster")

    async def forget_history() -> None:
        cluster.plane.forget_history()

    async with Client(cluster.plane.admin) as client:
        if await client.find(CRD, "", WIDGETS["metadata"]["name"]) is None:
            await install(client, [WIDGETS])
        namespace = await make_namespace(client, f"t-{secrets.token_hex(4)}")
        yield Server(request.param, client, namespace, forget_history)
        await client.delete(NAMESPACE, "", namespace)
