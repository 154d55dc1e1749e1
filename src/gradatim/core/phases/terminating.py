"""Deletion with `revertOnDeletion`: the target gets its pods back, then its traffic, then the Canary may go.

Nothing here can hang: a target that is gone or never becomes ready stops holding the Canary after its deadline.
"""

from __future__ import annotations

from gradatim.api.canary import FINALIZER
from gradatim.api.status import Phase
from gradatim.core import conditions, news
from gradatim.core.hold import pending
from gradatim.core.readiness import Waiting
from gradatim.core.record import record
from gradatim.core.verdict import (
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
    """Revert step by step; without our finalizer there is nothing to do."""
    if FINALIZER not in known.canary.finalizers:
        return Plan()
    if known.status.phase is not Phase.TERMINATING:
        status = record(known, Phase.TERMINATING, waiting_for="the target's pods to be ready")
        return Plan(actions=(RevertTarget(),), status=status, news=(news.terminating(known.canary),), again=True)
    if isinstance(known.get(Target()), Trouble):
        return _let_go(known)
    state = known.get(CanaryReady())
    if isinstance(state, Waiting) and not _overdue(known):
        return pending(known, state, tell=known.due)
    return _let_go(known)


def _overdue(known: Known) -> bool:
    since = conditions.seconds(known.status.last_transition_time)
    return since is not None and known.now - since > known.canary.spec.progress_deadline


def _let_go(known: Known) -> Plan:
    return Plan(
        actions=(RevertApex(), RevertRoutes(), Settle(), RemoveFinalizer()),
        news=(news.terminated(known.canary),),
    )
