"""From phase to conditions: `Promoted` as Flagger writes it, and the ones that generic tooling (kstatus) reads."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from gradatim.api.status import Condition, Phase

_SCALED_DOWN = "scaled to zero."
_PROMOTED = {
    Phase.INITIALIZED: ("True", "{kind} initialization completed."),
    Phase.WAITING: ("Unknown", "Waiting for approval."),
    Phase.PROGRESSING: ("Unknown", "New revision detected, progressing canary analysis."),
    Phase.WAITING_PROMOTION: ("Unknown", "Waiting for approval."),
    Phase.PROMOTING: ("Unknown", "Canary analysis completed, starting primary rolling update."),
    Phase.FINALISING: ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    Phase.SUCCEEDED: ("True", "Canary analysis completed successfully, promotion finished."),
    Phase.FAILED: ("False", f"Canary analysis failed, {{kind}} {_SCALED_DOWN}"),
    Phase.TERMINATING: ("Unknown", "Deletion requested, giving {kind} back its pods and its traffic."),
}
_KEPT = "Canary analysis failed, {kind} keeps its pods because the primary is not ready."
INVALID = "InvalidSpec"
"""Reason of the conditions of a Canary whose spec cannot work."""
HINDERED = "NotPossible"
"""Reason of `Ready` while something outside stands in the way, such as an object that does not exist."""
ROLLING_BACK = "RollingBack"
"""Reason of `Ready` from the decision to roll back until it is done."""


def timestamp(now: float) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times."""
    return datetime.fromtimestamp(int(now), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float | None:
    """Unix seconds of a timestamp; None for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def promoted(phase: Phase, kind: str, *, kept: bool = False) -> Condition:
    """The condition `Promoted` of a phase, without times; `kept` is a failed canary that was not scaled to zero."""
    status, text = _PROMOTED.get(phase, ("Unknown", "New {kind} detected, starting initialization."))
    if phase is Phase.FAILED and kept:
        text = _KEPT
    return Condition("Promoted", status, phase.value, text.format(kind=kind))


def says_scaled_down(found: Condition | None) -> bool:
    """Whether the condition `Promoted` of a failure says that the canary was scaled down."""
    return found is not None and found.reason == Phase.FAILED.value and found.message.endswith(_SCALED_DOWN)


def health(phase: Phase, kind: str, why: str, *, condemned: bool = False) -> tuple[Condition, ...]:
    """`Ready`, with `Reconciling` or `Stalled` beside it where they are true, without times.

    `why` is the reason of a failure or a halt in words; empty for the phase's own sentence. `condemned` is a run that
    will be rolled back.
    """
    text = why or promoted(phase, kind).message
    match phase:
        case Phase.INITIALIZED | Phase.SUCCEEDED:
            return (Condition("Ready", "True", phase.value, text),)
        case Phase.FAILED:
            return (Condition("Ready", "False", phase.value, text), Condition("Stalled", "True", phase.value, text))
        case _:
            reason = ROLLING_BACK if condemned else phase.value
            return (Condition("Ready", "Unknown", reason, text), Condition("Reconciling", "True", reason, text))


def refused(message: str) -> tuple[Condition, ...]:
    """`Ready` and `Stalled` of a Canary whose spec cannot work."""
    return (
        Condition("Ready", "False", INVALID, message),
        Condition("Stalled", "True", INVALID, message),
    )


def hindered(message: str) -> tuple[Condition, ...]:
    """`Ready` while something stands in the way; it goes on by itself, so that it is not stalled."""
    return (
        Condition("Ready", "False", HINDERED, message),
        Condition("Reconciling", "True", HINDERED, message),
    )


SPEC_WARNING = "SpecWarning"


def warned(message: str) -> tuple[Condition, ...]:
    """`SpecWarning`, only while there is something to warn of."""
    return (Condition(SPEC_WARNING, "True", "Questionable", message),) if message else ()


def stamped(new: tuple[Condition, ...], old: tuple[Condition, ...], now: str) -> tuple[Condition, ...]:
    """New conditions with times.

    One whose status, reason and message are unchanged keeps both times; one whose status is unchanged keeps its
    transition time.
    """
    before = {condition.type: condition for condition in old}
    return tuple(_stamp(condition, before.get(condition.type), now) for condition in new)


def _stamp(new: Condition, old: Condition | None, now: str) -> Condition:
    if old is None:
        return msgspec.structs.replace(new, last_update_time=now, last_transition_time=now)
    if (new.status, new.reason, new.message) == (old.status, old.reason, old.message):
        return old
    moved = now if new.status != old.status else old.last_transition_time or now
    return msgspec.structs.replace(new, last_update_time=now, last_transition_time=moved)
