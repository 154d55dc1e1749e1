"""Which of the three strategies an analysis follows; what their steps are is in `strategies/`."""

from __future__ import annotations

from enum import Enum

import msgspec

from gradatim.api.canary import Analysis, Canary


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


ROUNDS_WITHOUT_SHIFTS = 10
"""Iterations of an analysis by weights where there are no weights, as Flagger has it."""


def without_shifts(canary: Canary) -> Canary:
    """The Canary as far as it can be carried out where traffic cannot be shifted: rounds of checks, no more."""
    analysis = canary.spec.analysis
    if analysis.iterations > 0 and not analysis.match:
        return canary
    rounds = analysis.iterations if analysis.iterations > 0 else ROUNDS_WITHOUT_SHIFTS
    analysis = msgspec.structs.replace(analysis, iterations=rounds, match=())
    return msgspec.structs.replace(canary, spec=msgspec.structs.replace(canary.spec, analysis=analysis))
