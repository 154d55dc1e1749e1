"""One Canary, one step. Everything that decides is in core; everything that can fail is behind the names used here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from gradatim.api.errors import Bug
from gradatim.core.planner import decide
from gradatim.core.verdict import Ask, Known, Plan
from gradatim.engine.inquiry import Inquiry
from gradatim.engine.site import Site
from gradatim.engine.turn import Turn
from gradatim.ports.objects import Ref

if TYPE_CHECKING:
    from gradatim.engine.crew import Crew

ROUNDS = 24
"""Plans that may follow each other at once in one reconcile; setting up everything takes about ten."""
WRITE_TIME = 60.0
"""Seconds that carrying out and recording a plan may take once it has begun."""


class Unsettled(Bug):
    """The core went on planning without coming to rest."""


class Decision(msgspec.Struct, frozen=True):
    """A plan and the look that it rests on; `began` is when the first of the looks was taken that led to it."""

    known: Known
    site: Site
    plan: Plan
    began: float

    @property
    def waited(self) -> bool:
        """Whether somebody outside was waited for, and something changed meanwhile."""
        return self.known.now > self.began


async def reconcile(turn: Turn, crew: Crew) -> float | None:
    """Bring one Canary a step further; return the seconds until it wants to be looked at again."""
    inquiry = Inquiry(turn, crew)
    try:
        return await _come_to_rest(turn.key, crew, inquiry)
    finally:
        crew.hand_over(turn.key)  # a rollback takes two plans: traffic first, then the news of both
        await inquiry.give_up()


async def _come_to_rest(key: Ref, crew: Crew, inquiry: Inquiry) -> float | None:
    rounds, before = 0, None
    while rounds < ROUNDS:
        decision = await consult(key, crew, inquiry)
        if decision is None:
            return None
        plan = decision.plan
        if plan.again and plan == before and not decision.waited:
            return crew.interval(key)  # what has just been done did not stay so, and would not this time
        await carry_out(decision, crew)
        if not plan.again:
            return plan.requeue
        rounds, before = 1 if decision.waited else rounds + 1, plan
    raise Unsettled(f"{key} did not come to rest within {ROUNDS} plans")


async def consult(key: Ref, crew: Crew, inquiry: Inquiry) -> Decision | None:
    """Look, ask and answer until the core plans, and look anew when something changes meanwhile; None if it is gone."""
    began: float | None = None
    while (looked := await crew.look(key)) is not None:
        fresh, site = looked
        began = fresh.now if began is None else began
        known: Known | None = await inquiry.resume(fresh, site)
        while known is not None:
            match decide(known):
                case Plan() as plan:
                    return Decision(known, site, plan, began)
                case Ask((question, *_)):
                    known = await inquiry.find_out(known, site, question)
    return None


async def carry_out(decision: Decision, crew: Crew) -> None:
    """Act, then record, then tell: a crash between two lines is repaired by the next reconcile."""
    await shielded(_act_record_tell(decision, crew), WRITE_TIME)


async def _act_record_tell(decision: Decision, crew: Crew) -> None:
    known, plan = decision.known, decision.plan
    for action in plan.actions:
        await crew.perform(decision.site, plan, action)
    await crew.record(known, plan, decision.began)
    crew.tell(known, plan)  # an operator that is told to stop in between still hands over the news of what it recorded


async def shielded(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Let what was begun come to its end although the task is being cancelled, but not beyond a deadline."""
    task = asyncio.ensure_future(asyncio.wait_for(work, seconds))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
