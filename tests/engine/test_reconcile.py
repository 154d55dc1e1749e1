"""One reconcile comes to rest, also where the world does not become what a plan wants."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from core.telling import spec_of
from core.world import World, at_rest
from gradatim.core.verdict import Known, Plan, Question
from gradatim.core.weights import Routes
from gradatim.engine.crew import Crew, key_of
from gradatim.engine.queue import Queue
from gradatim.engine.reconcile import reconcile
from gradatim.engine.turn import Turn
from gradatim.ports.objects import Ref

KEY = key_of("test", "podinfo")
INTERVAL = 60.0


class Site(msgspec.Struct):
    """What a look leaves of the objects around a Canary."""

    key: Ref = KEY
    subject: str = ""


class Stubborn:
    """A crew in a world in which every action is carried out and changes nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.done: list[Any] = []
        self.told: list[str] = []

    async def look(self, key: object) -> tuple[Known, Site]:
        return self._world.known(), Site()

    async def answer(self, known: Known, site: object, question: Question[Any]) -> Any:
        return self._world.answer(question)

    async def perform(self, site: object, plan: Plan, action: object) -> None:
        self.done.append(action)

    async def record(self, known: Known, plan: Plan, began: float) -> None:
        assert plan.status is None

    def tell(self, known: Known, plan: Plan) -> None:
        self.told += [item.text for item in plan.news]

    def hand_over(self, key: object) -> None:
        """Nobody listens."""

    def interval(self, key: object) -> float:
        return INTERVAL


@pytest.mark.asyncio
async def test_what_does_not_help_is_tried_again_after_an_interval_and_not_at_once() -> None:
    world = at_rest(spec_of({"analysis": {"stepWeight": 10}}))
    world.live = Routes(60, 40)
    crew = Stubborn(world)
    turn = Turn(KEY, Queue(asyncio.get_running_loop().time), asyncio.Semaphore(1))
    assert await reconcile(turn, cast("Crew", crew)) == INTERVAL
    assert len(crew.told) == 1
    once = list(crew.done)
    assert await reconcile(turn, cast("Crew", crew)) == INTERVAL
    assert crew.done == [*once, *once]
