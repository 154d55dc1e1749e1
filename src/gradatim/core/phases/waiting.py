"""The gate before a run is closed: ask it again at every interval, and leave when there is nothing to release."""

from __future__ import annotations

from gradatim.api.status import Phase
from gradatim.core import expected, gates, news
from gradatim.core.changes import changed, is_promoted
from gradatim.core.hold import hold, surrounded, target
from gradatim.core.record import acknowledged, record
from gradatim.core.revision import is_ours
from gradatim.core.run import roll_back, start
from gradatim.core.verdict import Known, Plan, TargetSeen


def decide(known: Known) -> Plan:
    """Start when approved; end when the target was set back or somebody asks for a rollback.

    A hash of Flagger's cannot be compared, but whoever waits has something to release.
    """
    seen = target(known)
    surrounded(known)
    expected.repair(known)
    if is_ours(known.status.last_applied_spec) and not changed(known.status, seen):
        return _withdraw(known, seen)
    if not known.due:
        noted = acknowledged(known)
        return hold(known, requeue=known.asleep) if noted is None else Plan(status=noted, again=True)
    hook = None if known.canary.spec.skip_analysis else gates.rollback_asked(known)[0]
    if hook is not None:
        return roll_back(known, *news.rollback_wanted(known.canary, hook), why=f"asked for by hook {hook}")
    return start(known, seen)


def _withdraw(known: Known, seen: TargetSeen) -> Plan:
    """The target was set back before anything began: to what is promoted, or to what had failed before."""
    succeeded = is_promoted(known.status, seen) and not known.status.canary_weight
    if succeeded:
        status = record(
            known, Phase.SUCCEEDED, waiting_for="", last_applied_spec=seen.revision, tracked_configs=seen.configs
        )
    else:
        status = record(known, Phase.FAILED, waiting_for="a new revision")
    return Plan(status=status, news=(news.withdrawn(known.canary),), again=True)
