"""All traffic is on the new primary: when proxies have followed, the target's pods go, and the release is through."""

from __future__ import annotations

from gradatim.api.status import Phase
from gradatim.core import expected, news
from gradatim.core.hold import pending, released
from gradatim.core.leaving import still_reached
from gradatim.core.readiness import Ready, Stuck
from gradatim.core.record import ended, record
from gradatim.core.run import promotion_failed
from gradatim.core.verdict import Action, Known, Plan, PrimaryReady, Settle, StopCanary
from gradatim.core.weights import ALL_PRIMARY


def decide(known: Known) -> Plan:
    """Finish, unless the primary has fallen over in the meantime."""
    there = released(known)
    expected.repair(known)
    state = known.get(PrimaryReady())
    if isinstance(state, Stuck):
        return promotion_failed(known, state.message)
    if not isinstance(state, Ready):
        return pending(known, state, tell=known.due)
    if there and (plan := still_reached(known)) is not None:
        return plan
    stop: tuple[Action, ...] = (StopCanary(),) if there else ()
    return Plan(
        actions=(Settle(), *stop),
        status=record(
            known,
            Phase.SUCCEEDED,
            canary_weight=0,
            iterations=0,
            last_promoted_spec=known.status.last_applied_spec,
            promoted_configs=known.status.tracked_configs,
            waiting_for="",
            history=ended(known, Phase.SUCCEEDED, "promoted"),
        ),
        news=news.promoted(known.canary),
        weights=ALL_PRIMARY,
        afterwards=Phase.SUCCEEDED,
        again=True,
        ticked=True,
    )
