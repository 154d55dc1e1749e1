"""Releases under every fault that networks, API servers and machines have: each ends as the undisturbed one does.

Required everywhere: the same end state; users' requests never go to a side without a ready pod, at no moment in
between; no step is told twice; the primary's pods are made exactly twice. Almost all releases are played at once, each
in a namespace of its own with an operator of its own behind a proxy of its own.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster import jumping_clock
from cluster.client import Client
from cluster.faulty_proxy import FaultyProxy
from cluster.fixtures import Cluster
from cluster.hooks import Hooks
from cluster.operator import COMMAND, Account, Operator, shipped_manifests
from cluster.processes import Died
from cluster.prometheus import Prometheus
from cluster.releases import ALERTS, STEPS, Release, release
from gradatim.ports.objects import LEASE, Manifest

AT_ONCE = 6
"""Releases under way at the same time, on two cores."""
APART = 13
KILLS = {first: range(first, 3 * APART + 1, APART) for first in range(1, APART + 1)}
"""After which writes the operator is killed, thrice in each of thirteen lives. An undisturbed life, from the new Canary
to `Succeeded`, has about 36 writes, so that every one of them is the last one once."""
SEEDS = (1, 2, 3)
HOUR = 3600.0
JUMPS = {"a clock that jumps": False, "a clock that is wrong at each start": True}
RENEW_DEADLINE = 15.0
"""Seconds after which a leader that could not renew its lease must not write any more."""

NOTICED = 3
"""Hits of a fault that a disturbed release must at least have seen."""

Play = Callable[["Stage"], Coroutine[None, None, None]]


@dataclass
class Outcome:
    """What one release came to."""

    end: dict[str, Manifest]
    unserved: list[str]
    told_twice: list[str]
    rolled: int
    phases: list[str]
    weights: list[int]
    events: set[str]
    alerts: set[str]
    writes: int = 0
    hits: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Stage:
    """One release and those who act in it."""

    world: World
    one: Release
    proxy: FaultyProxy
    label: str
    notes: list[str] = field(default_factory=list)

    async def operator(
        self, account: Account | None = None, *, elected: bool = False, program: Sequence[str] = COMMAND
    ) -> Operator:
        """Start an operator for this namespace, behind the proxy."""
        flags = {"namespace": self.one.namespace, "enable-leader-election": str(elected).lower()}
        return await self.world.operator(flags, self.proxy.url, self.label, account or self.world.account, program)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Operator]:
        """An operator that works until the block ends."""
        operator = await self.operator()
        try:
            yield operator
            operator.process.check()
        finally:
            operator.kill()

    async def electing(self, *accounts: Account) -> None:
        """Let accounts use the Lease of this namespace, where `-namespace` puts it, by the rules that we ship."""
        for kind in ("Role", "RoleBinding"):
            (shipped,) = [one for one in shipped_manifests() if one["kind"] == kind]
            if kind == "RoleBinding":
                users = ({"name": one.name, "namespace": one.namespace} for one in accounts)
                shipped["subjects"] = [{"kind": "ServiceAccount", **user} for user in users]
            shipped["metadata"]["namespace"] = self.one.namespace
            await self.world.admin.apply(shipped)

    async def lease(self, patch: Manifest | None = None) -> Manifest:
        """The spec of the operators' Lease, changed first where a patch is given."""
        name = (LEASE, self.one.namespace, "flagger-leader-election")
        if patch is not None:
            await self.world.admin.merge(*name, {"spec": patch})
        spec: Manifest = (await self.world.admin.get(*name))["spec"]
        return spec

    async def live(self) -> None:
        """A whole life: the Canary is made, and its first release succeeds."""
        await self.begin()
        await self.one.phase("Succeeded")
        await asyncio.sleep(0.5)  # the last news

    async def begin(self) -> None:
        """The Canary is made, and its first release begins."""
        await self.one.canary()
        await self.one.phase("Initialized")
        await self.one.image("shop:2")


@dataclass(frozen=True)
class World:
    """What all releases share."""

    cluster: Cluster
    admin: Client
    prometheus: Prometheus
    hooks: Hooks
    account: Account
    logs: Path

    async def operator(
        self, flags: dict[str, str], server: str, label: str, account: Account, program: Sequence[str]
    ) -> Operator:
        """Start an operator with short times."""
        given = {
            "metrics-server": self.prometheus.url,
            "mesh-provider": "nginx",
            "minimum-interval": "1s",
            "settle-time": "300ms",
            **flags,
        }
        log = self.logs / f"{label}.log"
        plane = self.cluster.plane
        return await Operator.start(plane, self.admin, account, given, server=server, log=log, program=program)

    async def play(self, label: str, played: Play) -> Outcome:
        """Play one release, and look at what it came to."""
        seed = sum(label.encode())
        async with FaultyProxy(self.cluster.plane, seed) as proxy, release(self.admin, self.hooks) as one:
            stage = Stage(self, one, proxy, label)
            await played(stage)
            return Outcome(
                end=await one.end(),
                unserved=one.changes.unserved(),
                told_twice=await one.told_twice(),
                rolled=await one.rolled(),
                phases=one.changes.phases(),
                weights=one.changes.weights(),
                events=set(await one.events()),
                alerts=set(one.alerts()),
                writes=proxy.writes,
                hits=proxy.hits,
                notes=stage.notes,
            )


@asynccontextmanager
async def worlds(cluster: Cluster, logs: Path) -> AsyncIterator[World]:
    """A world for as long as the block lasts."""
    async with Client(cluster.plane.admin) as admin, Prometheus() as prometheus, Hooks() as hooks:
        account = await Account.install(cluster.plane, admin)
        yield World(cluster, admin, prometheus, hooks, account, logs)


# How each is played ---------------------------------------------------------------------------------------------------


async def undisturbed(stage: Stage) -> None:
    """Nothing happens."""
    async with stage.working():
        await stage.live()


def killed_after(numbers: Collection[int]) -> Play:
    """The operator is killed when a certain write has been carried out, and started again."""

    async def play(stage: Stage) -> None:
        running, started = list[Operator](), asyncio.Event()

        async def count(writes: int) -> None:
            if writes not in numbers:
                return
            about = stage.proxy.written[-1]
            await started.wait()  # it writes before it is known to be ready
            started.clear()
            running.pop().kill()
            stage.notes.append(about)

        stage.proxy.on_write = count
        life = asyncio.create_task(stage.live())
        try:
            while not life.done():
                if not running:
                    with suppress(Died):
                        running.append(await stage.operator())
                        started.set()
                await asyncio.wait((life,), timeout=0.05)
            await life
        finally:
            life.cancel()
            for operator in running:
                operator.kill()

    return play


def killed_at_random(seed: int) -> Play:
    """The operator is killed again and again, at moments that a seed decides, and then left alone."""

    async def play(stage: Stage) -> None:
        chance = random.Random(seed)
        life = asyncio.create_task(stage.live())
        try:
            for _ in range(6):
                with suppress(Died):
                    operator = await stage.operator()
                    await asyncio.wait((life,), timeout=chance.uniform(0.05, 1.2))
                    operator.kill()
            async with stage.working():
                await life
        finally:
            life.cancel()

    return play


def storm(*answers: int) -> Play:
    """Twice, the server has only refusals for some seconds; the second time not for everybody.

    The first storm goes on until it has been noticed again and again: how often the operator asks is its own affair.
    """

    async def play(stage: Stage) -> None:
        async with stage.working():
            life = asyncio.create_task(stage.live())
            for after, share in ((0.3, 1.0), (2.0, 0.5)):
                await asyncio.sleep(after)
                stage.proxy.answers, stage.proxy.share = answers, share
                await asyncio.sleep(2.5)
                while share == 1.0 and stage.proxy.hits <= NOTICED:
                    await asyncio.wait((life,), timeout=0.05)
                stage.proxy.answers = ()
            await life

    return play


async def lost_answers(stage: Stage) -> None:
    """A third of all requests are carried out, but the connection breaks before the answer."""
    async with stage.working():
        stage.proxy.lost = 0.3
        await stage.live()


async def cut_streams(stage: Stage) -> None:
    """All watches are cut, again and again."""
    async with stage.working():
        life = asyncio.create_task(stage.live())
        while not life.done():
            await asyncio.wait((life,), timeout=0.7)
            stage.proxy.hits += stage.proxy.cut()
        await life


async def forgotten_history(stage: Stage) -> None:
    """All watches are cut, and where they want to go on is forgotten: everything has to be listed anew."""
    async with stage.working():
        life = asyncio.create_task(stage.live())
        while not life.done():
            await asyncio.wait((life,), timeout=0.8)
            stage.proxy.forgetful = True
            stage.proxy.cut()
            await asyncio.wait((life,), timeout=0.8)
            stage.proxy.forgetful = False
        await life


async def stalled_streams(stage: Stage) -> None:
    """Watches stay open and bring nothing for a while, in the middle of everything."""
    async with stage.working():
        life = asyncio.create_task(stage.live())
        for after in (0.4, 1.5):
            await asyncio.sleep(after)
            stage.proxy.stalled = True
            await asyncio.sleep(2.0)
            stage.proxy.stalled = False
        await life


async def slow_answers(stage: Stage) -> None:
    """Every answer takes its time."""
    async with stage.working():
        stage.proxy.delay = 0.25
        await stage.live()


async def frozen_leader(stage: Stage) -> None:
    """Two operators; the one that leads hangs past its lease, the other takes over, and then the first wakes up."""
    first, second = [await Account.install(stage.world.cluster.plane, stage.world.admin) for _ in range(2)]
    await stage.electing(first, second)
    old = await stage.operator(first, elected=True)
    new = await stage.operator(second, elected=True)
    try:
        await stage.begin()
        await stage.one.phase("Progressing", weight=40)
        old.freeze()
        frozen = asyncio.get_running_loop().time()
        # Others go by the duration that the Lease tells; a minute of waiting proves no more than these seconds.
        await stage.lease({"leaseDurationSeconds": 1})
        await stage.one.phase("Succeeded")
        await asyncio.sleep(frozen + RENEW_DEADLINE + 1 - asyncio.get_running_loop().time())
        old.thaw()
        stage.notes.append(f"the old one ended with {await asyncio.to_thread(old.process.wait, 10.0)}")
        new.process.check()
        of_old, of_new = ([one for one in each.audit.requests() if one.writes] for each in (old, new))
        others = [one for one in of_new if one.resource != "leases"]
        stage.notes += [f"late: {one}" for one in of_old if one.at >= min(other.at for other in others)]
        stage.notes.append(f"writes: {bool(of_old)}, {bool(others)}")
    finally:
        old.thaw()
        old.kill()
        new.kill()


def wrong_clock(*jumps: float, restarted: bool = False) -> Play:
    """The wall clock of the operator's machine jumps again and again; its next life may begin with the wrong time."""

    async def play(stage: Stage) -> None:
        file = stage.world.logs / f"{stage.label}.clock"
        jumping_clock.jump(file, 0.0)
        program = (sys.executable, "-P", jumping_clock.__file__, str(file))
        operator = await stage.operator(program=program)
        life = asyncio.create_task(stage.live())
        try:
            for seconds in jumps:
                await asyncio.wait((life,), timeout=1.0)
                jumping_clock.jump(file, seconds)
                if restarted:
                    operator.kill()
                    operator = await stage.operator(program=program)
            await life
            operator.process.check()
        finally:
            life.cancel()
            operator.kill()

    return play


async def politely_stopped(stage: Stage) -> None:
    """The leader is asked to stop in the middle of a step; the next one leads at once."""
    await stage.electing(stage.world.account)
    old = await stage.operator(elected=True)
    try:
        await stage.begin()
        await stage.one.phase("Progressing", weight=40)
        stage.notes.append(f"ended with {await asyncio.to_thread(old.stop)}")
        stage.notes.append(f"held by {(await stage.lease())['holderIdentity']!r}")
        new = await stage.operator(elected=True)
        try:
            await stage.one.phase("Succeeded")
            await asyncio.sleep(0.5)
        finally:
            new.kill()
    finally:
        old.kill()


DISTURBED: dict[str, Play] = {
    "refused with 429": storm(429),
    "refused with 5xx": storm(500, 503, 504),
    "answers that never arrive": lost_answers,
    "streams that are cut": cut_streams,
    "history that is forgotten": forgotten_history,
    "streams that fall silent": stalled_streams,
    "answers that are slow": slow_answers,
}
PLAYS: dict[str, Play] = {
    "frozen leader": frozen_leader,
    "politely stopped": politely_stopped,
    **DISTURBED,
    **{label: wrong_clock(HOUR, -HOUR, 2 * HOUR, 0.0, restarted=restarted) for label, restarted in JUMPS.items()},
    **{f"killed at random {seed}": killed_at_random(seed) for seed in SEEDS},
    **{f"killed after write {first}": killed_after(numbers) for first, numbers in KILLS.items()},
}


@pytest.fixture(scope="module")
def logs(crds: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where operators log; the definitions that they need are there, too."""
    crds("own")
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def normal(cluster: Cluster, logs: Path) -> Outcome:
    """What a release comes to when nothing happens: the measure of all others."""

    async def play() -> Outcome:
        async with worlds(cluster, logs) as world:
            return await world.play("undisturbed", undisturbed)

    return asyncio.run(play())


@pytest.fixture(scope="module")
def outcomes(cluster: Cluster, logs: Path) -> dict[str, Outcome | BaseException]:
    """What every disturbed release came to, or why it did not come to an end."""

    async def play_all() -> dict[str, Outcome | BaseException]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(world: World, label: str) -> Outcome:
            async with slots:
                return await world.play(label, PLAYS[label])

        async with worlds(cluster, logs) as world:
            played = await asyncio.gather(*(one(world, label) for label in PLAYS), return_exceptions=True)
            return dict(zip(PLAYS, played, strict=True))

    return asyncio.run(play_all())


def of(outcomes: dict[str, Outcome | BaseException], label: str) -> Outcome:
    """One outcome."""
    found = outcomes[label]
    if isinstance(found, BaseException):
        raise found
    return found


def judge(found: Outcome, normal: Outcome) -> None:
    """What is required of every release, whatever happened to it."""
    assert found.end == normal.end
    assert found.unserved == []
    assert found.told_twice == []
    assert found.rolled == 2
    assert found.phases[-1] == "Succeeded"
    assert "Failed" not in found.phases
    assert set(found.weights) == {0, 40, 80}


def test_an_undisturbed_release_tells_every_step(normal: Outcome) -> None:
    """The measure of all others is as it must be."""
    judge(normal, normal)
    assert set(STEPS) <= normal.events
    assert set(ALERTS) == normal.alerts
    assert normal.weights == [0, 40, 80, 0]
    assert normal.end["Canary/shop"]["status"]["history"][0]["outcome"] == "Succeeded"
    assert normal.writes <= 3 * APART, "every write must be the last one once"


@pytest.mark.parametrize("label", DISTURBED)
def test_a_disturbed_release_ends_as_an_undisturbed_one(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome, label: str
) -> None:
    """And it really was disturbed."""
    found = of(outcomes, label)
    judge(found, normal)
    assert found.hits > NOTICED


@pytest.mark.parametrize("seed", SEEDS)
def test_an_operator_killed_at_random_moments_goes_on(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome, seed: int
) -> None:
    """As often as it is killed."""
    judge(of(outcomes, f"killed at random {seed}"), normal)


@pytest.mark.parametrize("label", JUMPS)
def test_a_clock_that_jumps_by_hours_changes_nothing(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome, label: str
) -> None:
    """Forward and back: no deadline passes for it, and no interval is waited for any longer."""
    judge(of(outcomes, label), normal)


@pytest.mark.parametrize("first", KILLS)
def test_an_operator_killed_after_any_write_goes_on(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome, first: int
) -> None:
    """Every write may be its last."""
    found = of(outcomes, f"killed after write {first}")
    judge(found, normal)
    assert len(found.notes) >= 2


def test_a_leader_that_wakes_up_late_writes_nothing(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome
) -> None:
    """It ends, and the one that took over has finished the release."""
    found = of(outcomes, "frozen leader")
    judge(found, normal)
    assert found.notes == ["the old one ended with 1", "writes: True, True"]


def test_a_leader_that_is_asked_to_stop_gives_its_lease_back(
    outcomes: dict[str, Outcome | BaseException], normal: Outcome
) -> None:
    """In the middle of a step, and without an error."""
    found = of(outcomes, "politely stopped")
    judge(found, normal)
    assert found.notes == ["ended with 0", "held by ''"]


@pytest.mark.asyncio
async def test_an_api_server_that_dies_and_forgets_is_waited_for(cluster: Cluster, logs: Path, normal: Outcome) -> None:
    """It is killed in the middle of a release; when it is back, the history that watches would go on from is gone."""

    async def play(stage: Stage) -> None:
        async with stage.working():
            await stage.begin()
            await stage.one.phase("Progressing", weight=40)
            cluster.plane.kill_api_server()
            cluster.plane.forget_history()
            await asyncio.sleep(2.0)
            cluster.plane.restart_api_server()  # from this thread, as it ends with the one that starts it
            await stage.one.phase("Succeeded")
            await asyncio.sleep(0.5)

    async with worlds(cluster, logs) as world:
        found = await world.play("api server killed", play)
    judge(found, normal)
