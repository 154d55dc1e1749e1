"""Nothing is under way: keep things in shape, and notice when the target is no longer what was last released."""

from __future__ import annotations

import msgspec

from gradatim.api.status import Phase
from gradatim.core import expected, news
from gradatim.core.changes import changed, failed_to_promote, is_applied, is_promoted
from gradatim.core.hold import pending, shaped, surrounded, target
from gradatim.core.leaving import left
from gradatim.core.phases import refused
from gradatim.core.readiness import Ready
from gradatim.core.record import acknowledged, record
from gradatim.core.revision import is_ours
from gradatim.core.run import start, welcome
from gradatim.core.verdict import (
    Action,
    Known,
    Part,
    Plan,
    PrimaryReady,
    Promote,
    References,
    Settle,
    Shift,
    StopCanary,
    TargetSeen,
)
from gradatim.core.weights import ALL_PRIMARY


def decide(known: Known) -> Plan:
    """Repair, adopt, begin a run, or do nothing at all."""
    seen = target(known)
    if not known.status.last_promoted_spec:
        return _set_up_again(known, seen)
    surrounded(known)
    if not is_ours(known.status.last_applied_spec):
        return _adopt(known, seen)
    if _is_away(known, seen) and isinstance(known.get(PrimaryReady()), Ready):
        return _home_again(known, seen)
    expected.repair(known)
    if changed(known.status, seen):
        return _unmeasurable(known) or start(known, seen)
    if known.status.phase is Phase.FAILED and is_promoted(known.status, seen) and not is_applied(known.status, seen):
        return _set_back(known, seen)
    return Plan(status=acknowledged(known))


def _unmeasurable(known: Known) -> Plan | None:
    """A release that could not be judged does not begin: it waits for what is needed to measure."""
    found = tuple(problem for problem in known.get(References()) if problem.measures)
    if known.canary.spec.skip_analysis or not found:
        return None
    plan = refused.decide(known, found)
    told = tuple(news.unmeasured(known.canary, problem) for problem in found) if plan.news else ()
    return msgspec.structs.replace(plan, news=told)


def _adopt(known: Known, seen: TargetSeen) -> Plan:
    """Take over a status that Flagger wrote.

    Its hash cannot be compared, so what is there is what was released; after a failure it is what failed. Checksums of
    configs are the same everywhere and stay: a config that changed meanwhile is a change.
    """
    configs = seen.configs if known.status.tracked_configs is None else known.status.tracked_configs
    failed = known.status.phase is Phase.FAILED
    return Plan(
        status=record(
            known,
            known.status.phase,
            last_applied_spec=seen.revision,
            last_promoted_spec=known.status.last_promoted_spec if failed else seen.revision,
            tracked_configs=configs,
            promoted_configs=None if failed else configs,
        ),
        again=True,
    )


def _set_back(known: Known, seen: TargetSeen) -> Plan:
    """After a failure the target is what the primary holds again: what had failed may be tried once more from here."""
    status = record(known, Phase.FAILED, last_applied_spec=seen.revision, tracked_configs=seen.configs)
    return Plan(status=status)


def _is_away(known: Known, seen: TargetSeen) -> bool:
    """Whether a failure left something that ends when the primary is ready: its traffic, or a promotion."""
    status = known.status
    unfinished = status.phase is Phase.FAILED and failed_to_promote(status) and is_promoted(status, seen)
    return bool(status.canary_weight) or unfinished


def _home_again(known: Known, seen: TargetSeen) -> Plan:
    """The primary that a failure was waiting for is ready.

    If it holds what the canary runs, a failed promotion goes on where it stopped. Otherwise a rollback is completed:
    the traffic goes home, and the target's pods go too, unless they are those of yet another revision.
    """
    if is_promoted(known.status, seen):
        resumed = record(known, Phase.PROMOTING, waiting_for="the primary's new pods to be ready")
        return Plan(status=resumed, news=(news.promotion_goes_on(known.canary),), again=True)
    newer = changed(known.status, seen)
    if not newer and (plan := left(known, ALL_PRIMARY, *welcome(known))) is not None:
        return plan
    actions: tuple[Action, ...] = (*welcome(known), Shift(ALL_PRIMARY), Settle())
    return Plan(
        actions=actions if newer else (*actions, StopCanary()),
        status=record(known, Phase.FAILED, canary_weight=0, waiting_for="a new revision"),
        news=(news.all_to_primary() if newer else news.failed(known.canary),),
        weights=ALL_PRIMARY,
        again=True,
    )


def _set_up_again(known: Known, seen: TargetSeen) -> Plan:
    """Initialization had failed: go on with it once the primary is ready after all, or with a new revision."""
    shaped(known, Part.SERVICES, Part.PRIMARY, tell=False)
    if is_applied(known.status, seen):
        state = known.get(PrimaryReady())
        if not isinstance(state, Ready):
            return pending(known, state, tell=False)
        return Plan(status=record(known, Phase.INITIALIZING, waiting_for="the primary to be ready"), again=True)
    return Plan(
        actions=(Promote(seen.revision),),
        status=record(
            known,
            Phase.INITIALIZING,
            last_applied_spec=seen.revision,
            tracked_configs=seen.configs,
            waiting_for="the primary to be ready",
        ),
        news=(news.copying(known.canary),),
        again=True,
    )
