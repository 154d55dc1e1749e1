"""The next status: what a plan records, with conditions and times made to fit. Nothing else builds a status."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.api.status import CanaryStatus, CheckResult, Condition, PastRelease, Phase
from gradatim.core import conditions
from gradatim.core.changes import failed_to_promote
from gradatim.core.problems import Problem
from gradatim.core.verdict import Known, References, TargetSeen

HISTORY = 10
"""How many past releases a status remembers."""

_VALID_SPEC = "a valid spec"
_WAITS_FOR = {
    Phase.INITIALIZING: "the primary to be ready",
    Phase.WAITING: "approval",
    Phase.PROGRESSING: "the next check",
    Phase.WAITING_PROMOTION: "approval of the promotion",
    Phase.PROMOTING: "the primary's new pods to be ready",
    Phase.FINALISING: "proxies to follow before pods go away",
    Phase.FAILED: "a new revision",
}
"""What a phase waits for, in general."""


def record(known: Known, phase: Phase, *, why: str = "", condemned: bool = False, **fields: Any) -> CanaryStatus:
    """The known status in a phase with some fields changed.

    `why` is the reason of a failure or a halt for the conditions; a failure keeps the one it has. `lastTransitionTime`
    becomes now, as Flagger writes it: the time of the last write of any sort. `condemned` notes that the run will be
    rolled back, so that this is done whatever happens in between. Who waits for something else than before does not
    wait for a gate any more, unless `waiting_since` says so.
    """
    if fields.get("waiting_for", known.status.waiting_for) != known.status.waiting_for:
        fields.setdefault("waiting_since", "")
    if not why and phase is known.status.phase is Phase.FAILED:
        why = _standing_reason(known.status)
    status = msgspec.structs.replace(known.status, phase=phase, **fields)
    kind = known.canary.kind
    wanted = (
        conditions.promoted(phase, kind, kept=kept_its_pods(status)),
        *conditions.health(phase, kind, why, condemned=condemned),
    )
    return _timed(known, status, wanted)


def kept_its_pods(status: CanaryStatus) -> bool:
    """Whether a failure left the target's pods alone: they have traffic, or what they run was promoted, or nothing."""
    return bool(status.canary_weight) or not status.last_promoted_spec or failed_to_promote(status)


def sentence_on(status: CanaryStatus) -> str | None:
    """Why a run will be rolled back; None for one that will not."""
    ready = status.condition("Ready")
    return ready.message if ready is not None and ready.reason == conditions.ROLLING_BACK else None


def _standing_reason(status: CanaryStatus) -> str:
    """Why the last release failed, as far as the status remembers."""
    ready = status.condition("Ready")
    if ready is not None and ready.reason == Phase.FAILED.value:
        return ready.message
    return status.history[-1].reason if status.history else ""


def refuse(known: Known, message: str) -> CanaryStatus:
    """The status of a Canary whose spec cannot work: the phase stays, the conditions say what is wrong."""
    phase = known.status.phase if known.status.phase is not Phase.UNSET else Phase.INITIALIZING
    status = msgspec.structs.replace(known.status, phase=phase, waiting_for=_VALID_SPEC, waiting_since="")
    standing = known.status.condition("Promoted") or conditions.promoted(phase, known.canary.kind)
    return _timed(known, status, (standing, *conditions.refused(message)))


def hindered(known: Known, message: str) -> CanaryStatus | None:
    """The status of a Canary that something stands in the way of; None when it says so already.

    A failure, or a rollback that is due, is the more important word. The spec does not count as observed: it is not
    carried out yet.
    """
    ready = known.status.condition("Ready")
    taken = known.status.phase is Phase.FAILED or sentence_on(known.status) is not None
    if taken or (ready is not None and (ready.reason, ready.message) == (conditions.HINDERED, message)):
        return None
    phase = known.status.phase if known.status.phase is not Phase.UNSET else Phase.INITIALIZING
    standing = known.status.condition("Promoted") or conditions.promoted(phase, known.canary.kind)
    status = _timed(
        known, msgspec.structs.replace(known.status, phase=phase), (standing, *conditions.hindered(message))
    )
    return msgspec.structs.replace(status, observed_generation=known.status.observed_generation)


def unhindered(known: Known) -> CanaryStatus | None:
    """The status once nothing stands in the way any more; None when it does not say that something does."""
    ready = known.status.condition("Ready")
    if ready is None or ready.reason != conditions.HINDERED:
        return None
    status = record(known, known.status.phase)
    return msgspec.structs.replace(status, observed_generation=known.status.observed_generation)


def acknowledged(known: Known) -> CanaryStatus | None:
    """The status that takes note of an edited spec, a mended one, or other warnings; None when nothing is new.

    Zero is the generation on a cluster whose CRD does not keep it.
    """
    if not edited(known) and not was_refused(known.status) and warnings(known) == told_warnings(known.status):
        return None
    return record(known, known.status.phase, waiting_for=_waiting_for(known.status))


def edited(known: Known) -> bool:
    """Whether the spec was edited since the status was recorded, as far as the status tells."""
    return known.status.observed_generation not in (known.canary.generation, 0)


def mended(known: Known) -> CanaryStatus:
    """The status after a refusal: same phase, and what it waits for is no valid spec any more.

    The new spec does not count as observed yet, so that carrying it out is not told as a repair.
    """
    status = record(known, known.status.phase, waiting_for=_waiting_for(known.status))
    return msgspec.structs.replace(status, observed_generation=known.status.observed_generation)


def _waiting_for(status: CanaryStatus) -> str:
    return _WAITS_FOR.get(status.phase, "") if status.waiting_for == _VALID_SPEC else status.waiting_for


def was_refused(status: CanaryStatus) -> bool:
    """Whether the spec was found wanting when it was last looked at."""
    ready = status.condition("Ready")
    return ready is not None and ready.reason == conditions.INVALID


def references(known: Known) -> tuple[Problem, ...]:
    """What is wrong with what the Canary refers to.

    What is needed to measure is in nobody's way until a release begins, nor where the analysis is skipped.
    """
    needed = known.status.phase is Phase.WAITING and not known.canary.spec.skip_analysis
    return tuple(
        msgspec.structs.replace(problem, blocks=problem.blocks and (needed or not problem.measures))
        for problem in known.get(References())
    )


def warnings(known: Known) -> str:
    """What is wrong without holding anything up; in the middle of a run, what was wrong before it."""
    if References() not in known.answers:
        return told_warnings(known.status)
    found = (*known.problems, *references(known))
    return "; ".join(str(problem) for problem in found if not problem.blocks)


def told_warnings(status: CanaryStatus) -> str:
    """What the status says is wrong without holding anything up."""
    told = status.condition(conditions.SPEC_WARNING)
    return told.message if told is not None else ""


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


def ended(known: Known, outcome: Phase, reason: str, revision: str = "") -> tuple[PastRelease, ...]:
    """The history with this release at its end; `revision` names one that was never applied."""
    release = PastRelease(
        revision=revision or known.status.last_applied_spec,
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


def rechecked(known: Known, results: tuple[CheckResult, ...]) -> CanaryStatus | None:
    """The status with other verdicts than before, or noted under an edited spec; None when nothing of it is new."""
    before = {old.name: old.verdict for old in known.status.checks}
    if not edited(known) and all(before.get(result.name, result.verdict) == result.verdict for result in results):
        return None
    return record(known, known.status.phase, checks=checked(known, results))


def _timed(known: Known, status: CanaryStatus, wanted: tuple[Condition, ...]) -> CanaryStatus:
    now = conditions.timestamp(known.now)
    wanted = (*wanted, *conditions.warned(warnings(known)))
    return msgspec.structs.replace(
        status,
        conditions=conditions.stamped(wanted, known.status.conditions, now),
        observed_generation=known.canary.generation,
        last_transition_time=now,
    )
