"""One step forward, once every check of the tick has passed."""

from __future__ import annotations

from typing import assert_never

from gradatim.api.status import CheckResult
from gradatim.core.news import News
from gradatim.core.strategies import ab_testing, blue_green, canary
from gradatim.core.strategy import Strategy, strategy_of
from gradatim.core.verdict import Known, Plan, TargetSeen


def step(known: Known, seen: TargetSeen, told: tuple[News, ...], results: tuple[CheckResult, ...]) -> Plan:
    """The next step of whichever strategy the Canary follows; `told` goes before its own news."""
    told = (*told, *known.caveats)
    match strategy_of(known.canary.spec.analysis):
        case Strategy.AB_TESTING:
            return ab_testing.step(known, seen, told, results)
        case Strategy.BLUE_GREEN:
            return blue_green.step(known, seen, told, results)
        case Strategy.CANARY:
            return canary.step(known, seen, told, results)
        case never:
            assert_never(never)
