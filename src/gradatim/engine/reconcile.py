"""One Canary, one step. Everything that decides is in core; everything that can fail is behind the names used here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from gradatim.api.errors import Bug
from gradatim.core.planner import decide
from gradatim.core.verdict import Ask, Known, Plan, Question
from gradatim.engine.questions import OUTSIDE

if TYPE_CHECKING:
    from gradatim.engine.crew import Crew
    from gradatim.engine.site import Site
    from gradatim.ports.objects import Ref

ROUNDS = 24
"""Plans that may follow each other in one reconcile; setting up everything takes about ten."""
WRITE_TIME = 60.0
"""Seconds that carrying out and recording a plan may take once it has begun."""


class Unsettled(Bug):
    """The core went on planning without coming to rest."""


async def reconcile(key: Ref, crew: Crew) -> float | None:
    """Bring one Canary a step further; return the seconds until it wants to be looked at again."""
    try:
        return await _come_to_rest(key, crew)
    finally:
        crew.hand_over(key)  # a rollback takes two plans: traffic first, then the news of both


async def _come_to_rest(key: Ref, crew: Crew) -> float | None:
    outside: dict[Question[Any], Any] = {}
    before: Plan | None = None
    for _ in range(ROUNDS):
        looked = await crew.look(key)
        if looked is None:
            return None
        known, site = looked
        known, plan = await consult(msgspec.structs.replace(known, answers=dict(outside)), site, crew)
        outside = {question: answer for question, answer in known.answers.items() if isinstance(question, OUTSIDE)}
        if plan.again and plan == before:
            return crew.interval(key)  # what has just been done did not stay so, and would not this time
        await carry_out(known, plan, site, crew)
        if not plan.again:
            return plan.requeue
        before = plan
    raise Unsettled(f"{key} did not come to rest within {ROUNDS} plans")


async def consult(known: Known, site: Site, crew: Crew) -> tuple[Known, Plan]:
    """Ask and answer until the core plans."""
    while isinstance(verdict := decide(known), Ask):
        answers = dict(known.answers)
        for question in verdict.questions:
            if question in answers:
                raise Bug(f"{question!r} was asked twice")
            answers[question] = await crew.answer(known, site, question)
        known = msgspec.structs.replace(known, answers=answers)
    return known, verdict


async def carry_out(known: Known, plan: Plan, site: Site, crew: Crew) -> None:
    """Act, then record, then tell: a crash between two lines is repaired by the next reconcile."""
    await shielded(_act_record_tell(known, plan, site, crew), WRITE_TIME)


async def _act_record_tell(known: Known, plan: Plan, site: Site, crew: Crew) -> None:
    for action in plan.actions:
        await crew.perform(site, plan, action)
    await crew.record(known, plan)
    crew.tell(known, plan)  # an operator that is told to stop in between still hands over the news of what it recorded


async def shielded(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Let what was begun come to its end although the task is being cancelled, but not beyond a deadline."""
    task = asyncio.ensure_future(asyncio.wait_for(work, seconds))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
