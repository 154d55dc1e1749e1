"""The gate before a run is closed: ask it again at every interval, and leave when there is nothing to release."""

from __future__ import annotations

from gradatim.core import gates, news
from gradatim.core.hold import hold, shaped, target
from gradatim.core.phases.resting import changed
from gradatim.core.run import call_off, roll_back, start
from gradatim.core.verdict import Known, Part, Plan


def decide(known: Known) -> Plan:
    """Start when approved; end when the target was set back or somebody asks for a rollback."""
    seen = target(known)
    shaped(known, Part.SERVICES, Part.PRIMARY, Part.SCALER, Part.APEX, Part.ROUTES)
    if not changed(known, seen):
        return call_off(known, seen)
    if not known.due:
        return hold(known, requeue=known.asleep)
    hook, _ = gates.rollback_asked(known)
    if hook is not None:
        return roll_back(known, *news.rollback_wanted(known.canary, hook), why=f"asked for by hook {hook}")
    return start(known, seen)
