"""The simulated cluster: store, API server, controllers and pods, and operators that come and go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import cache

from gradatim.apps.manifests import crds
from gradatim.core.settings import Settings
from gradatim.engine.clock import Clock
from gradatim.ports.objects import Manifest, Ref
from gradatim.sim.api import Api
from gradatim.sim.builtin import install
from gradatim.sim.controllers import Controllers
from gradatim.sim.crds import DEFINITION, Definitions
from gradatim.sim.garbage import Garbage
from gradatim.sim.namespaces import Namespaces, namespace
from gradatim.sim.pods.instant import InstantPods
from gradatim.sim.store import Store
from simulated.outside import PROMETHEUS, Outside
from simulated.process import Process
from simulated.space import Space
from simulated.systems import definitions

EPOCH = 1_790_000_000.0
"""Unix time when the loop's clock is at zero."""

NODES = ("node-1", "node-2", "node-3")


class Cluster:
    """A cluster at work."""

    def __init__(self, store: Store, pods: InstantPods) -> None:
        self.store = store
        self.api = Api(store)
        self.pods = pods
        loop = asyncio.get_running_loop()
        self.clock = Clock(lambda: EPOCH + loop.time(), loop.time)
        self.outside = Outside(loop.time)

    def space(self, name: str) -> Space:
        """A namespace; it is created if it is not there."""
        if self.store.peek(namespace(name)) is None:
            self.store.create(namespace(name), {"metadata": {"name": name}})
        return Space(self.api, self.outside, name)

    def define(self, manifests: Iterable[Manifest]) -> None:
        """Serve more custom resources."""
        for manifest in manifests:
            self.store.create(Ref(DEFINITION, "", manifest["metadata"]["name"]), manifest)

    def start(self, *, crash_after: int | None = None, settings: Settings | None = None) -> Process:
        """An operator at work, to be ended with `stop` or `kill`."""
        settings = settings or Settings(mesh_provider="nginx", metrics_server=PROMETHEUS)
        process = Process(self.api, self.outside, self.clock, settings, crash_after=crash_after)
        process.start()
        return process

    @asynccontextmanager
    async def operator(
        self, *, crash_after: int | None = None, settings: Settings | None = None
    ) -> AsyncIterator[Process]:
        """An operator for as long as the block lasts; it is killed in the end, which no test may notice."""
        process = self.start(crash_after=crash_after, settings=settings)
        try:
            yield process
        finally:
            await process.kill()

    @asynccontextmanager
    async def crashing_operator(
        self, *crashes: int, pause: float = 1.0, settings: Settings | None = None
    ) -> AsyncIterator[list[Process]]:
        """Operators one after the other: each crashes after so many writes, the last one lives. Gives all so far."""
        started: list[Process] = []

        async def supervise() -> None:
            for crash_after in crashes:
                started.append(self.start(crash_after=crash_after, settings=settings))
                await started[-1].crashed()
                await started[-1].kill()
                await asyncio.sleep(pause)
            started.append(self.start(settings=settings))

        supervisor = asyncio.create_task(supervise())
        try:
            yield started
        finally:
            supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await supervisor
            for process in started:
                await process.kill()


@asynccontextmanager
async def simulated(*systems: str, pods: InstantPods | None = None, seed: int = 1) -> AsyncIterator[Cluster]:
    """A cluster for as long as the block lasts, with the custom resources of `gatewayapi`, `traefik` or `keda`."""
    loop = asyncio.get_running_loop()
    store = Store(lambda: EPOCH + loop.time(), chance=random.Random(seed))
    install(store)
    Definitions(store)
    Garbage(store)
    Namespaces(store).begin()
    cluster = Cluster(store, pods or InstantPods())
    cluster.define(_ours())
    for system in systems:
        cluster.define(definitions(system))
    controllers = asyncio.create_task(Controllers(store, cluster.pods, nodes=NODES).run())
    try:
        yield cluster
    finally:
        controllers.cancel()
        with suppress(asyncio.CancelledError):
            await controllers
        cluster.api.close()


@cache
def _ours() -> tuple[Manifest, ...]:
    return tuple(crds())
