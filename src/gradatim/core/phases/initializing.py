"""Setting up: Services, the primary, and traffic on it; only then are the target's pods taken away.

The order protects users: the apex Service and the routes move to the primary when its pods are ready, proxies get time
to follow, and the target is scaled down last. Flagger scales it down before routes exist, and with `skipAnalysis`
before the primary has pods.
"""

from __future__ import annotations

import msgspec

from gradatim.api.canary import FINALIZER
from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.hold import Held, pending, shaped, target
from gradatim.core.news import News
from gradatim.core.readiness import Ready, Stuck
from gradatim.core.record import record
from gradatim.core.verdict import (
    Action,
    AddFinalizer,
    Known,
    Part,
    Plan,
    PrimaryReady,
    Settle,
    SourcesOnline,
    StopCanary,
    Trouble,
)
from gradatim.core.weights import ALL_PRIMARY


def decide(known: Known) -> Plan:
    """Bring the primary into being, one part after the other."""
    if not known.status.conditions or known.status.phase is Phase.UNSET:
        started = record(known, Phase.INITIALIZING, canary_weight=0, waiting_for="the primary to be ready")
        return Plan(status=started, again=True)
    if known.canary.spec.revert_on_deletion and FINALIZER not in known.canary.finalizers:
        return Plan(actions=(AddFinalizer(),), again=True)
    try:
        plan = _set_up(known)
    except Held as held:
        plan = held.plan
    return msgspec.structs.replace(plan, news=(*_sources(known), *plan.news))


def _set_up(known: Known) -> Plan:
    seen = target(known)
    shaped(known, Part.SERVICES, tell=False)
    if not known.canary.spec.skip_analysis:
        known.get(SourcesOnline())
    shaped(known, Part.PRIMARY, tell=False)
    state = known.get(PrimaryReady())
    if isinstance(state, Stuck):
        return _give_up(known, state, seen.revision)
    if not isinstance(state, Ready):
        return pending(known, state, tell=True)
    shaped(known, Part.SCALER, Part.APEX, Part.ROUTES, tell=False)
    handover: tuple[Action, ...] = (Settle(),) if seen.running else ()
    return Plan(
        actions=(*handover, StopCanary()),
        status=record(
            known,
            Phase.INITIALIZED,
            canary_weight=0,
            iterations=0,
            failed_checks=0,
            last_applied_spec=seen.revision,
            last_promoted_spec=seen.revision,
            tracked_configs=seen.configs,
            waiting_for="",
        ),
        news=news.initialized(known.canary),
        weights=ALL_PRIMARY,
        ticked=True,
    )


def _give_up(known: Known, state: Stuck, revision: str) -> Plan:
    """The primary never came up. The target serves as it did before: nothing of it is taken away."""
    return Plan(
        status=record(
            known, Phase.FAILED, why=state.message, last_applied_spec=revision, waiting_for="a revision that starts"
        ),
        news=(news.warning(state.message), *news.initialization_failed(known.canary, state.message)),
        afterwards=Phase.FAILED,
    )


def _sources(known: Known) -> tuple[News, ...]:
    match known.answers.get(SourcesOnline()):
        case Ready():
            return (news.sources_online(),)
        case Trouble(message):
            return (news.sources_offline(message),)
        case _:
            return ()
