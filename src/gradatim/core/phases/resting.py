"""Nothing is under way: keep things in shape, and notice when the target is no longer what was last released."""

from __future__ import annotations

from gradatim.api.canary import FINALIZER
from gradatim.api.status import Phase
from gradatim.core import conditions, expected, news
from gradatim.core.hold import pending, shaped, target
from gradatim.core.readiness import Ready
from gradatim.core.record import record, restored, warnings
from gradatim.core.revision import Change, config_changed, is_ours, spec_changed
from gradatim.core.run import start
from gradatim.core.verdict import (
    AddFinalizer,
    Known,
    Part,
    Plan,
    PrimaryReady,
    Promote,
    RemoveFinalizer,
    TargetSeen,
)


def decide(known: Known) -> Plan:
    """Repair, adopt, begin a run, or do nothing at all."""
    wanted, present = known.canary.spec.revert_on_deletion, FINALIZER in known.canary.finalizers
    if wanted != present:
        return Plan(actions=(AddFinalizer() if wanted else RemoveFinalizer(),), again=True)
    seen = target(known)
    if not known.status.last_promoted_spec:
        return _set_up_again(known, seen)
    shaped(known, Part.SERVICES, Part.PRIMARY, Part.SCALER, Part.APEX, Part.ROUTES)
    if not is_ours(known.status.last_applied_spec):
        return _adopt(known, seen)
    if changed(known, seen):
        return start(known, seen)
    expected.repair(known)
    if known.status.observed_generation != known.canary.generation or _was_refused(known) or _warned_anew(known):
        return Plan(status=restored(known))
    return Plan()


def changed(known: Known, seen: TargetSeen) -> bool:
    """Whether the target is a new revision.

    While traffic is on the target after a failed promotion, going back to the promoted revision is one too: the primary
    no longer runs it.
    """
    status = known.status
    promoted = "" if status.phase is Phase.FAILED and status.canary_weight else status.last_promoted_spec
    spec = spec_changed(seen.revision, status.last_applied_spec, promoted)
    return spec is Change.NEW or config_changed(seen.configs, status.tracked_configs)


def _was_refused(known: Known) -> bool:
    ready = known.status.condition("Ready")
    return ready is not None and ready.reason == "InvalidSpec"


def _warned_anew(known: Known) -> bool:
    told = known.status.condition(conditions.SPEC_WARNING)
    return warnings(known) != (told.message if told is not None else "")


def _adopt(known: Known, seen: TargetSeen) -> Plan:
    """Take over a status that Flagger wrote: its hashes cannot be compared, so what is there is what was released."""
    promoted = known.status.last_promoted_spec if known.status.phase is Phase.FAILED else seen.revision
    return Plan(
        status=record(
            known,
            known.status.phase,
            last_applied_spec=seen.revision,
            last_promoted_spec=promoted,
            tracked_configs=seen.configs,
        )
    )


def _set_up_again(known: Known, seen: TargetSeen) -> Plan:
    """Initialization had failed: go on with it once the primary is ready after all, or with a new revision."""
    if seen.revision == known.status.last_applied_spec:
        state = known.get(PrimaryReady())
        if not isinstance(state, Ready):
            return pending(known, state, tell=False)
        return Plan(status=record(known, Phase.INITIALIZING, waiting_for="the primary to be ready"), again=True)
    return Plan(
        actions=(Promote(seen.revision),),
        status=record(
            known, Phase.INITIALIZING, last_applied_spec=seen.revision, waiting_for="the primary to be ready"
        ),
        news=(news.copying(known.canary),),
        again=True,
    )
