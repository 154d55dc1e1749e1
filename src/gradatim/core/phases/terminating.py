"""Deletion with `revertOnDeletion`: the target gets its pods back, then its traffic, then the Canary may go.

Nothing here can hang: a target that is gone or never becomes ready stops holding the Canary after its deadline, and so
does a spec that nobody can read.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from gradatim.api.canary import FINALIZER
from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.hold import pending
from gradatim.core.leaving import still_reached
from gradatim.core.news import News
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.record import record
from gradatim.core.timing import overdue
from gradatim.core.verdict import (
    Action,
    CanaryReady,
    Known,
    Plan,
    RemoveFinalizer,
    RevertApex,
    RevertRoutes,
    RevertTarget,
    Settle,
    Target,
    Trouble,
)


def decide(known: Known) -> Plan:
    """Revert step by step; nothing is to be done without our finalizer, or when users do not want it any more."""
    if FINALIZER not in known.canary.finalizers:
        return Plan()
    if not known.canary.spec.revert_on_deletion:
        return Plan(actions=(RemoveFinalizer(),))
    seen = known.get(Target())
    if isinstance(seen, Trouble):
        unreadable = any(problem.blocks for problem in known.problems)
        return _let_go(known, news.warning(seen.message), blindly=unreadable)
    if known.status.phase is not Phase.TERMINATING:
        status = record(known, Phase.TERMINATING, waiting_for="the target's pods to be ready")
        return Plan(actions=(RevertTarget(),), status=status, news=(news.terminating(known.canary),), again=True)
    match known.get(CanaryReady()):
        case Ready():
            return _hand_back(known)
        case Waiting() as state if not overdue(known, CanaryReady()):
            return pending(known, state, tell=known.due)
        case Waiting(message) | Stuck(message) | Absent(message):
            return _let_go(known, news.warning(message))
        case never:
            assert_never(never)


def _hand_back(known: Known) -> Plan:
    """The target can take its traffic back; the primary's pods go with the Canary when nothing leads to them."""
    plan = still_reached(known, primary=True, service=True)
    return _let_go(known) if plan is None else msgspec.structs.replace(plan, actions=(RevertApex(), RevertRoutes()))


def _let_go(known: Known, *told: News, blindly: bool = False) -> Plan:
    """Give traffic back, if it can be told how, and let the Canary go."""
    revert: tuple[Action, ...] = () if blindly else (RevertApex(), RevertRoutes(), Settle())
    return Plan(actions=(*revert, RemoveFinalizer()), news=(*told, news.terminated(known.canary)))
