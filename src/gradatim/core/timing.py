"""How often a Canary is looked at by the clock."""

from __future__ import annotations

from typing import Any

from gradatim.api.durations import parse_duration
from gradatim.core import conditions
from gradatim.core.verdict import Known, Question

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


def waited_since(known: Known, question: Question[Any]) -> float:
    """When the waiting for a yes began, in Unix seconds: with what was recorded last, or later, or just now.

    What is recorded may be hours old, such as behind a gate that is closed, while all was well.
    """
    recorded = conditions.seconds(known.status.last_transition_time)
    found = known.waits.get(question, known.now)
    return found if recorded is None else max(recorded, found)


def overdue(known: Known, question: Question[Any]) -> bool:
    """Whether a yes has been waited for for as long as the progress deadline."""
    return known.now - waited_since(known, question) > known.canary.spec.progress_deadline
