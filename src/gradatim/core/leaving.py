"""Before pods go: traffic was moved away from them, and now nobody may lead requests to them any more.

What can be told is asked: where the apex Service leads, and, where users want that, whether the metrics server still
counts requests. Traffic is always moved first, so that a server that is slow or away costs nothing but pods' time.
"""

from __future__ import annotations

from gradatim.core.readiness import Waiting
from gradatim.core.timing import overdue
from gradatim.core.verdict import Action, Known, LiveRoutes, Plan, Quiet, Repointed, Shift
from gradatim.core.weights import Routes

ENDPOINTS_AGAIN, METRICS_AGAIN = 0.5, 1.0
"""Seconds until those are asked again who do not report changes."""


def still_reached(known: Known, *, primary: bool = False, service: bool = False) -> Plan | None:
    """Hold on while requests reach pods that are to go; None when nothing is known that speaks against it.

    `service` says that users may have been led to these pods by the apex Service alone, whose selector was changed.
    """
    leads = Repointed(primary)
    if service and isinstance(known.get(leads), Waiting) and not overdue(known, leads):
        return Plan(requeue=ENDPOINTS_AGAIN)
    if known.settings.drain > 0 and isinstance(known.get(Quiet(primary)), Waiting):
        return Plan(requeue=METRICS_AGAIN)
    return None


def left(known: Known, to: Routes, *first: Action) -> Plan | None:
    """What comes before taking the canary's pods away: its traffic first, then hold on while it still gets requests.

    None when the pods may go, and where nobody is to be asked: then all that is one plan. `first` comes before a shift.
    """
    if known.settings.drain <= 0:
        return None
    live = known.get(LiveRoutes()) if known.traits.shifts_traffic else to
    if isinstance(live, Routes) and (live.canary, live.mirrored) != (to.canary, to.mirrored):
        return Plan(actions=(*first, Shift(to)), weights=to, again=True)
    return still_reached(known)
