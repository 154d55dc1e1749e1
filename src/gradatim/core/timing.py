"""How often a Canary is looked at by the clock."""

from __future__ import annotations

from gradatim.api.durations import parse_duration
from gradatim.core.verdict import Known

DEFAULT_INTERVAL = 60.0
"""Seconds between ticks of an analysis without `interval`."""


def interval(known: Known) -> float:
    """Seconds between two ticks, never below the floor; a text that is no duration counts as the default."""
    return interval_of(known.canary.spec.analysis.interval, known.settings.interval_floor)


def interval_of(text: str, floor: float) -> float:
    """The same for the text of `spec.analysis.interval`."""
    try:
        wanted = parse_duration(text) if text else DEFAULT_INTERVAL
    except ValueError:
        wanted = DEFAULT_INTERVAL
    return max(wanted, floor)
