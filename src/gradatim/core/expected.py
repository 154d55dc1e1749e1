"""What the split of traffic should be now, and setting it right when somebody changed it by hand.

The status says how far a run is; live weights that are neither there nor at the very next step (which is where a crash
between route and status leaves them) were changed by somebody else.
"""

from __future__ import annotations

from typing import assert_never

from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.hold import Held, routing_field, trouble
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
    if status.canary_weight > 0:
        return split(status.canary_weight)
    if status.phase not in (Phase.PROGRESSING, Phase.WAITING_PROMOTION):
        return ALL_PRIMARY
    match strategy_of(analysis):
        case Strategy.AB_TESTING if status.iterations > 0:
            return ALL_CANARY
        case Strategy.BLUE_GREEN if status.iterations > analysis.iterations:
            return ALL_CANARY
        case _:
            return ALL_PRIMARY


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
            news=(news.rerouted(known.canary, live.canary, wanted.canary),),
            weights=wanted,
            again=True,
        )
    )


def _one_step_ahead(known: Known, live: Routes) -> bool:
    if known.status.phase not in (Phase.PROGRESSING, Phase.WAITING_PROMOTION):
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
