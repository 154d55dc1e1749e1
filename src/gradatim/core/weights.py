"""The split of traffic between primary and canary, and the arithmetic of steps. Weights are shares of 100."""

from __future__ import annotations

import msgspec

from gradatim.api.canary import Analysis

TOTAL = 100


class Routes(msgspec.Struct, frozen=True):
    """How traffic is split; `mirrored` means that the canary also receives copies."""

    primary: int
    canary: int
    mirrored: bool = False


ALL_PRIMARY = Routes(TOTAL, 0)
ALL_CANARY = Routes(0, TOTAL)
MIRRORED = Routes(TOTAL, 0, mirrored=True)


def split(canary: int) -> Routes:
    """The two shares of 100 for a canary weight; a weight outside 0 to 100 is cut to it."""
    share = max(0, min(TOTAL, canary))
    return Routes(TOTAL - share, share)


def max_weight(analysis: Analysis) -> int:
    """The canary weight at which stepping ends: the last step, else `maxWeight`, else 100."""
    if analysis.step_weight <= 0 and analysis.step_weights:
        return min(TOTAL, analysis.step_weights[-1])
    return analysis.max_weight or TOTAL


def next_weight(analysis: Analysis, current: int) -> int:
    """The canary weight after `current`.

    With `stepWeight` it is `current` plus that, at most 100. With `stepWeights` it is the first element above
    `current`: a weight that is in the list goes to its successor, one that is not (the list was edited in mid-run)
    goes to the next larger element instead of jumping to 100.
    """
    if analysis.step_weight > 0:
        return min(TOTAL, current + analysis.step_weight)
    return next((min(TOTAL, step) for step in analysis.step_weights if step > current), TOTAL)
