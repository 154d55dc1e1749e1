"""Fixtures around the real control plane, for every folder of tests.

One control plane serves a whole session; each test has a namespace of its own. Tests that use it carry the marker
`cluster`, and with `--dist loadgroup` all of them go to one worker of pytest-xdist, so that only one is started. A
machine that has none and cannot build one reports them as not run; with GRADATIM_REQUIRE_CLUSTER=1 they fail instead.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from cluster.client import Client
    from cluster.control_plane import ControlPlane
    from cluster.hooks import Hooks
    from cluster.nodes import Nodes
    from cluster.operator import Account, Operator
    from cluster.prometheus import Prometheus
    from gradatim.ports.objects import Manifest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs the control plane, directly or through another fixture.

    First of all: pytest-xdist reads the groups in the same hook, and does not see those that come after it.
    """
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Say loudly what was not run, as the last word: above the list of all skipped tests nobody would read it."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of pytest-xdist, whose reports go to the session that started it
        return
    reasons: Counter[str] = Counter()
    for report in reporter.getreports("skipped"):
        text = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if "NOT RUN: " in text:
            reasons[text.partition("NOT RUN: ")[2]] += 1
    for reason, count in reasons.items():
        reporter.section("NOT RUN", sep="!", red=True, bold=True)
        reporter.line(f"{count} tests were not run: {reason}", red=True)


def not_run(reason: str) -> NoReturn:
    """This test cannot run on this machine: say so loudly, or fail where it is required."""
    if os.environ.get("GRADATIM_REQUIRE_CLUSTER") == "1":
        pytest.fail(f"required here (GRADATIM_REQUIRE_CLUSTER=1), but {reason}", pytrace=False)
    pytest.skip(f"NOT RUN: {reason}")


@dataclass(frozen=True)
class Cluster:
    """The control plane of this session and its pretended nodes."""

    plane: ControlPlane
    nodes: Nodes


@pytest.fixture(scope="session")
def control_plane_programs(pytestconfig: pytest.Config) -> Path:
    """The folder with etcd, kube-apiserver and kube-controller-manager, built on first use."""
    from cluster import binaries

    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            return binaries.find()
    except binaries.NotAtHand as error:
        not_run(str(error))


@pytest.fixture(scope="session")
def cluster(control_plane_programs: Path) -> Iterator[Cluster]:
    """A real control plane with three pretended nodes, started once."""
    from cluster.control_plane import ControlPlane
    from cluster.nodes import NodesThread

    with ControlPlane.start(control_plane_programs) as plane:
        thread = NodesThread(plane.admin)
        try:
            yield Cluster(plane, thread.nodes)
        finally:
            thread.stop()


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> Callable[..., None]:
    """Installs the definitions of other systems by name, and ours as `own`: `crds("gatewayapi", "own")`."""
    from cluster.binaries import NotAtHand
    from cluster.client import Client
    from cluster.crds import definitions, install, ours

    installed: set[str] = set()

    async def put(manifests: list[Manifest]) -> None:
        async with Client(cluster.plane.admin) as client:
            await install(client, manifests)

    def wanted(*systems: str) -> None:
        new = set(systems) - installed
        for system in new:
            try:
                manifests = ours() if system == "own" else definitions(system)
            except NotAtHand as error:
                not_run(str(error))
            # A thread of its own: the caller may be inside a running event loop.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, put(manifests)).result()
            installed.add(system)
        if new:
            cluster.plane.restart_controllers()  # so that they collect garbage of the new kinds from now on

    return wanted


@pytest_asyncio.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Client]:
    """The administrator's connection to the real API server."""
    from cluster.client import Client

    async with Client(cluster.plane.admin) as client:
        yield client


@pytest_asyncio.fixture
async def namespace(admin: Client) -> AsyncIterator[str]:
    """A namespace of this test's own, in which pods can be created at once."""
    from cluster.client import NAMESPACE
    from cluster.namespaces import make_namespace

    name = await make_namespace(admin, f"t-{secrets.token_hex(4)}")
    yield name
    await admin.delete(NAMESPACE, "", name)


@pytest_asyncio.fixture
async def prometheus() -> AsyncIterator[Prometheus]:
    """A Prometheus that answers as told."""
    from cluster.prometheus import Prometheus

    async with Prometheus(asyncio.get_running_loop().time) as server:
        yield server


@pytest_asyncio.fixture
async def hooks() -> AsyncIterator[Hooks]:
    """A receiver of hooks that answers as told."""
    from cluster.hooks import Hooks

    async with Hooks(asyncio.get_running_loop().time) as server:
        yield server


@pytest_asyncio.fixture
async def operators(
    cluster: Cluster, crds: Callable[..., None], admin: Client
) -> AsyncIterator[Callable[..., Awaitable[Operator]]]:
    """Starts operators by their flags, each with a service account of its own: `await operators(namespace=…)`.

    Underscores stand for dashes. All are killed at the end of the test.
    """
    from cluster.operator import Account, Operator

    crds("own")
    started: list[Operator] = []

    async def start(*, account: Account | None = None, server: str | None = None, **flags: str) -> Operator:
        account = account or await Account.install(cluster.plane, admin)
        given = {name.replace("_", "-"): value for name, value in flags.items()}
        started.append(await Operator.start(cluster.plane, admin, account, given, server=server))
        return started[-1]

    yield start
    for operator in started:
        operator.kill()
