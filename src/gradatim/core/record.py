"""The next status: what a plan records, with conditions and times made to fit. Nothing else builds a status."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.api.status import CanaryStatus, CheckResult, Condition, PastRelease, Phase
from gradatim.core import conditions
from gradatim.core.verdict import Known, References, TargetSeen

HISTORY = 10
"""How many past releases a status remembers."""


def record(known: Known, phase: Phase, *, why: str = "", **fields: Any) -> CanaryStatus:
    """The known status in a phase with some fields changed.

    `why` is the reason of a failure for the conditions. `lastTransitionTime` becomes now, as Flagger writes it: the
    time of the last write of any sort.
    """
    status = msgspec.structs.replace(known.status, phase=phase, **fields)
    kind = known.canary.kind
    wanted = (
        conditions.promoted(phase, kind, serving=status.canary_weight > 0),
        *conditions.health(phase, kind, why),
    )
    return _timed(known, status, wanted)


def refuse(known: Known, message: str) -> CanaryStatus:
    """The status of a Canary whose spec cannot work: the phase stays, the conditions say what is wrong."""
    phase = known.status.phase if known.status.phase is not Phase.UNSET else Phase.INITIALIZING
    status = msgspec.structs.replace(known.status, phase=phase, waiting_for="a valid spec")
    standing = known.status.condition("Promoted") or conditions.promoted(phase, known.canary.kind, serving=False)
    return _timed(known, status, (standing, *conditions.refused(message)))


def restored(known: Known) -> CanaryStatus:
    """The status after a refusal or an edit of the spec: same phase, conditions and `observedGeneration` anew."""
    return record(known, known.status.phase)


def warnings(known: Known) -> str:
    """What is wrong without holding anything up; in the middle of a run, what was wrong before it."""
    if References() not in known.answers:
        before = known.status.condition(conditions.SPEC_WARNING)
        return before.message if before is not None else ""
    found = (*known.problems, *known.get(References()))
    return "; ".join(str(problem) for problem in found if not problem.blocks)


def run_started(known: Known, target: TargetSeen, **fields: Any) -> CanaryStatus:
    """The status at the beginning of a run or its restart: counters at zero, the new revision noted."""
    return record(
        known,
        Phase.PROGRESSING,
        failed_checks=0,
        iterations=0,
        last_applied_spec=target.revision,
        tracked_configs=target.configs,
        waiting_for="the new revision's pods to be ready",
        checks=(),
        **fields,
    )


def ended(known: Known, outcome: Phase, reason: str) -> tuple[PastRelease, ...]:
    """The history with this release at its end."""
    release = PastRelease(
        revision=known.status.last_applied_spec,
        outcome=outcome.value,
        reason=reason,
        ended=conditions.timestamp(known.now),
    )
    return (*known.status.history, release)[-HISTORY:]


def checked(known: Known, results: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The last word on every check: new results replace older ones of the same name, others stay."""
    fresh = {result.name: result for result in results}
    kept = tuple(fresh.pop(old.name, old) for old in known.status.checks)
    return (*kept, *fresh.values())


def _timed(known: Known, status: CanaryStatus, wanted: tuple[Condition, ...]) -> CanaryStatus:
    now = conditions.timestamp(known.now)
    wanted = (*wanted, *conditions.warned(warnings(known)))
    return msgspec.structs.replace(
        status,
        conditions=conditions.stamped(wanted, known.status.conditions, now),
        observed_generation=known.canary.generation,
        last_transition_time=now,
    )
