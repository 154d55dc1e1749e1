"""One playground with everything in it: cluster, operator, users, and somebody who tests canaries before users come."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from gradatim.api.status import Phase
from gradatim.apps.playground.local_cluster import LocalCluster, local_cluster
from gradatim.apps.playground.program import operator_process
from gradatim.apps.playground.releases import APP, HOST, NAMESPACE, Release
from gradatim.apps.playground.user import TARGET, User
from gradatim.kube.errors import NotFound
from gradatim.ports.objects import DEPLOYMENT, ENDPOINT_SLICE, HTTP_ROUTE, INGRESS, TRAEFIK_SERVICE, Ref
from gradatim.sim.api import Api, Fault, Request
from gradatim.sim.lateness import Late
from soak.crowds import Crowds
from soak.kinds import PORT, Kind

PRIMARY = Ref(DEPLOYMENT, NAMESPACE, f"{APP}-primary")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ROUTES = frozenset(kind.plural for kind in (INGRESS, TRAEFIK_SERVICE, HTTP_ROUTE))


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular about a stage."""

    kind: Kind
    rate: float
    start: float = 0.0
    """Seconds until a pod is ready."""
    late: float = 0.0
    """Seconds that Traefik follows routes late."""
    interval: str = "1s"
    flags: tuple[str, ...] = ()
    """Further flags of the operator."""
    revert: bool = True
    service: bool = True
    """Whether the apex Service is there before the Canary."""


class Operator:
    """The operator's process, which can be killed and started again; use it in an `async with`."""

    def __init__(self, cluster: LocalCluster, chosen: Release, folder: Path, flags: tuple[str, ...]) -> None:
        self._make = lambda: operator_process(
            cluster.kubeconfig, chosen, cluster.prometheus, cluster.proxy, folder, more=flags
        )
        self._server = cluster.server
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Operator:
        self._process = await self._stack.enter_async_context(self._make())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def kill(self) -> None:
        """As a lost machine does; another one begins at once."""
        async with self._changing:
            self._process.kill()
            with contextlib.suppress(Exception):
                await self._stack.aclose()
            self._stack = AsyncExitStack()
            self._process = await self._stack.enter_async_context(self._make())

    async def kill_at_write(self, number: int) -> None:
        """The same in the moment in which it sends its so-manieth write from now on: it never gets the answer."""
        reached, count = asyncio.Event(), 0

        def meets(request: Request) -> bool:
            nonlocal count
            if request.method in WRITES and request.headers.get("user-agent", "").startswith("gradatim/"):
                count += 1
                if count == number:
                    self._process.kill()
                    reached.set()
            return False

        fault = Fault(when=meets)
        self._server.faults.append(fault)
        try:
            await reached.wait()
        finally:
            self._server.faults.remove(fault)
        another = asyncio.create_task(self.kill())
        try:
            await asyncio.shield(another)
        except asyncio.CancelledError:  # nobody waits for it any more, but without an operator nothing goes on
            await another
            raise


class Stage:
    """Where releases are played."""

    def __init__(self, setting: Setting, user: User, operator: Operator, crowds: Crowds) -> None:
        self.setting = setting
        self.user = user
        self.operator = operator
        self.crowds = crowds

    async def introduce(self) -> None:
        """Apply the Canary and wait until it is initialized."""
        await self.user.apply([self.setting.kind.canary(revert=self.setting.revert, interval=self.setting.interval)])
        await self.user.phase(Phase.INITIALIZED)

    async def publish(self, tag: str) -> Phase:
        """Set an image and wait for the end of its release."""
        await self.user.set_image(tag)
        await self.user.phase(Phase.PROGRESSING)
        return await self.ended()

    async def ended(self) -> Phase:
        """Wait until the release is through."""
        return await self.user.phase(Phase.SUCCEEDED, Phase.FAILED)

    def why(self) -> str:
        """What the Canary says about its end."""
        conditions = {one["type"]: one for one in self.user.status().get("conditions", ())}
        return str(conditions.get("Ready", {}).get("message", "of something that it does not tell"))

    async def delete(self) -> None:
        """Delete the Canary and wait until it is gone."""
        with contextlib.suppress(NotFound):
            await self.user.cluster.client.delete(self.user.canary)
        store = self.user.cluster.store
        await self.user.until(lambda: store.peek(self.user.canary) is None, "the Canary to be gone")

    async def scale(self, replicas: int) -> None:
        """What `kubectl scale` does to the target."""
        await self.user.cluster.client.patch(TARGET, {"spec": {"replicas": replicas}})

    def promoted(self, tag: str) -> bool:
        """Whether the primary is to run this version."""
        primary = self.user.cluster.store.peek(PRIMARY)
        return primary is not None and primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{tag}")

    async def share(self) -> None:
        """Wait until the canary has a share of the requests, or at least passed a round."""
        await self.user.until(self._under_way, "the canary's first step")

    def _under_way(self) -> bool:
        status = self.user.status()
        return bool(status.get("canaryWeight") or status.get("iterations"))


@asynccontextmanager
async def stage(setting: Setting) -> AsyncIterator[Stage]:
    """Start everything; users are served, and the operator has no Canary yet."""
    folder, chosen = Path(tempfile.mkdtemp(prefix="gradatim-bench-")), setting.kind.release
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = await stack.enter_async_context(local_cluster(chosen, folder, proxy_sees=_lateness(setting)))
        operator = await stack.enter_async_context(Operator(cluster, chosen, folder, _flags(setting)))
        await stack.enter_async_context(_tester(cluster))
        user = User(cluster, chosen.canary)
        await user.apply(setting.kind.before(start=setting.start, service=setting.service))
        await user.pods_ready()
        crowds = Crowds(cluster.traefik, setting.rate, setting.kind.headers)
        made = Stage(setting, user, operator, crowds)
        if not setting.service:
            await made.introduce()
        await cluster.traefik.wait_for_route(HOST, patience=20 + setting.late)
        await stack.enter_async_context(crowds)
        yield made


def _flags(setting: Setting) -> tuple[str, ...]:
    return ("-minimum-interval=1s", *setting.flags)


def _lateness(setting: Setting) -> Callable[[Api], Late] | None:
    return (lambda api: Late(api, ROUTES, setting.late)) if setting.late else None


@asynccontextmanager
async def _tester(cluster: LocalCluster) -> AsyncIterator[None]:
    """Ask the canary's pods for what users would ask, as load testers do, so that there is something to judge."""

    async def ask(session: aiohttp.ClientSession, address: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with session.get(f"http://{address}:{PORT}/"):
                pass

    async def work() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
            while True:
                asking = (ask(session, address) for address in set(_addresses(cluster)))
                for error in filter(None, await asyncio.gather(*asking, return_exceptions=True)):
                    print(f"the tester could not ask: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(0.1)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _addresses(cluster: LocalCluster) -> Iterator[str]:
    """Where the ready pods behind the canary Service are."""
    for found in cluster.store.scan(ENDPOINT_SLICE, NAMESPACE):
        if found["metadata"]["labels"].get("kubernetes.io/service-name") == f"{APP}-canary":
            for endpoint in found.get("endpoints") or ():
                if endpoint["conditions"]["ready"]:
                    yield endpoint["addresses"][0]
