"""The primary gets what was analysed; when it is ready, traffic goes back to it, at once or step by step."""

from __future__ import annotations

from gradatim.api.status import CanaryStatus, Phase
from gradatim.core import gates, news
from gradatim.core.expected import live_routes
from gradatim.core.hold import hold, pending, shaped, target
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.record import record
from gradatim.core.run import promotion_failed, roll_back
from gradatim.core.timing import interval
from gradatim.core.verdict import Ensure, Known, Part, Plan, PrimaryReady, Settled, Shift
from gradatim.core.weights import ALL_PRIMARY, TOTAL, split


def decide(known: Known) -> Plan:
    """Wait for the primary, then shift."""
    target(known)
    shaped(known, Part.SERVICES, Part.PRIMARY, Part.SCALER, Part.APEX, Part.ROUTES)
    state = known.get(PrimaryReady())
    if isinstance(state, Stuck):
        return promotion_failed(known, state.message)
    if not isinstance(state, Ready):
        return _pending(known, state)
    settled = known.get(Settled())
    if isinstance(settled, Waiting):
        return pending(known, settled, tell=known.due)
    if not known.traits.shifts_traffic or known.canary.spec.analysis.step_weight_promotion <= 0:
        return _all_at_once(known)
    return _step(known)


def _pending(known: Known, state: Waiting | Absent) -> Plan:
    if known.due and known.canary.spec.analysis.step_weight_promotion > 0:
        hook, _ = gates.rollback_asked(known)
        if hook is not None:
            return roll_back(known, *news.rollback_wanted(known.canary, hook), why=f"asked for by hook {hook}")
    return pending(known, state, tell=known.due)


def _all_at_once(known: Known) -> Plan:
    quiet = known.canary.spec.skip_analysis or not known.traits.shifts_traffic
    return Plan(
        actions=(Ensure(Part.SCALER, update=True), *((Shift(ALL_PRIMARY),) if known.traits.shifts_traffic else ())),
        status=_finalising(known),
        news=() if quiet else (news.all_to_primary(),),
        weights=ALL_PRIMARY,
        ticked=True,
    )


def _step(known: Known) -> Plan:
    """One step of `stepWeightPromotion`; a canary already without traffic is at the end, not stuck."""
    if not known.first and not known.due:
        return hold(known, requeue=known.asleep)
    live = live_routes(known)
    to = split(max(0, live.canary - known.canary.spec.analysis.step_weight_promotion))
    done = to.primary == TOTAL
    return Plan(
        actions=(Ensure(Part.SCALER, update=True), Shift(to)),
        status=_finalising(known) if done else record(known, Phase.PROMOTING, canary_weight=to.canary),
        news=(news.advance_primary(known.canary, to.primary),),
        weights=to,
        requeue=None if done else interval(known),
        ticked=True,
    )


def _finalising(known: Known) -> CanaryStatus:
    return record(
        known, Phase.FINALISING, canary_weight=0, iterations=0, waiting_for="proxies to follow before pods go away"
    )
