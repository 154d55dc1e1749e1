"""Which of the three strategies an analysis follows; what their steps are is in `strategies/`."""

from __future__ import annotations

from enum import Enum

from gradatim.api.canary import Analysis


class Strategy(Enum):
    """The values are those of the metric label `deployment_strategy`."""

    AB_TESTING = "ab-testing"
    BLUE_GREEN = "blue-green"
    CANARY = "canary"


def strategy_of(analysis: Analysis) -> Strategy:
    """Iterations with match conditions test A/B, iterations alone blue/green, everything else moves by weights."""
    if analysis.iterations > 0:
        return Strategy.AB_TESTING if analysis.match else Strategy.BLUE_GREEN
    return Strategy.CANARY
