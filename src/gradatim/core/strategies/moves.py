"""Moves that all strategies make: recording a step, and the gate before promotion."""

from __future__ import annotations

from typing import Any

from gradatim.api.canary import Webhook
from gradatim.api.status import CheckResult, Phase
from gradatim.core import gates, news
from gradatim.core.news import News
from gradatim.core.record import checked, rechecked, record
from gradatim.core.run import condemn, promote
from gradatim.core.timing import interval
from gradatim.core.verdict import Action, Known, Plan, Shift, TargetSeen
from gradatim.core.weights import Routes


def advance(
    known: Known,
    to: Routes | None,
    told: tuple[News, ...],
    results: tuple[CheckResult, ...],
    **fields: Any,
) -> Plan:
    """Shift traffic if need be and record the step; the next tick is due after an interval.

    A step out of `WaitingPromotion` (the cut-over of blue/green) keeps that phase: the gate is asked again.
    """
    actions: tuple[Action, ...] = () if to is None else (Shift(to),)
    status = record(known, known.status.phase, waiting_for="the next check", checks=checked(known, results), **fields)
    return Plan(actions=actions, status=status, news=told, weights=to, requeue=interval(known), ticked=True)


def promote_when_confirmed(
    known: Known, seen: TargetSeen, told: tuple[News, ...], results: tuple[CheckResult, ...]
) -> Plan:
    """Copy the template, or wait for the approval."""
    plan, passed = confirmed(known, told, results)
    return plan if plan is not None else promote(known, seen, *passed, results=results)


def confirmed(
    known: Known, told: tuple[News, ...], results: tuple[CheckResult, ...]
) -> tuple[Plan | None, tuple[News, ...]]:
    """Ask the gate before promotion: the plan to wait with, if it is closed, and what is to be told if it is open.

    Waiting keeps weight and iterations as they are, so that the status tells where traffic is; the gate is asked at
    every tick.
    """
    verdict = gates.all_pass(known, "confirm-promotion", Phase.PROGRESSING)
    passed = tuple(news.gate_passed("confirm-promotion", hook) for hook in verdict.passed)
    if verdict.failed is None:
        return None, (*told, *passed)
    hook = verdict.failed
    waiting = f"approval of the promotion by {hook.name}"
    if gates.overdue(known, hook, waiting):
        return too_late(known, hook, waiting, told, results), ()
    if known.status.phase is Phase.WAITING_PROMOTION and known.status.waiting_for == waiting:
        return Plan(status=rechecked(known, results), news=told, requeue=interval(known), ticked=True), ()
    alarm = news.waiting_for_promotion(known.canary, hook.name, mute=hook.mute_alert)
    if known.status.phase is Phase.WAITING_PROMOTION:  # another gate, or one that is asked again after the cut-over
        passed, alarm = (), ()
    since = gates.closed_since(known, waiting)
    status = record(
        known, Phase.WAITING_PROMOTION, waiting_for=waiting, waiting_since=since, checks=checked(known, results)
    )
    return Plan(status=status, news=(*told, *passed, *alarm), requeue=interval(known), ticked=True), ()


def too_late(
    known: Known, hook: Webhook, waiting: str, told: tuple[News, ...], results: tuple[CheckResult, ...]
) -> Plan:
    """A gate in the middle of a run stayed closed for too long: pods and traffic are not held for ever."""
    why = f"no {waiting} within {hook.deadline}"
    return condemn(known, *told, *news.not_approved(known.canary, why), why=why, results=results)
