"""Setting up: Services, the primary, and traffic on it; only then are the target's pods taken away.

The order protects users: the apex Service and the routes move to the primary when its pods are ready and proxies had
time to learn of them, proxies get time to follow, and the target is scaled down last. Flagger scales it down before
routes exist, and with `skipAnalysis` before the primary has pods.

What the primary was made from is recorded at once: a target that is edited while its primary starts is copied again,
unless the primary came up before. Then the edit is the first release.
"""

from __future__ import annotations

import msgspec

from gradatim.api.status import CanaryStatus, Phase
from gradatim.core import expected, news
from gradatim.core.changes import is_applied
from gradatim.core.hold import Held, pending, possible, shaped, target
from gradatim.core.leaving import still_reached
from gradatim.core.news import News
from gradatim.core.readiness import Ready, Stuck
from gradatim.core.record import record
from gradatim.core.verdict import (
    Action,
    Ensure,
    Formed,
    Incomplete,
    Introduce,
    Known,
    Part,
    Plan,
    PrimaryReady,
    Promote,
    RevertApex,
    Settle,
    Shift,
    SourcesOnline,
    StopCanary,
    Target,
    TargetSeen,
    Trouble,
)
from gradatim.core.weights import ALL_PRIMARY


def decide(known: Known) -> Plan:
    """Bring the primary into being, one part after the other."""
    if not known.status.conditions or known.status.phase is not Phase.INITIALIZING:
        started = record(known, Phase.INITIALIZING, canary_weight=0, waiting_for="the primary to be ready")
        return Plan(status=started, again=True)
    try:
        plan = _set_up(known)
    except Held as held:
        plan = _introduced(known, held.plan)
    return msgspec.structs.replace(plan, news=(*_sources(known), *plan.news))


def _set_up(known: Known) -> Plan:
    if not isinstance(known.get(Target()), Incomplete):  # Services need no more than its labels
        target(known)
    shaped(known, Part.SERVICES, tell=False)
    if not known.canary.spec.skip_analysis:
        known.get(SourcesOnline())
    seen = target(known)
    shape = known.get(Formed())
    if shape.needs(Part.PRIMARY) and Part.PRIMARY not in shape.trouble:
        return Plan(actions=(Ensure(Part.PRIMARY),), status=_made_from(known, seen), again=True)
    shaped(known, Part.PRIMARY)
    state = known.get(PrimaryReady())
    if not isinstance(state, Ready):
        if known.status.last_applied_spec and not is_applied(known.status, seen):
            copied = (news.copying(known.canary),)
            return Plan(actions=(Promote(seen.revision),), status=_copied(known, seen), news=copied, again=True)
        return _give_up(known, seen, state) if isinstance(state, Stuck) else pending(known, state, tell=True)
    possible(known, Part.SCALER, Part.APEX, Part.ROUTES)  # nothing is moved for what then turns out not to work
    shaped(known, Part.SCALER, Part.APEX, Part.ROUTES, tell=False)
    expected.repair(known)  # routes that were there before us may send traffic to the target
    return _done(known, seen)


def _introduced(known: Known, plan: Plan) -> Plan:
    """Routes that serve users already lead to the primary only when proxies had time to learn of its pods.

    The apex Service needs none: whoever is told of its new selector is told of the pods that it selects.
    """
    taken_over = Ensure(Part.ROUTES) in plan.actions and Part.ROUTES in known.get(Formed()).drifted
    if not taken_over and not any(isinstance(action, Shift) for action in plan.actions):
        return plan
    return msgspec.structs.replace(plan, actions=(Introduce(), *plan.actions))


def _made_from(known: Known, seen: TargetSeen) -> CanaryStatus:
    """What the primary is being made from; parts that are missing later are not a new copy."""
    if known.status.last_applied_spec:
        return record(known, Phase.INITIALIZING)
    return _copied(known, seen)


def _copied(known: Known, seen: TargetSeen) -> CanaryStatus:
    return record(known, Phase.INITIALIZING, last_applied_spec=seen.revision, tracked_configs=seen.configs)


def _done(known: Known, seen: TargetSeen) -> Plan:
    if seen.running and (plan := still_reached(known, service=True)) is not None:
        return plan
    handover: tuple[Action, ...] = (Settle(),) if seen.running else ()
    status = known.status if known.status.last_applied_spec else _copied(known, seen)
    return Plan(
        actions=(*handover, StopCanary()),
        status=record(
            known,
            Phase.INITIALIZED,
            canary_weight=0,
            iterations=0,
            failed_checks=0,
            last_applied_spec=status.last_applied_spec,
            last_promoted_spec=status.last_applied_spec,
            tracked_configs=status.tracked_configs,
            promoted_configs=status.tracked_configs,
            waiting_for="",
        ),
        news=news.initialized(known.canary),
        weights=ALL_PRIMARY,
        again=True,
        ticked=True,
    )


def _give_up(known: Known, seen: TargetSeen, state: Stuck) -> Plan:
    """The primary never came up, or did not stay. The target serves as it did before: nothing of it is taken away."""
    status = known.status if known.status.last_applied_spec else _copied(known, seen)
    return Plan(
        actions=(RevertApex(),),
        status=record(
            known,
            Phase.FAILED,
            why=state.message,
            last_applied_spec=status.last_applied_spec,
            tracked_configs=status.tracked_configs,
            waiting_for="a revision that starts",
        ),
        news=(news.warning(state.message), *news.initialization_failed(known.canary, state.message)),
        afterwards=Phase.FAILED,
        again=True,
    )


def _sources(known: Known) -> tuple[News, ...]:
    match known.answers.get(SourcesOnline()):
        case Ready():
            return (news.sources_online(),)
        case Trouble(message):
            return (news.sources_offline(message),)
        case _:
            return ()
