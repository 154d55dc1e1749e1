"""Blue/green: a number of rounds with the traffic where it is (or mirrored), then all of it to the canary."""

from __future__ import annotations

from gradatim.api.status import CheckResult
from gradatim.core import news
from gradatim.core.expected import live_routes
from gradatim.core.news import News
from gradatim.core.run import promote
from gradatim.core.strategies.moves import advance, confirmed
from gradatim.core.verdict import Known, Plan, TargetSeen
from gradatim.core.weights import ALL_CANARY, MIRRORED


def step(known: Known, seen: TargetSeen, told: tuple[News, ...], results: tuple[CheckResult, ...]) -> Plan:
    """The next round, the cut-over, or the promotion.

    What is recorded is the count of rounds; one more than there are means that all traffic is on the canary.
    """
    analysis, done = known.canary.spec.analysis, known.status.iterations
    if done < analysis.iterations:
        told = (*told, news.advance_iteration(known.canary, done + 1))
        to = MIRRORED if _mirror_now(known) else None
        return advance(known, to, told, results, iterations=done + 1)
    closed, told = confirmed(known, told, results)
    if closed is not None:
        return closed
    if done == analysis.iterations and known.traits.shifts_traffic:
        told = (*told, news.all_to_canary(mirrored=analysis.mirror))
        return advance(known, ALL_CANARY, told, results, iterations=done + 1, canary_weight=0)
    return promote(known, seen, *told, results=results)


def _mirror_now(known: Known) -> bool:
    if not (known.canary.spec.analysis.mirror and known.traits.mirrors):
        return False
    return not live_routes(known).mirrored
