"""Did two runs of one scenario end alike?"""

from __future__ import annotations

from cluster.parity import Recording, compare

_MOMENTS = ("time", "ended", "waitingSince")


def other_ends(one: Recording, other: Recording) -> list[str]:
    """What differs in phases, in objects, or in how they ended; moments do not count, nor what was told on the way."""
    found = compare(_timeless(one), _timeless(other))
    return [f"{each.what} {each}" for each in found if each.what in ("outcome", "phases", "state")]


def _timeless(recording: Recording) -> Recording:
    for row in recording.states():
        status = row.canary.get("status", {})
        for part in (status, *status.get("checks", ()), *status.get("history", ())):
            part.update({key: "TIME" for key in _MOMENTS if key in part})
    return recording
