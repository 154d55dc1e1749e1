"""A run is under way: watch both workloads, judge at every due tick, and take the next step of the strategy.

Early looks (something changed before the interval was over) may notice a newer revision, a workload past its deadline
or traffic moved by hand; only a due tick judges and steps, so weights never climb faster than the interval.
"""

from __future__ import annotations

from gradatim.api.status import Phase
from gradatim.core import expected, gates, news
from gradatim.core.analysis import Halted, analyse
from gradatim.core.hold import hold, pending, shaped, target
from gradatim.core.news import News
from gradatim.core.phases.resting import changed
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.record import checked, record
from gradatim.core.revision import is_ours
from gradatim.core.run import call_off, promote, restart, roll_back
from gradatim.core.strategies.steps import step
from gradatim.core.timing import interval
from gradatim.core.verdict import (
    CanaryReady,
    Known,
    Part,
    Plan,
    PrimaryReady,
    Settled,
    StartCanary,
    TargetSeen,
)


def decide(known: Known) -> Plan:
    """One look at a run: a ladder of rules, the first that applies decides."""
    seen = target(known)
    shaped(known, Part.SERVICES, Part.PRIMARY, Part.SCALER, Part.APEX, Part.ROUTES)
    if (plan := _revision(known, seen)) is not None:
        return plan
    if (plan := _workloads(known, seen)) is not None:
        return plan
    if known.canary.spec.skip_analysis:
        return promote(known, seen)
    expected.repair(known)
    if not (known.due or (known.first and not _under_way(known))):
        return hold(known, requeue=known.asleep)
    hook, declined = gates.rollback_asked(known)
    if hook is not None:
        return roll_back(known, *news.rollback_wanted(known.canary, hook), why=f"asked for by hook {hook}")
    told = tuple(news.no_rollback_wanted(name) for name in declined)
    return _judge(known, seen, told) if _under_way(known) else _begin(known, seen, told)


def _under_way(known: Known) -> bool:
    """Whether the canary already gets requests, so that there is something to judge."""
    status, analysis = known.status, known.canary.spec.analysis
    if status.canary_weight or status.iterations:
        return True
    return analysis.mirror and expected.live_routes(known).mirrored


def _revision(known: Known, seen: TargetSeen) -> Plan | None:
    status = known.status
    if not is_ours(status.last_applied_spec):  # Flagger began this run; its hash cannot be compared
        adopted = record(known, status.phase, last_applied_spec=seen.revision, tracked_configs=seen.configs)
        return Plan(status=adopted, again=True)
    if seen.revision == status.last_applied_spec and not changed(known, seen):
        return None
    if seen.revision == status.last_promoted_spec != status.last_applied_spec:
        return call_off(known, seen)
    return restart(known, seen)


def _workloads(known: Known, seen: TargetSeen) -> Plan | None:
    """Both sides must be fit to take traffic."""
    if not known.traits.waits:
        return None
    if not known.canary.spec.skip_analysis:
        primary = known.get(PrimaryReady())
        if isinstance(primary, Waiting | Absent):
            return pending(known, primary, tell=known.due)
        if isinstance(primary, Stuck) and not known.status.canary_weight:
            return roll_back(known, *news.deadline_exceeded(known.canary, primary.message), why=primary.message)
    if not seen.running:  # somebody scaled the target away; without pods it would count as ready
        return Plan(actions=(StartCanary(),), again=True)
    canary = known.get(CanaryReady())
    if isinstance(canary, Stuck):
        return roll_back(known, *news.deadline_exceeded(known.canary, canary.message), why=canary.message)
    return None if isinstance(canary, Ready) else pending(known, canary, tell=known.due)


def _begin(known: Known, seen: TargetSeen, told: tuple[News, ...]) -> Plan:
    """The first step: pre-rollout hooks, then traffic."""
    told = (*told, news.starting(known.canary))
    verdict = gates.all_pass(known, "pre-rollout", Phase.PROGRESSING)
    told = (*told, *(news.gate_passed("pre-rollout", hook, once=True) for hook in verdict.passed))
    if verdict.failed is not None:
        failure = news.pre_rollout_failed(known.canary, verdict.failed.name, verdict.error)
        return _count(known, Halted((failure,), why=failure.text), told)
    return step(known, seen, told, ())


def _judge(known: Known, seen: TargetSeen, told: tuple[News, ...]) -> Plan:
    settled = known.get(Settled())
    if isinstance(settled, Waiting):
        return pending(known, settled, tell=known.due)
    judged = analyse(known)
    if isinstance(judged, Halted):
        return _count(known, judged, told)
    return step(known, seen, (*told, *judged.news), judged.results)


def _count(known: Known, halted: Halted, told: tuple[News, ...]) -> Plan:
    """A failed check is counted; the one that reaches the threshold ends the run in the same tick."""
    told = (*told, *halted.news)
    if halted.fatal:
        return roll_back(known, *told, *news.unmeasurable(known.canary, halted.why), why=halted.why)
    failed = known.status.failed_checks + (1 if halted.counts else 0)
    if failed >= known.canary.spec.analysis.failures_allowed:
        reached = news.too_many_failed_checks(known.canary, failed)
        return roll_back(known, *told, *reached, why=halted.why, results=halted.results)
    return Plan(
        status=record(
            known,
            known.status.phase,
            failed_checks=failed,
            waiting_for="the next check",
            checks=checked(known, halted.results),
        ),
        news=told,
        requeue=interval(known),
        ticked=True,
    )
