"""The primary gets what was analysed; when it is ready, traffic goes back to it, at once or step by step.

The target has done its part: nothing here needs it, so a target that is edited or deleted meanwhile holds nothing up.
"""

from __future__ import annotations

from gradatim.api.status import CanaryStatus, Phase
from gradatim.core import news
from gradatim.core.expected import live_routes
from gradatim.core.hold import hold, pending, released
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.record import record
from gradatim.core.run import moved, promotion_failed, welcome
from gradatim.core.timing import interval, overdue
from gradatim.core.verdict import Action, Ensure, Known, Part, Plan, PrimaryReady, Settled, Shift, WhoServes
from gradatim.core.weights import ALL_PRIMARY, TOTAL, split


def decide(known: Known) -> Plan:
    """Wait for the primary, then shift."""
    there = released(known)
    state = known.get(PrimaryReady())
    if isinstance(state, Stuck):
        return promotion_failed(known, state.message)
    scaler: tuple[Action, ...] = (Ensure(Part.SCALER, update=True),) if there else ()
    if not isinstance(state, Ready):
        return _pending(known, state, scaler)
    settled = known.get(Settled())
    if isinstance(settled, Waiting) and not overdue(known, Settled()):
        return pending(known, settled, tell=known.due)
    spec = known.canary.spec
    if not known.traits.shifts_traffic or spec.skip_analysis or spec.analysis.step_weight_promotion <= 0:
        return _all_at_once(known, scaler)
    return _step(known, scaler)


def _pending(known: Known, state: Waiting | Absent, scaler: tuple[Action, ...]) -> Plan:
    """A canary that lost its pods cannot wait for the primary's last ones."""
    if known.traits.shifts_traffic and live_routes(known).canary:
        serving = known.get(WhoServes())
        if serving.primary and not serving.canary:
            return _all_at_once(known, scaler)
    return pending(known, state, tell=known.due)


def _all_at_once(known: Known, scaler: tuple[Action, ...]) -> Plan:
    quiet = known.canary.spec.skip_analysis or not known.traits.shifts_traffic
    return Plan(
        actions=(*scaler, *welcome(known), *moved(known, ALL_PRIMARY)),
        status=_finalising(known),
        news=() if quiet else (news.all_to_primary(),),
        weights=ALL_PRIMARY,
        again=True,
        ticked=True,
    )


def _step(known: Known, scaler: tuple[Action, ...]) -> Plan:
    """One step of `stepWeightPromotion`; a canary already without traffic is at the end, not stuck."""
    if not known.first and not known.due:
        return hold(known, requeue=known.asleep)
    live = live_routes(known)
    to = split(max(0, live.canary - known.canary.spec.analysis.step_weight_promotion))
    done = to.primary == TOTAL
    return Plan(
        actions=(*scaler, *welcome(known), Shift(to)),
        status=_finalising(known) if done else record(known, Phase.PROMOTING, canary_weight=to.canary),
        news=(news.advance_primary(known.canary, to.primary),),
        weights=to,
        again=done,
        requeue=interval(known),
        ticked=True,
    )


def _finalising(known: Known) -> CanaryStatus:
    return record(
        known, Phase.FINALISING, canary_weight=0, iterations=0, waiting_for="proxies to follow before pods go away"
    )
