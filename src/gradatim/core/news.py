"""Every sentence a user can read about a release, one function each; and how often it may be told.

Texts that Flagger has are Flagger's, because people match on them. The catalogue is in `docs/reference/events.md`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from gradatim.api.canary import Canary
from gradatim.api.status import Phase
from gradatim.core import names
from gradatim.core.problems import Problem


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes Event on the Canary, also sent to event hooks.

    `phase` is what event hooks are told where it is not the phase at the start of the look. With `once`, another event
    of that key is not told again in this phase; with `every` (seconds) besides, not before that time has passed. An
    `error` is a warning that the log has as an error: something beside the release does not work.
    """

    text: str
    warning: bool = False
    error: bool = False
    phase: Phase | None = None
    once: str = ""
    every: float | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A message to chat rooms; `details` adds target, threshold, deadline and routing. `once` as for events."""

    text: str
    severity: str
    details: bool = False
    once: str = ""


News: TypeAlias = Event | Alert


def _name(canary: Canary) -> str:
    return f"{canary.name}.{canary.namespace}"


def _target(canary: Canary) -> str:
    return f"{canary.target}.{canary.namespace}"


def normal(text: str, *, phase: Phase | None = None, once: str = "") -> Event:
    """An event about something that goes its way."""
    return Event(text=text, phase=phase, once=once)


def warning(text: str, *, once: str = "", every: float | None = None) -> Event:
    """An event about something that does not."""
    return Event(text=text, warning=True, once=once, every=every)


def failure(text: str, *, once: str = "", every: float | None = None) -> Event:
    """A warning about something that the operator needs and cannot use."""
    return Event(text=text, warning=True, error=True, once=once, every=every)


# Setting up -----------------------------------------------------------------------------------------------------------


def suspended() -> Event:
    """`spec.suspend` holds everything."""
    return normal("skipping canary run as object is suspended", once="suspended")


def trouble(text: str, every: float) -> Event:
    """Something stands in the way; told again while it lasts, but not at every look."""
    return warning(text, once=text, every=every)


def problem(found: Problem) -> Event:
    """The user wrote something that cannot work."""
    return warning(f"Invalid spec: {found}", once=str(found))


def sources_online() -> Event:
    """All metrics sources answered."""
    return normal("all the metrics providers are available!", once="sources online")


def sources_offline(text: str) -> Event:
    """A metrics source does not answer; initialization goes on."""
    return failure(f"Error checking metric providers: {text}", once="sources offline")


def initialized(canary: Canary) -> tuple[News, ...]:
    """The primary serves."""
    return (
        normal(f"Initialization done! {_name(canary)}", phase=Phase.INITIALIZED),
        Alert(text=f"New {canary.kind} detected, initialization completed.", severity="info", details=True),
    )


def no_pods(canary: Canary, why: str) -> Event:
    """The canary lost all its pods while it had traffic."""
    return warning(f"Halt {_name(canary)} advancement no available pods, all traffic is back on the primary: {why}")


def target_lost(canary: Canary, why: str) -> tuple[News, ...]:
    """The target is gone in the middle of a run."""
    return (
        warning(f"Rolling back {_name(canary)} target lost: {why}"),
        Alert(text=f"Target lost: {why}", severity="error"),
    )


def promotion_goes_on(canary: Canary) -> Event:
    """After a failed promotion the primary is ready after all."""
    primary = f"{names.primary_workload(canary)}.{canary.namespace}"
    return normal(f"Promotion of {_target(canary)} goes on, {primary} is ready")


def initialization_failed(canary: Canary, why: str) -> tuple[News, ...]:
    """The primary never became ready; the target was left alone."""
    return (
        warning(f"Initialization of {_name(canary)} failed, {_target(canary)} keeps serving: {why}"),
        deadline_alert(why),
    )


def repaired(changed: tuple[str, ...]) -> Event:
    """Somebody changed what we own; it is as it was."""
    return normal(f"Brought back into shape: {', '.join(changed)}")


def unkept(what: str) -> Event:
    """What we wrote was changed back at once; all else goes on, and it is tried again, in the end once an interval."""
    text = (
        f"{what} does not stay as it was written; look for a webhook or a controller that changes it, or for an API"
        " server that does not know the field; spec.service.unmanagedMetadata gives up metadata of Services"
    )
    return warning(text, once=text)


def rerouted(canary: Canary, found: int, wanted: int) -> Event:
    """Somebody changed the weights by hand; they are as they were."""
    return warning(f"Canary weight of {_name(canary)} was {found} instead of {wanted}, set back to {wanted}")


# A run ----------------------------------------------------------------------------------------------------------------


def scaling_up(canary: Canary) -> tuple[News, ...]:
    """A run begins."""
    return (
        normal(f"New revision detected! Scaling up {_target(canary)}", phase=Phase.PROGRESSING),
        Alert(text="New revision detected, progressing canary analysis.", severity="info", details=True),
    )


def unmeasured(canary: Canary, found: Problem) -> Event:
    """A new revision does not start as long as its checks could not be asked."""
    return warning(f"Halt {_name(canary)} advancement metrics cannot be asked: {found}", once=f"start/{found}")


def restarting(canary: Canary) -> Event:
    """A newer revision replaces the one under analysis."""
    return normal(f"New revision detected! Restarting analysis for {_target(canary)}")


def called_off(canary: Canary) -> Event:
    """The target was set back to what the primary runs."""
    return normal(f"Revision set back! {_target(canary)} is what the primary runs, ending the analysis")


def withdrawn(canary: Canary) -> Event:
    """The target was set back before its release was approved."""
    return normal(f"Revision set back! Nothing is left to approve for {_target(canary)}")


def starting(canary: Canary) -> Event:
    """Pods are ready, the analysis begins."""
    return normal(f"Starting canary analysis for {_target(canary)}", once="starting")


def advance_weight(canary: Canary, weight: int) -> Event:
    """The canary got more traffic."""
    return normal(f"Advance {_name(canary)} canary weight {weight}")


def advance_iteration(canary: Canary, iteration: int) -> Event:
    """One round of A/B or blue/green is done."""
    return normal(f"Advance {_name(canary)} canary iteration {iteration}/{canary.spec.analysis.iterations}")


def shifts_nothing(canary: Canary, mesh: str, rounds: int) -> tuple[Event, ...]:
    """What of a traffic plan is left out where no traffic can be shifted; told with the steps of a run, once."""
    analysis = canary.spec.analysis
    texts = []
    if analysis.match:
        texts.append(f"A/B testing is not supported when using the {mesh} provider")
    if analysis.iterations < 1:
        texts.append(f"Progressive traffic is not supported when using the {mesh} provider")
        texts.append(f"Setting canaryAnalysis.iterations: {rounds}")
    return tuple(warning(text, once=text) for text in texts)


def all_to_canary(*, mirrored: bool) -> Event:
    """The cut-over of blue/green."""
    return normal(
        "Stop traffic mirroring and route all traffic to canary" if mirrored else "Routing all traffic to canary"
    )


def copying(canary: Canary) -> Event:
    """The primary gets the new template."""
    return normal(f"Copying {_target(canary)} template spec to {names.primary_workload(canary)}.{canary.namespace}")


def all_to_primary() -> Event:
    """The new primary takes over."""
    return normal("Routing all traffic to primary")


def advance_primary(canary: Canary, weight: int) -> Event:
    """The new primary takes over step by step."""
    return normal(f"Advance {_name(canary)} primary weight {weight}")


def promoted(canary: Canary) -> tuple[News, ...]:
    """The release is through."""
    if canary.spec.skip_analysis:
        return (
            normal(f"Promotion completed! Canary analysis was skipped for {_target(canary)}", phase=Phase.SUCCEEDED),
            Alert(text="Canary analysis was skipped, promotion finished.", severity="info"),
        )
    return (
        normal(f"Promotion completed! Scaling down {_target(canary)}", phase=Phase.SUCCEEDED),
        Alert(text="Canary analysis completed successfully, promotion finished.", severity="info"),
    )


# Gates and hooks ------------------------------------------------------------------------------------------------------


def gate_passed(kind: str, hook: str, *, once: bool = False) -> Event:
    """A hook that must approve has approved; `kind` is its type."""
    return normal(f"{kind.capitalize()} check {hook} passed", once=f"{kind}/{hook}" if once else "")


def waiting_for_approval(canary: Canary, hook: str, *, mute: bool) -> tuple[News, ...]:
    """The gate before a run is closed."""
    event = warning(f"Halt {_name(canary)} advancement waiting for approval {hook}")
    return (event, *_gate_alert("Canary is waiting for approval.", mute))


def waiting_for_increase(canary: Canary, hook: str, *, mute: bool) -> tuple[News, ...]:
    """The gate before more traffic is closed."""
    event = warning(f"Halt {_name(canary)} advancement waiting for traffic increase approval {hook}")
    return (event, *_gate_alert("Canary traffic increase is waiting for approval.", mute))


def waiting_for_promotion(canary: Canary, hook: str, *, mute: bool) -> tuple[News, ...]:
    """The gate before promotion is closed."""
    event = warning(f"Halt {_name(canary)} advancement waiting for promotion approval {hook}")
    return (event, *_gate_alert("Canary promotion is waiting for approval.", mute))


def _gate_alert(text: str, mute: bool) -> tuple[News, ...]:
    return () if mute else (Alert(text=text, severity="warn"),)


def given_up(canary: Canary, why: str) -> tuple[News, ...]:
    """Nobody approved a release in time; it never began."""
    return (
        Event(text=f"Giving up the release of {_target(canary)} {why}", warning=True, phase=Phase.FAILED),
        Alert(text=f"Release given up, {why}", severity="error"),
    )


def not_approved(canary: Canary, why: str) -> tuple[News, ...]:
    """Nobody approved the next move of a run in time."""
    return (
        warning(f"Rolling back {_name(canary)} {why}"),
        Alert(text=f"Rolling back, {why}", severity="error"),
    )


def pre_rollout_failed(canary: Canary, hook: str, error: str) -> Event:
    """A hook before the first traffic said no."""
    return warning(f"Halt {_name(canary)} advancement pre-rollout check {hook} failed {error}")


def external_check_failed(canary: Canary, hook: str, error: str) -> Event:
    """A hook of the analysis said no."""
    return warning(f"Halt {_name(canary)} advancement external check {hook} failed {error}")


def no_rollback_wanted(hook: str) -> Event:
    """A rollback hook did not ask for a rollback; told once a phase."""
    return normal(f"Rollback hook {hook} not signaling a rollback", once=f"rollback/{hook}")


def rollback_hook_not_asked(hook: str, error: str) -> Event:
    """A rollback hook gives no answer, which is no wish for a rollback; told once a phase."""
    text = f"Rollback hook {hook} cannot be asked, so that nobody can have a rollback by it: {error}"
    return failure(text, once=f"no answer/{hook}")


def rollback_wanted(canary: Canary, hook: str) -> tuple[News, ...]:
    """Somebody asked for a rollback."""
    return (
        warning(f"Rollback check {hook} passed"),
        warning(f"Rolling back {_name(canary)} manual webhook invoked"),
        Alert(text="Rolling back manual webhook invoked", severity="warn"),
    )


def post_rollout(hook: str, error: str | None, phase: Phase) -> Event:
    """What a hook after the end said; never changes anything."""
    if error is None:
        return normal(f"Post-rollout check {hook} passed", phase=phase)
    return Event(text=f"Post-rollout hook {hook} failed {error}", warning=True, phase=phase)


# Failure --------------------------------------------------------------------------------------------------------------


def too_many_failed_checks(canary: Canary, failed: int) -> tuple[News, ...]:
    """The threshold is reached."""
    return (
        warning(f"Rolling back {_name(canary)} failed checks threshold reached {failed}"),
        Alert(text=f"Failed checks threshold reached {failed}", severity="error"),
    )


def deadline_exceeded(canary: Canary, why: str) -> tuple[News, ...]:
    """A workload did not become ready in time."""
    return (
        warning(why),
        warning(f"Rolling back {_name(canary)} progress deadline exceeded {why}"),
        deadline_alert(why),
    )


def deadline_alert(why: str) -> Alert:
    """The alert of every failure by deadline."""
    return Alert(text=f"Progress deadline exceeded {why}", severity="error")


def unmeasurable(canary: Canary, why: str) -> tuple[News, ...]:
    """The metrics source has been away for so long that nobody can vouch for the release."""
    return (
        warning(f"Rolling back {_name(canary)} metrics could not be measured: {why}"),
        Alert(text=f"Metrics could not be measured: {why}", severity="error"),
    )


def failed(canary: Canary) -> Event:
    """Traffic is back on the primary."""
    return Event(text=f"Canary failed! Scaling down {_name(canary)}", warning=True, phase=Phase.FAILED)


def failed_in_place(canary: Canary) -> Event:
    """Failed, but the primary has no pods that could take the traffic."""
    text = f"Canary failed! The primary of {_name(canary)} has no available pods, all traffic goes to {_target(canary)}"
    return Event(text=text, warning=True, phase=Phase.FAILED)


def promotion_failed(canary: Canary, why: str) -> tuple[News, ...]:
    """The primary did not come up with the new template; the canary goes on serving."""
    return (
        warning(f"Promotion of {_target(canary)} failed, primary not ready: {why}"),
        Alert(text=f"Promotion failed, primary not ready: {why}", severity="error"),
    )


# Deletion -------------------------------------------------------------------------------------------------------------


def terminating(canary: Canary) -> Event:
    """The target is being given back."""
    return normal(f"Terminating canary {_name(canary)}")


def terminated(canary: Canary) -> Event:
    """Everything is as it was before."""
    return normal(f"Terminated canary {_name(canary)}")
