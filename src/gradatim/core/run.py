"""The turning points of a run: its start, its restart, the copy to the primary, and the ways in which it fails."""

from __future__ import annotations

from gradatim.api.status import CheckResult, Phase
from gradatim.core import gates, news
from gradatim.core.hold import pending, trouble
from gradatim.core.news import News
from gradatim.core.readiness import Absent, Waiting
from gradatim.core.record import checked, ended, record, run_started
from gradatim.core.timing import interval
from gradatim.core.verdict import (
    CanaryReady,
    Known,
    LiveRoutes,
    Plan,
    PrimaryReady,
    Promote,
    Settle,
    Shift,
    StartCanary,
    StopCanary,
    TargetSeen,
    Trouble,
    WhoServes,
)
from gradatim.core.weights import ALL_CANARY, ALL_PRIMARY, Routes


def start(known: Known, seen: TargetSeen) -> Plan:
    """A new revision: wait for a primary that is only rolling, ask the gates, give the target its pods.

    A primary past its deadline does not stop the release that may be its cure.
    """
    if not known.canary.spec.skip_analysis:
        state = known.get(PrimaryReady())
        if isinstance(state, Waiting | Absent):
            return pending(known, state, tell=known.due)
    verdict = gates.all_pass(known, "confirm-rollout", known.status.phase)
    passed = tuple(news.gate_passed("confirm-rollout", hook) for hook in verdict.passed)
    if verdict.failed is not None:
        return _wait(known, verdict, passed)
    on_canary = known.status.canary_weight if known.status.phase is Phase.FAILED else 0
    return Plan(
        actions=(StartCanary(),),
        status=run_started(known, seen, canary_weight=on_canary),
        news=(*passed, *news.scaling_up(known.canary)),
        ticked=True,
        begins=True,
    )


def _wait(known: Known, verdict: gates.Verdict, passed: tuple[News, ...]) -> Plan:
    if known.status.phase is Phase.WAITING or verdict.failed is None:
        return Plan(requeue=interval(known), ticked=True)
    hook = verdict.failed
    return Plan(
        status=record(known, Phase.WAITING, waiting_for=f"approval by {hook.name}"),
        news=(*passed, *news.waiting_for_approval(known.canary, hook.name, mute=hook.mute_alert)),
        requeue=interval(known),
        ticked=True,
    )


def restart(known: Known, seen: TargetSeen) -> Plan:
    """A newer revision: all traffic back to the primary, counters at zero."""
    return Plan(
        actions=(Shift(ALL_PRIMARY),),
        status=run_started(known, seen, canary_weight=0),
        news=(news.restarting(known.canary),),
        weights=ALL_PRIMARY,
        ticked=True,
        begins=True,
    )


def call_off(known: Known, seen: TargetSeen) -> Plan:
    """The target was set back to the promoted revision: nothing is left to release."""
    return Plan(
        actions=(Shift(ALL_PRIMARY), Settle(), StopCanary()),
        status=record(
            known,
            Phase.SUCCEEDED,
            canary_weight=0,
            iterations=0,
            failed_checks=0,
            last_applied_spec=seen.revision,
            tracked_configs=seen.configs,
            waiting_for="",
            history=ended(known, Phase.SUCCEEDED, "set back to the promoted revision"),
        ),
        news=(news.called_off(known.canary),),
        weights=ALL_PRIMARY,
        ticked=True,
    )


def promote(known: Known, seen: TargetSeen, *told: News, results: tuple[CheckResult, ...] = ()) -> Plan:
    """The analysis is through: the primary gets the template that was analysed."""
    return Plan(
        actions=(Promote(seen.revision),),
        status=record(
            known, Phase.PROMOTING, waiting_for="the primary's new pods to be ready", checks=checked(known, results)
        ),
        news=(*told, news.copying(known.canary)),
        ticked=True,
    )


def roll_back(known: Known, *told: News, why: str, results: tuple[CheckResult, ...] = ()) -> Plan:
    """All traffic to the primary, then the target's pods away.

    When the primary has no pod that could take the traffic and the canary has one, nothing is moved or taken away:
    a bad version that answers is better than none.
    """
    serving = known.get(WhoServes())
    stranded = not serving.primary and serving.canary
    to = _standing(known) if stranded else ALL_PRIMARY
    return Plan(
        actions=() if stranded else (Shift(ALL_PRIMARY), Settle(), StopCanary()),
        status=record(
            known,
            Phase.FAILED,
            why=why,
            canary_weight=to.canary,
            iterations=0,
            failed_checks=0,
            waiting_for="a new revision",
            checks=checked(known, results),
            history=ended(known, Phase.FAILED, why),
        ),
        news=(*told, news.failed_in_place(known.canary) if stranded else news.failed(known.canary)),
        weights=to,
        afterwards=Phase.FAILED,
        ticked=True,
    )


def _standing(known: Known) -> Routes:
    live = known.get(LiveRoutes())
    return ALL_PRIMARY if isinstance(live, Trouble) else live


def promotion_failed(known: Known, why: str) -> Plan:
    """The primary does not come up with what was analysed: the canary, which runs it, takes all traffic."""
    canary = known.get(CanaryReady())
    if isinstance(canary, Waiting | Absent):
        return trouble(known, canary.message)
    return Plan(
        actions=(Shift(ALL_CANARY),) if known.traits.shifts_traffic else (),
        status=record(
            known,
            Phase.FAILED,
            why=why,
            canary_weight=100 if known.traits.shifts_traffic else 0,
            iterations=0,
            failed_checks=0,
            waiting_for="a new revision",
            history=ended(known, Phase.FAILED, why),
        ),
        news=(news.warning(why), *news.promotion_failed(known.canary, why)),
        weights=ALL_CANARY if known.traits.shifts_traffic else None,
        afterwards=Phase.FAILED,
        ticked=True,
    )
