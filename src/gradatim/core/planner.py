"""decide(): the one place where a release is decided. Pure and total: for anything known, it says something."""

from __future__ import annotations

from typing import assert_never

import msgspec

from gradatim.api.canary import FINALIZER
from gradatim.api.status import RUNNING, Phase
from gradatim.core import names, news
from gradatim.core.hold import Held
from gradatim.core.phases import (
    finalising,
    initializing,
    progressing,
    promoting,
    refused,
    resting,
    suspended,
    terminating,
    waiting,
)
from gradatim.core.problems import Problem
from gradatim.core.record import mended, references, told_warnings, unhindered, warnings, was_refused
from gradatim.core.session import with_cookies
from gradatim.core.strategy import ROUNDS_WITHOUT_SHIFTS, without_shifts
from gradatim.core.verdict import (
    AddFinalizer,
    Ask,
    Formed,
    Known,
    LiveRoutes,
    Plan,
    References,
    RemoveFinalizer,
    Unanswered,
    Verdict,
)
from gradatim.core.weights import ALL_PRIMARY, Routes

_AT_REST = (Phase.UNSET, Phase.INITIALIZING, Phase.INITIALIZED, Phase.WAITING, Phase.SUCCEEDED, Phase.FAILED)
_DONE = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)


def decide(known: Known) -> Verdict:
    """What to find out next, or what to do: asked again with more known until it plans."""
    if not known.traits.shifts_traffic:
        known = _without_shifts(known)
    try:
        return _finished(known, with_cookies(known, _plan(known)))
    except Held as held:
        return _finished(known, held.plan)
    except Unanswered as missing:
        return Ask((missing.question,))


def _finished(known: Known, plan: Plan) -> Plan:
    return _watchful(known, _warned(known, _cleared(known, _measured(known, plan))))


def _measured(known: Known, plan: Plan) -> Plan:
    """The plan with the split that was found, to be published at each tick of a run."""
    if plan.weights is not None or not plan.ticked or known.status.phase not in RUNNING:
        return plan
    live = known.answers.get(LiveRoutes()) if known.traits.shifts_traffic else ALL_PRIMARY
    return msgspec.structs.replace(plan, weights=live) if isinstance(live, Routes) else plan


def _without_shifts(known: Known) -> Known:
    """The Canary as far as it can be carried out, and what is told of the rest."""
    mesh = names.provider(known.canary, known.settings.mesh_provider)
    caveats = news.shifts_nothing(known.canary, mesh, ROUNDS_WITHOUT_SHIFTS)
    return msgspec.structs.replace(known, canary=without_shifts(known.canary), caveats=caveats)


def _plan(known: Known) -> Plan:
    if known.canary.deleted:
        return terminating.decide(known)
    if known.canary.spec.suspend:
        return _finalizer(known) or suspended.decide(known)
    if problems := _problems(known):
        return refused.decide(known, problems)
    if (plan := _finalizer(known)) is not None:
        return plan
    if was_refused(known.status) and not (known.status.phase in _DONE and known.status.last_promoted_spec):
        return Plan(status=mended(known), again=True)
    match known.status.phase:
        case Phase.UNSET | Phase.INITIALIZING | Phase.TERMINATING | Phase.TERMINATED:
            return initializing.decide(known)  # a Canary that lives was not terminated, whatever a restored status says
        case Phase.INITIALIZED | Phase.SUCCEEDED | Phase.FAILED:
            return resting.decide(known)
        case Phase.WAITING:
            return waiting.decide(known)
        case Phase.PROGRESSING | Phase.WAITING_PROMOTION:
            return progressing.decide(known)
        case Phase.PROMOTING:
            return promoting.decide(known)
        case Phase.FINALISING:
            return finalising.decide(known)
        case never:
            assert_never(never)


def _finalizer(known: Known) -> Plan | None:
    """Keep the Canary from vanishing unnoticed, or do not any more, as soon as its spec says so and in any phase.

    A Canary that was never written to first gets its phase.
    """
    wanted, present = known.canary.spec.revert_on_deletion, FINALIZER in known.canary.finalizers
    if wanted == present or not known.status.conditions:
        return None
    return Plan(actions=(AddFinalizer() if wanted else RemoveFinalizer(),), again=True)


def _cleared(known: Known, plan: Plan) -> Plan:
    """The plan with the note that nothing stands in the way any more, where the status still says so."""
    if plan.status is not None or plan.hindered or plan.again or known.canary.spec.suspend:
        return plan
    return msgspec.structs.replace(plan, status=unhindered(known))


def _problems(known: Known) -> tuple[Problem, ...]:
    """What keeps this Canary from being acted upon.

    References are looked up while nothing moves. In the middle of a run a template that vanished counts as a source
    that cannot be asked, so that the run ends in a way that users know.
    """
    found = known.problems
    if not any(problem.blocks for problem in found) and known.status.phase in _AT_REST:
        found = (*found, *references(known))
    return found if any(problem.blocks for problem in found) else ()


def _watchful(known: Known, plan: Plan) -> Plan:
    """The plan with a word about what does not stay as it was written, and with a look when that may be tried again."""
    shape = known.answers.get(Formed())
    if shape is None or not shape.unkept:
        return plan
    requeue = shape.retry if plan.requeue is None else min(plan.requeue, shape.retry)
    return msgspec.structs.replace(plan, news=(*map(news.unkept, shape.unkept), *plan.news), requeue=requeue)


def _warned(known: Known, plan: Plan) -> Plan:
    """The plan with an event for whatever is wrong without holding anything up, until the status says so."""
    if warnings(known) == told_warnings(known.status):
        return plan
    found = (*known.problems, *(references(known) if References() in known.answers else ()))
    told = tuple(news.problem(problem) for problem in found if not problem.blocks)
    return msgspec.structs.replace(plan, news=(*told, *plan.news))
