"""Canaries whose hooks and metrics take their time, among others that cannot wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.telling import Case, world_of
from core.world import OUTSIDE, World
from gradatim.core.verdict import Action, Known, Measure, Plan, Question, Shift
from gradatim.core.weights import Routes
from gradatim.engine.census import Census
from gradatim.engine.operator import AT_ONCE, Operator
from gradatim.engine.reconcile import ROUNDS
from gradatim.ports.objects import CANARY, Ref

Clock = Callable[[], float]

SLOW = 50.0
URGENT = Ref(CANARY, "test", "urgent")


class Site(msgspec.Struct):
    """What a look leaves of the objects around a Canary."""

    key: Ref
    subject: str = ""


class Crew:
    """Worlds instead of a cluster; whoever is asked outside takes as long as `slow` says, or never answers."""

    def __init__(self, clock: Clock, names: tuple[str, ...], slow: Callable[[], float | None] = lambda: SLOW) -> None:
        self.worlds = {Ref(CANARY, "test", name): running() for name in names}
        self.looks: dict[Ref, list[float]] = {}
        self.asked: list[tuple[Ref, Question[Any]]] = []
        self.given_up: list[Question[Any]] = []
        self.plans: list[Plan] = []
        self.subject = ""
        self.disturbed: Operator | None = None
        """Who is told at the end of each look, which then takes a second, that something has changed."""
        self._clock = clock
        self._slow = slow

    async def look(self, key: Ref) -> tuple[Known, Site] | None:
        self.looks.setdefault(key, []).append(self._clock())
        if self.disturbed is not None:
            await asyncio.sleep(1)
            self.disturbed.queue.add(key)
        world = self.worlds.get(key)
        if world is None:
            return None
        return msgspec.structs.replace(world.known(), now=self._clock()), Site(key, self.subject)

    async def answer(self, _known: Known, site: Site, question: Question[Any]) -> Any:
        if isinstance(question, OUTSIDE):
            self.asked.append((site.key, question))
            try:
                await self._outside()
            except asyncio.CancelledError:
                self.given_up.append(question)
                raise
        return self.worlds[site.key].answer(question)

    async def _outside(self) -> None:
        seconds = self._slow()
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(seconds)

    async def perform(self, site: Site, _plan: Plan, action: Action) -> None:
        """Traffic is moved; nothing is recorded, so that each reconcile finds the run where it was."""
        if isinstance(action, Shift):
            self.worlds[site.key].live = action.to

    async def record(self, _known: Known, plan: Plan, _began: float) -> None:
        self.plans.append(plan)

    def tell(self, *_: object) -> None:
        """Nobody listens."""

    def hand_over(self, key: Ref) -> None:
        """Nobody listens."""


class Cache:
    """All Canaries are there and never change."""

    def __init__(self, keys: tuple[Ref, ...]) -> None:
        self._keys = keys

    async def synced(self, *_: object) -> None:
        """They are."""

    def list(self, resource: object) -> tuple[Ref, ...]:
        return self._keys if resource is CANARY else ()

    def get(self, _key: Ref) -> dict[str, Any]:
        return {"metadata": {}}


class Anything(Census):
    """A census that lets everybody be."""

    def note(self, *_: object) -> frozenset[Ref]:
        return frozenset()


def running() -> World:
    """A run that waits for a metric as soon as it is looked at."""
    analysis = {
        "threshold": 5,
        "stepWeight": 10,
        "metrics": [{"name": "errors", "query": "q", "thresholdRange": {"max": 200}}],
    }
    begins = {"phase": "Progressing", "canaryWeight": 50, "lastAppliedSpec": "v2"}
    given = {"target": "v2", "scaled": True, "routes": "50/50"}
    world = world_of(Case(name="", steps=(), canary={"analysis": analysis}, begins=begins, given=given))
    world.now += world.asleep
    return world


class Work:
    """An operator over a crew, for as long as the block lasts."""

    def __init__(self, crew: Crew, clock: Clock) -> None:
        cache: Any = Cache(tuple(crew.worlds))
        crew.read = lambda *_: None  # type: ignore[attr-defined]
        anybody: Any = crew
        nothing: Any = None
        self.operator = Operator(cache, anybody, Anything(), nothing, clock)

    async def __aenter__(self) -> Operator:
        self._task = asyncio.create_task(self.operator.run())
        return self.operator

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.asyncio
async def test_those_who_wait_for_somebody_outside_do_not_keep_others_from_their_work(virtual_time: Clock) -> None:
    """Such as a Canary that has lost its pods, among hundreds whose load tests run."""
    crew = Crew(virtual_time, tuple(f"slow-{number}" for number in range(2 * AT_ONCE)))
    async with Work(crew, virtual_time) as operator:
        await asyncio.sleep(1)
        assert len(crew.asked) == 2 * AT_ONCE
        began = virtual_time()
        operator.queue.add(URGENT)
        await asyncio.sleep(SLOW / 2)
        assert crew.looks[URGENT] == [began]


@pytest.mark.asyncio
async def test_a_look_meanwhile_asks_nobody_twice_and_the_answer_is_used_when_it_comes(virtual_time: Clock) -> None:
    crew = Crew(virtual_time, ("shop",))
    (shop,) = crew.worlds
    async with Work(crew, virtual_time) as operator:
        for _ in range(10):
            await asyncio.sleep(4)
            operator.queue.add(shop)
        assert (len(crew.looks[shop]), crew.plans) == (10, [])
        await asyncio.sleep(SLOW - 40 + 1)
        assert crew.asked == [(shop, Measure(0))]
        (step,) = crew.plans
        assert step.status is not None
        assert step.status.canary_weight == 60


@pytest.mark.asyncio
async def test_a_canary_that_changes_all_the_time_comes_to_its_answer_all_the_same(virtual_time: Clock) -> None:
    crew = Crew(virtual_time, ("shop",))
    async with Work(crew, virtual_time) as operator:
        crew.disturbed = operator
        await asyncio.sleep(SLOW + 3)
        assert crew.plans


@pytest.mark.asyncio
async def test_as_much_may_be_set_right_meanwhile_as_others_set_wrong(virtual_time: Clock) -> None:
    """That is no planning without end, and the call goes on beside it."""
    crew = Crew(virtual_time, ("shop",))
    (shop,) = crew.worlds
    async with Work(crew, virtual_time) as operator:
        for _ in range(2 * ROUNDS):
            await asyncio.sleep(1)
            crew.worlds[shop].live = Routes(10, 90)
            operator.queue.add(shop)
        await asyncio.sleep(1)
        assert crew.worlds[shop].live == Routes(50, 50)
        assert (len(crew.plans), len(crew.asked), crew.given_up) == (2 * ROUNDS, 1, [])


@pytest.mark.asyncio
async def test_another_subject_is_asked_about_anew(virtual_time: Clock) -> None:
    """What is answered about the old revision by then, or would be later, counts for nothing."""
    crew = Crew(virtual_time, ("shop",))
    (shop,) = crew.worlds
    async with Work(crew, virtual_time) as operator:
        await asyncio.sleep(SLOW - 10)
        crew.subject = "another revision"
        operator.queue.add(shop)
        await asyncio.sleep(SLOW - 10)
        assert (crew.given_up, len(crew.asked), crew.plans) == ([Measure(0)], 2, [])
        await asyncio.sleep(11)
        assert len(crew.plans) == 1


@pytest.mark.asyncio
async def test_who_is_never_answered_is_let_go_when_the_operator_stops(virtual_time: Clock) -> None:
    crew = Crew(virtual_time, tuple(f"slow-{number}" for number in range(2 * AT_ONCE)), slow=lambda: None)
    async with Work(crew, virtual_time):
        await asyncio.sleep(1)
    assert len(crew.given_up) == 2 * AT_ONCE
