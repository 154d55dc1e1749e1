"""What the split of traffic should be now, and setting it right when somebody changed it by hand.

The status says how far a run is; live weights that are neither there nor at the very next step (which is where a crash
between route and status leaves them) were changed by somebody else.
"""

from __future__ import annotations

from typing import assert_never

from gradatim.api.status import RUNNING
from gradatim.core import news
from gradatim.core.hold import Held, routing_field, trouble
from gradatim.core.news import Event
from gradatim.core.record import edited, record
from gradatim.core.strategy import Strategy, strategy_of
from gradatim.core.verdict import Ensure, Known, LiveRoutes, Part, Plan, Shift, Trouble
from gradatim.core.weights import ALL_CANARY, ALL_PRIMARY, Routes, next_weight, split


def live_routes(known: Known) -> Routes:
    """The live split, or the end of this look."""
    found = known.get(LiveRoutes())
    if isinstance(found, Trouble):
        raise Held(trouble(known, found, routing_field(known)))
    return found


def routes(known: Known) -> Routes:
    """The split that the status stands for."""
    status, analysis = known.status, known.canary.spec.analysis
    if not known.traits.shifts_traffic:
        return ALL_PRIMARY
    recorded = split(status.canary_weight)
    if status.phase not in RUNNING:
        return recorded
    match strategy_of(analysis):
        case Strategy.AB_TESTING:  # a test has all or nothing, whatever share a run by weights had reached before
            return ALL_CANARY if status.iterations > 0 or recorded == ALL_CANARY else ALL_PRIMARY
        case Strategy.BLUE_GREEN:
            return ALL_CANARY if status.iterations > analysis.iterations else recorded
        case Strategy.CANARY:
            return recorded
        case never:
            assert_never(never)


def carry_over(known: Known) -> None:
    """Return when the count of rounds fits the plan; otherwise end this look with recording what it means in it.

    How often blue/green has counted tells whether it has cut over, but only as long as nobody edits `iterations`: then
    the live split tells. A cut-over that is still to come is not skipped, and one that has been is not taken back.
    """
    status, rounds = known.status, known.canary.spec.analysis.iterations
    unedited = status.observed_generation == known.canary.generation
    if (
        unedited
        or not known.traits.shifts_traffic
        or strategy_of(known.canary.spec.analysis) is not Strategy.BLUE_GREEN
    ):
        return
    there = live_routes(known).canary == ALL_CANARY.canary
    if status.iterations > rounds and not there:
        raise Held(Plan(status=record(known, status.phase, iterations=rounds), again=True))
    if 0 < status.iterations <= rounds and there and edited(known):
        raise Held(Plan(status=record(known, status.phase, canary_weight=ALL_CANARY.canary), again=True))


def repair(known: Known) -> None:
    """Return when the live split is as it should be; otherwise end this look with setting it right."""
    if not known.traits.shifts_traffic:
        return
    live, wanted = live_routes(known), routes(known)
    if live.canary == wanted.canary or _one_step_ahead(known, live):
        return
    raise Held(
        Plan(
            actions=(Ensure(Part.ROUTES), Shift(Routes(wanted.primary, wanted.canary, live.mirrored))),
            news=_blame(known, live, wanted),
            weights=wanted,
            again=True,
        )
    )


def _blame(known: Known, live: Routes, wanted: Routes) -> tuple[Event, ...]:
    """Tell that somebody changed the weights, unless an edit of the plan has just given them another meaning."""
    if known.status.phase in RUNNING and edited(known):
        return ()
    return (news.rerouted(known.canary, live.canary, wanted.canary),)


def _one_step_ahead(known: Known, live: Routes) -> bool:
    if known.status.phase not in RUNNING:
        return False
    analysis, status = known.canary.spec.analysis, known.status
    match strategy_of(analysis):
        case Strategy.AB_TESTING:
            return live.canary == ALL_CANARY.canary and status.iterations == 0
        case Strategy.BLUE_GREEN:
            return live.canary == ALL_CANARY.canary and status.iterations == analysis.iterations
        case Strategy.CANARY:
            return live.canary == next_weight(analysis, status.canary_weight)
        case never:
            assert_never(never)
