"""The turning points of a run: its start, its restart, the copy to the primary, and the ways in which it ends early.

Wherever a plan gives traffic back to the primary it looks first whether the primary has pods. A primary without any is
no refuge: then the canary, if it has some, keeps or gets all traffic until the primary is back.
"""

from __future__ import annotations

from gradatim.api.canary import Webhook
from gradatim.api.status import CanaryStatus, CheckResult, Phase
from gradatim.core import gates, news
from gradatim.core.hold import pending
from gradatim.core.leaving import left
from gradatim.core.news import News
from gradatim.core.readiness import Absent, Waiting
from gradatim.core.record import checked, ended, record, run_started, sentence_on
from gradatim.core.timing import interval
from gradatim.core.verdict import (
    Action,
    Introduce,
    Known,
    LiveRoutes,
    Plan,
    PrimaryReady,
    Promote,
    Settle,
    Shift,
    StartCanary,
    StopCanary,
    Target,
    TargetSeen,
    Trouble,
    WhoServes,
)
from gradatim.core.weights import ALL_CANARY, ALL_PRIMARY, Routes


def refuge(known: Known) -> Routes:
    """Where all traffic is best off: on the primary, unless only the canary has pods."""
    serving = known.get(WhoServes())
    stranded = serving.canary and not serving.primary and known.traits.shifts_traffic
    return ALL_CANARY if stranded else ALL_PRIMARY


def moved(known: Known, to: Routes) -> tuple[Action, ...]:
    """The shift, on a mesh that has something to shift."""
    return (Shift(to),) if known.traits.shifts_traffic else ()


def welcome(known: Known) -> tuple[Action, ...]:
    """Time for proxies to learn of a primary's new pods, before it gets its first share of the traffic.

    A primary without traffic may have had no pods either: after a failure, or because a promotion replaced all of them
    at once. Where the canary has lost its own, every second counts.
    """
    if not (known.traits.shifts_traffic and known.traits.waits):
        return ()
    live, serving = known.get(LiveRoutes()), known.get(WhoServes())
    stranger = isinstance(live, Trouble) or not live.primary
    bare = serving.abrupt or known.status.phase is not Phase.PROMOTING
    return (Introduce(),) if stranger and bare and serving.canary else ()


def start(known: Known, seen: TargetSeen) -> Plan:
    """A new revision: wait for a primary that is only rolling, ask the gates, give the target its pods.

    A primary past its deadline does not stop the release that may be its cure. A canary that has had all traffic since
    a failed promotion keeps it.
    """
    if not known.canary.spec.skip_analysis:
        state = known.get(PrimaryReady())
        if isinstance(state, Waiting | Absent):
            return pending(known, state, tell=known.due)
    verdict = gates.all_pass(known, "confirm-rollout", known.status.phase)
    passed = tuple(news.gate_passed("confirm-rollout", hook) for hook in verdict.passed)
    if verdict.failed is not None:
        return _wait(known, seen, verdict.failed, passed)
    return Plan(
        actions=(StartCanary(),),
        status=run_started(known, seen, canary_weight=known.status.canary_weight),
        news=(*passed, *news.scaling_up(known.canary)),
        again=True,
        ticked=True,
        begins=True,
    )


def _wait(known: Known, seen: TargetSeen, hook: Webhook, passed: tuple[News, ...]) -> Plan:
    """The gate is closed. A run that waits already is not told of again, not even when another gate is in the way."""
    waiting = f"approval by {hook.name}"
    if gates.overdue(known, hook, waiting):
        return _give_up(known, seen, f"no {waiting} within {hook.deadline}")
    alarm = news.waiting_for_approval(known.canary, hook.name, mute=hook.mute_alert)
    since = gates.closed_since(known, waiting)
    status: CanaryStatus | None = record(known, Phase.WAITING, waiting_for=waiting, waiting_since=since)
    if known.status.phase is Phase.WAITING:
        passed, alarm = (), ()
        status = status if known.status.waiting_for != waiting else None
    return Plan(status=status, news=(*passed, *alarm), requeue=interval(known), ticked=True)


def _give_up(known: Known, seen: TargetSeen, why: str) -> Plan:
    """Nobody approved in time. Nothing was moved yet, and nothing is; only a new revision goes on."""
    at_home = not known.status.canary_weight
    return Plan(
        status=record(
            known,
            Phase.FAILED,
            why=why,
            last_applied_spec=seen.revision,
            tracked_configs=seen.configs,
            waiting_for="a new revision" if at_home else "the primary to be ready, or a new revision",
            history=ended(known, Phase.FAILED, why, seen.revision),
        ),
        news=news.given_up(known.canary, why),
        afterwards=Phase.FAILED,
        again=True,
        ticked=True,
    )


def restart(known: Known, seen: TargetSeen) -> Plan:
    """A newer revision: all traffic back to the primary, counters at zero."""
    to = refuge(known)
    return Plan(
        actions=moved(known, to),
        status=run_started(known, seen, canary_weight=to.canary),
        news=(news.restarting(known.canary),),
        weights=to,
        again=True,
        ticked=True,
        begins=True,
    )


def call_off(known: Known, seen: TargetSeen) -> Plan:
    """The target was set back to what the primary holds: nothing is left to release.

    Unless the primary has no pods: then the release of what it should run goes on, with the traffic where it can be.
    """
    if refuge(known) != ALL_PRIMARY:
        return restart(known, seen)
    if (plan := left(known, ALL_PRIMARY)) is not None:
        return plan
    return Plan(
        actions=(*moved(known, ALL_PRIMARY), Settle(), StopCanary()),
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
        afterwards=Phase.SUCCEEDED,
        again=True,
        ticked=True,
    )


def promote(known: Known, seen: TargetSeen, *told: News, results: tuple[CheckResult, ...] = ()) -> Plan:
    """The analysis is through: the primary gets the template that was analysed."""
    return Plan(
        actions=(Promote(seen.revision),),
        status=record(
            known,
            Phase.PROMOTING,
            last_promoted_spec=seen.revision,
            promoted_configs=seen.configs,
            waiting_for="the primary's new pods to be ready",
            checks=checked(known, results),
        ),
        news=(*told, news.copying(known.canary)),
        again=True,
        ticked=True,
    )


def condemn(known: Known, *told: News, why: str, results: tuple[CheckResult, ...] = (), **fields: int) -> Plan:
    """The run is to be rolled back: note it first, so that nothing can bring the traffic back to the canary.

    The next plan, at once or after a crash, carries it out.
    """
    status = record(
        known,
        known.status.phase,
        why=why,
        condemned=True,
        waiting_for="the rollback to be done",
        checks=checked(known, results),
        **fields,
    )
    return Plan(status=status, news=told, again=True, ticked=True)


def roll_back(known: Known, *told: News, why: str) -> Plan:
    """All traffic to the primary, then the target's pods away.

    When only the canary has pods it gets all traffic and keeps them: a bad version that answers is better than none.
    A target that is gone has nothing to take away.
    """
    seen, to = known.get(Target()), refuge(known)
    stop: tuple[Action, ...] = (Settle(), StopCanary()) if isinstance(seen, TargetSeen) and to == ALL_PRIMARY else ()
    decided = sentence_on(known.status) is not None  # else nobody would know of the rollback at the next look
    if stop and decided and (plan := left(known, to)) is not None:
        return plan
    return Plan(
        actions=(*moved(known, to), *stop),
        status=record(
            known,
            Phase.FAILED,
            why=why,
            canary_weight=to.canary,
            iterations=0,
            failed_checks=0,
            last_applied_spec=seen.revision if isinstance(seen, TargetSeen) else known.status.last_applied_spec,
            tracked_configs=seen.configs if isinstance(seen, TargetSeen) else known.status.tracked_configs,
            waiting_for="a new revision" if to == ALL_PRIMARY else "the primary to be ready",
            history=ended(known, Phase.FAILED, why, seen.revision if isinstance(seen, TargetSeen) else ""),
        ),
        news=(*told, news.failed(known.canary) if to == ALL_PRIMARY else news.failed_in_place(known.canary)),
        weights=to,
        afterwards=Phase.FAILED,
        again=True,
        ticked=True,
    )


def promotion_failed(known: Known, why: str) -> Plan:
    """The primary does not come up with what was analysed: the canary, which runs it, takes all traffic if it can."""
    seen, serving = known.get(Target()), known.get(WhoServes())
    able = serving.canary or (not serving.primary and isinstance(seen, TargetSeen) and seen.running)
    to = ALL_CANARY if able and known.traits.shifts_traffic else ALL_PRIMARY
    return Plan(
        actions=moved(known, to),
        status=record(
            known,
            Phase.FAILED,
            why=why,
            canary_weight=to.canary,
            iterations=0,
            failed_checks=0,
            waiting_for="the primary to be ready, or a new revision",
            history=ended(known, Phase.FAILED, why),
        ),
        news=(news.warning(why), *news.promotion_failed(known.canary, why)),
        weights=to,
        afterwards=Phase.FAILED,
        again=True,
        ticked=True,
    )
