"""The spec cannot work: say what is wrong and with which fix, once, and touch nothing."""

from __future__ import annotations

from gradatim.core import conditions, news
from gradatim.core.problems import Problem
from gradatim.core.record import edited, refuse
from gradatim.core.verdict import Known, Plan


def decide(known: Known, problems: tuple[Problem, ...]) -> Plan:
    """Conditions with every problem, an event for each; a status that says so already is left alone."""
    message = "; ".join(str(problem) for problem in problems)
    ready = known.status.condition("Ready")
    said = ready is not None and (ready.reason, ready.message) == (conditions.INVALID, message)
    if said and not edited(known):
        return Plan()
    return Plan(status=refuse(known, message), news=tuple(news.problem(problem) for problem in problems))
