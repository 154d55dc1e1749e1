"""A run is under way: watch both workloads, judge at every due tick, and take the next step of the strategy.

Early looks (something changed before the interval was over) may notice a newer revision, a workload past its deadline
or traffic moved by hand; only a due tick judges and steps, so weights never climb faster than the interval.
"""

from __future__ import annotations

import msgspec

from gradatim.api.status import Phase
from gradatim.core import expected, gates, news
from gradatim.core.analysis import Halted, analyse
from gradatim.core.changes import is_applied, is_promoted
from gradatim.core.hold import hold, pending, surrounded, trouble
from gradatim.core.news import News
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.record import checked, record, sentence_on
from gradatim.core.revision import is_ours
from gradatim.core.run import call_off, condemn, promote, restart, roll_back
from gradatim.core.strategies.steps import step
from gradatim.core.strategy import Strategy, strategy_of
from gradatim.core.timing import interval, overdue
from gradatim.core.verdict import (
    CanaryReady,
    HookSays,
    Introduce,
    Known,
    Measure,
    Plan,
    PrimaryReady,
    Settled,
    Shift,
    StartCanary,
    Target,
    TargetSeen,
    Trouble,
    WhoServes,
)
from gradatim.core.weights import ALL_PRIMARY


def decide(known: Known) -> Plan:
    """One look at a run: a ladder of rules, the first that applies decides."""
    seen, why = known.get(Target()), sentence_on(known.status)
    if isinstance(seen, Trouble):
        return _deserted(known, seen) if why is None else roll_back(known, why=why)
    surrounded(known)
    if not is_ours(known.status.last_applied_spec):
        return _adopt(known, seen)
    if not is_applied(known.status, seen):
        return call_off(known, seen) if is_promoted(known.status, seen) else restart(known, seen)
    if why is not None:
        return roll_back(known, why=why)
    if (failed := known.status.failed_checks) >= known.canary.spec.analysis.failures_allowed:
        return condemn(known, *news.too_many_failed_checks(known.canary, failed), why=f"{failed} checks failed")
    expected.carry_over(known)
    if (plan := _workloads(known, seen)) is not None:
        return plan
    if known.canary.spec.skip_analysis:
        return promote(known, seen)
    expected.repair(known)
    if not (known.due or _fresh(known)):
        return hold(known, requeue=known.asleep)
    settled = known.get(Settled())
    if isinstance(settled, Waiting):
        return _unsettled(known, settled)
    rollback, told = _rollback(known)
    if rollback is not None:
        return rollback
    told = (*_concern(known), *told)
    return _judge(known, seen, told) if _under_way(known) else _begin(known, seen, told)


def _rollback(known: Known) -> tuple[Plan | None, tuple[News, ...]]:
    """Ask the rollback hooks: the end of the run if one wants it, and what is to be told of the others."""
    hook, declined = gates.rollback_asked(known)
    if hook is not None:
        return condemn(known, *news.rollback_wanted(known.canary, hook), why=f"asked for by hook {hook}"), ()
    return None, tuple(
        news.no_rollback_wanted(name) if answer.answered else news.rollback_hook_not_asked(name, answer.text)
        for name, answer in declined
    )


def _under_way(known: Known) -> bool:
    """Whether the canary already gets requests, so that there is something to judge."""
    status, analysis = known.status, known.canary.spec.analysis
    if status.canary_weight or status.iterations:
        return True
    if not analysis.mirror:
        return False
    live = expected.live_routes(known)
    return live.mirrored or live.canary > 0


def _fresh(known: Known) -> bool:
    """Whether nothing was tried in this run yet, so that its first step need not wait for the interval."""
    return known.first and not known.status.failed_checks and not _under_way(known)


def _adopt(known: Known, seen: TargetSeen) -> Plan:
    """Go on with a run that Flagger began: its hash cannot be compared, and its counters of a wait mean something else.

    While it waits for the approval of a promotion it records a weight of 0, and iterations of -1 for weighted runs.
    """
    status = known.status
    weighted = strategy_of(known.canary.spec.analysis) is Strategy.CANARY and known.traits.shifts_traffic
    weight = expected.live_routes(known).canary if weighted else status.canary_weight
    return Plan(
        status=record(
            known,
            status.phase,
            canary_weight=weight,
            iterations=max(0, status.iterations),
            last_applied_spec=seen.revision,
            tracked_configs=seen.configs,
        ),
        again=True,
    )


def _deserted(known: Known, found: Trouble) -> Plan:
    """The target cannot be seen. If its pods are gone too, their share of the traffic goes back and the run is over."""
    if _has_traffic(known) and _lost(known):
        return condemn(known, *news.target_lost(known.canary, found.message), why=found.message)
    return trouble(known, found)


def _has_traffic(known: Known) -> bool:
    """Whether the canary gets requests, or will as soon as routes are as recorded."""
    live = expected.live_routes(known) if known.traits.shifts_traffic else ALL_PRIMARY
    return bool(live.canary or expected.routes(known).canary)


def _lost(known: Known) -> bool:
    """Whether only the primary has pods."""
    serving = known.get(WhoServes())
    return serving.primary and not serving.canary


def _workloads(known: Known, seen: TargetSeen) -> Plan | None:
    """Both sides must be fit to take traffic.

    A primary past its deadline does not end the run: rolling back to it would help nobody, the canary may be its cure.
    """
    if not known.traits.waits:
        return None
    if not known.canary.spec.skip_analysis:
        primary = known.get(PrimaryReady())
        if isinstance(primary, Waiting | Absent) and not _mid_check(known):
            return _await(known, primary)
    if not seen.running:  # without pods it would count as ready
        scaled = news.repaired((f"{known.canary.kind} {known.canary.target} (replicas)",))
        return Plan(actions=(StartCanary(),), news=(scaled,), again=True)
    canary = known.get(CanaryReady())
    if isinstance(canary, Stuck):
        return condemn(known, *news.deadline_exceeded(known.canary, canary.message), why=canary.message)
    if isinstance(canary, Ready):
        return None
    if not expected.routes(known).canary:  # then traffic it has by hand is not its failure
        expected.repair(known)
    if _has_traffic(known) and _lost(known):
        return _withdraw(known, canary)
    return None if _mid_check(known) else _await(known, canary)


def _mid_check(known: Known) -> bool:
    """Whether a check of this tick is under way, and pods of both sides are there to go on with.

    An autoscaler adds pods under the very load test that is waited for: breaking off would begin it again and again.
    """
    match known.asking:
        case HookSays(index):
            checks = known.canary.spec.analysis.webhooks[index].kind != "rollback"
        case other:
            checks = isinstance(other, Measure)
    return checks and (serving := known.get(WhoServes())).primary and serving.canary


def _await(known: Known, state: Waiting | Absent) -> Plan:
    """Some pods are not ready yet. Whoever wants a rollback is heard meanwhile, once an interval."""
    plan = pending(known, state, tell=known.due)
    if not known.due or known.canary.spec.skip_analysis:
        return plan
    rollback, told = _rollback(known)
    return rollback or msgspec.structs.replace(plan, news=(*plan.news, *told), asked=bool(told))


def _unsettled(known: Known, state: Waiting) -> Plan:
    """Proxies do not follow: nobody is led anywhere by a route that they refuse, and nothing is judged."""
    if overdue(known, Settled()):
        return condemn(known, *news.deadline_exceeded(known.canary, state.message), why=state.message)
    return _await(known, state)


def _concern(known: Known) -> tuple[News, ...]:
    """What is worth a warning although it stops nothing: a primary past its deadline."""
    state = known.answers.get(PrimaryReady())
    return (news.warning(state.message, once=state.message),) if isinstance(state, Stuck) else ()


def _withdraw(known: Known, state: Waiting | Absent) -> Plan:
    """The canary lost its last pod while it had traffic: a failed check, and the run begins anew without any."""
    told = news.no_pods(known.canary, state.message)
    failed = known.status.failed_checks + 1
    if failed >= known.canary.spec.analysis.failures_allowed:
        reached = news.too_many_failed_checks(known.canary, failed)
        return condemn(known, told, *reached, why=told.text, failed_checks=failed)
    return Plan(
        actions=(Shift(ALL_PRIMARY),),
        status=record(
            known,
            Phase.PROGRESSING,
            why=told.text,
            canary_weight=0,
            iterations=0,
            failed_checks=failed,
            waiting_for="the new revision's pods to be ready",
        ),
        news=(told,),
        weights=ALL_PRIMARY,
        again=True,
        ticked=True,
        begins=True,
    )


def _begin(known: Known, seen: TargetSeen, told: tuple[News, ...]) -> Plan:
    """The first step: pre-rollout hooks, then traffic."""
    told = (*told, news.starting(known.canary))
    verdict = gates.all_pass(known, "pre-rollout", Phase.PROGRESSING)
    told = (*told, *(news.gate_passed("pre-rollout", hook, once=True) for hook in verdict.passed))
    if verdict.failed is not None:
        failure = news.pre_rollout_failed(known.canary, verdict.failed.name, verdict.error)
        return _count(known, Halted((failure,), why=failure.text), told)
    return _introduced(known, step(known, seen, told, ()))


def _introduced(known: Known, plan: Plan) -> Plan:
    """The first users go to pods that have just become ready when proxies had time to learn of them.

    Copies need not wait: nobody waits for their answers.
    """
    users = any(isinstance(action, Shift) and action.to.canary for action in plan.actions)
    if not (users and known.traits.waits):
        return plan
    return msgspec.structs.replace(plan, actions=(Introduce(canary=True), *plan.actions))


def _judge(known: Known, seen: TargetSeen, told: tuple[News, ...]) -> Plan:
    judged = analyse(known)
    if isinstance(judged, Halted):
        return _count(known, judged, told)
    return step(known, seen, told, judged.results)


def _count(known: Known, halted: Halted, told: tuple[News, ...]) -> Plan:
    """A failed check is counted; the one that reaches the threshold ends the run in the same tick.

    Before it a gate was closed: nobody has asked it again, so that it stays what is waited for.
    """
    told, why, results = (*told, *halted.news), halted.why, halted.results
    if halted.fatal:
        return condemn(known, *told, *news.unmeasurable(known.canary, why), why=why, results=results)
    failed = known.status.failed_checks + (1 if halted.counts else 0)
    if failed >= known.canary.spec.analysis.failures_allowed:
        reached = news.too_many_failed_checks(known.canary, failed)
        return condemn(known, *told, *reached, why=why, results=results, failed_checks=failed)
    return Plan(
        status=record(
            known,
            known.status.phase,
            why=why,
            failed_checks=failed,
            waiting_for=known.status.waiting_for if known.status.waiting_since else "the next check",
            checks=checked(known, results),
        ),
        news=told,
        requeue=interval(known),
        ticked=True,
    )
