"""Progressive traffic: the canary's weight grows step by step up to its maximum."""

from __future__ import annotations

from gradatim.api.canary import Webhook
from gradatim.api.status import CheckResult, Phase
from gradatim.core import gates, news
from gradatim.core.expected import live_routes
from gradatim.core.news import News
from gradatim.core.record import checked, rechecked, record
from gradatim.core.strategies.moves import advance, promote_when_confirmed, too_late
from gradatim.core.timing import interval
from gradatim.core.verdict import Known, Plan, TargetSeen
from gradatim.core.weights import MIRRORED, max_weight, next_weight, split


def step(known: Known, seen: TargetSeen, told: tuple[News, ...], results: tuple[CheckResult, ...]) -> Plan:
    """More traffic, or the promotion."""
    analysis, weight = known.canary.spec.analysis, known.status.canary_weight
    mirrors = analysis.mirror and known.traits.mirrors and weight == 0
    mirrored = mirrors and live_routes(known).mirrored
    if not mirrored and known.status.phase is Phase.PROGRESSING:
        verdict = gates.all_pass(known, "confirm-traffic-increase", Phase.PROGRESSING)
        if verdict.failed is not None:
            return _halt(known, verdict.failed, told, results)
        told = (*told, *(news.gate_passed("confirm-traffic-increase", hook) for hook in verdict.passed))
    if weight >= max_weight(analysis):
        return promote_when_confirmed(known, seen, told, results)
    if mirrors and not mirrored and not live_routes(known).canary:  # else the record of the first step was lost
        return advance(known, MIRRORED, (*told, news.advance_weight(known.canary, 0)), results, canary_weight=0)
    to = split(next_weight(analysis, weight))
    return advance(known, to, (*told, news.advance_weight(known.canary, to.canary)), results, canary_weight=to.canary)


def _halt(known: Known, hook: Webhook, told: tuple[News, ...], results: tuple[CheckResult, ...]) -> Plan:
    """The gate before more traffic is closed: everything stays, checks and rollback hooks go on at every tick."""
    waiting = f"approval of more traffic by {hook.name}"
    if gates.overdue(known, hook, waiting):
        return too_late(known, hook, waiting, told, results)
    if known.status.waiting_for == waiting:
        return Plan(status=rechecked(known, results), news=told, requeue=interval(known), ticked=True)
    alarm = news.waiting_for_increase(known.canary, hook.name, mute=hook.mute_alert)
    since = gates.closed_since(known, waiting)
    status = record(known, known.status.phase, waiting_for=waiting, waiting_since=since, checks=checked(known, results))
    return Plan(status=status, news=(*told, *alarm), requeue=interval(known), ticked=True)
