"""A/B: matching requests go to the canary for a number of rounds."""

from __future__ import annotations

from gradatim.api.status import CheckResult
from gradatim.core import news
from gradatim.core.news import News
from gradatim.core.strategies.moves import advance, promote_when_confirmed
from gradatim.core.verdict import Known, Plan, TargetSeen
from gradatim.core.weights import ALL_CANARY


def step(known: Known, seen: TargetSeen, told: tuple[News, ...], results: tuple[CheckResult, ...]) -> Plan:
    """The next round, or the promotion."""
    done = known.status.iterations
    if done >= known.canary.spec.analysis.iterations:
        return promote_when_confirmed(known, seen, told, results)
    told = (*told, news.advance_iteration(known.canary, done + 1))
    return advance(known, ALL_CANARY, told, results, iterations=done + 1, canary_weight=0)
