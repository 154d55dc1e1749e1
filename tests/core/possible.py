"""What can be: refuses worlds, answers and plans that no cluster could show, since tables about those prove nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradatim.api.status import Phase
from gradatim.core import verdict
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.verdict import (
    Ensure,
    Introduce,
    Known,
    Part,
    Plan,
    Question,
    Serving,
    Settle,
    Shape,
    Shift,
    StopCanary,
    TargetSeen,
    Trouble,
)
from gradatim.core.weights import TOTAL, Routes

if TYPE_CHECKING:
    from core.world import World

KINDS: dict[type, tuple[type, ...]] = {
    verdict.Target: (TargetSeen, Trouble),  # Incomplete is Trouble, too
    verdict.Formed: (Shape,),
    verdict.PrimaryReady: (Ready, Waiting, Stuck, Absent),
    verdict.CanaryReady: (Ready, Waiting, Stuck, Absent),
    verdict.WhoServes: (Serving,),
    verdict.LiveRoutes: (Routes, Trouble),
    verdict.Settled: (Ready, Waiting),
    verdict.Repointed: (Ready, Waiting),
    verdict.Quiet: (Ready, Waiting),
    verdict.References: (tuple,),
    verdict.SourcesOnline: (Ready, Trouble),
    verdict.HookSays: (HookPassed, HookFailed),
    verdict.Measure: (Value, NoValues, QueryFailed),
}
RELEASING = (Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING)


class Impossible(AssertionError):
    """A test describes what cannot be."""


def refuse(wrong: bool, sentence: str) -> None:
    """Raise when something is wrong."""
    if wrong:
        raise Impossible(sentence)


def check_world(world: World) -> None:
    """A world at its beginning."""
    status, live = world.status, world.live
    refuse(live.primary + live.canary != TOTAL or not 0 <= live.canary <= TOTAL, "weights are two shares of 100")
    refuse(live.mirrored and not world.traits.mirrors, "this mesh cannot mirror")
    refuse(live != Routes(TOTAL, 0) and not world.traits.shifts_traffic, "this mesh cannot shift traffic")
    refuse(not 0 <= status.canary_weight <= TOTAL, "a recorded weight is a share of 100")
    refuse(status.phase in RELEASING and not status.last_promoted_spec, "a release replaces something promoted")
    refuse(status.phase in RELEASING and world.primary is None and not world.missing, "a release has a primary")
    refuse(world.primary is not None and verdict.Part.PRIMARY in world.missing, "the primary is there and missing")
    refuse(world.deleted and not world.finalizers, "without finalizers a deleted object is gone")
    refuse(status.phase not in (Phase.UNSET,) and not status.conditions, "every written status has conditions")


def check_answer(known: Known, question: Question[Any], answer: Any, world: World) -> None:
    """One answer of a world."""
    refuse(not isinstance(answer, KINDS[type(question)]), f"{answer!r} is no answer to {question!r}")
    analysis = known.canary.spec.analysis
    match question:
        case verdict.Quiet():
            refuse(known.settings.drain <= 0, "nobody wants to know that")
        case verdict.HookSays(index):
            refuse(index >= len(analysis.webhooks), "there is no such hook")
        case verdict.Measure(index):
            refuse(index >= len(analysis.metrics), "there is no such metric")
        case verdict.LiveRoutes():
            check_world(world)


def check_plan(known: Known, plan: Plan, world: World) -> None:
    """What may never be planned, whatever is known."""
    live, settled = world.live, False
    for action in plan.actions:
        settled = settled or isinstance(action, Introduce | Settle)
        if action == Ensure(Part.ROUTES) and known.status.phase is Phase.INITIALIZING:
            assert settled or Part.ROUTES not in world.drifted, "proxies may not know the primary that routes lead to"
        if isinstance(action, Shift):
            assert settled or not is_new(known, live, action.to, world), (
                f"proxies may not know where to send {action.to}"
            )
            to = action.to
            assert to.primary + to.canary == TOTAL, f"weights are two shares of 100: {to}"
            assert 0 <= to.canary <= TOTAL, f"weights are two shares of 100: {to}"
            assert known.traits.shifts_traffic, "nothing can be shifted on this mesh"
            live = to
        if isinstance(action, StopCanary) and known.traits.shifts_traffic:
            serves = world.target is not None and world.target.serves
            assert not (live.canary and serves), f"pods that serve {live.canary} % are taken away"
        if isinstance(action, StopCanary) and known.status.phase is not Phase.WAITING:
            running = world.target is not None and world.target.running
            assert not (known.settings.drain and world.busy and running), "pods that get requests are taken away"
    if plan.status is not None:
        status = plan.status
        assert 0 <= status.canary_weight <= TOTAL
        assert status.phase is not Phase.UNSET, "a phase is recorded"
        assert {"Promoted", "Ready"} <= {condition.type for condition in status.conditions}
        ends = status.phase in (Phase.SUCCEEDED, Phase.FAILED) and status.phase is not known.status.phase
        if ends and verdict.RevertApex() not in plan.actions:
            check_end(world, live)


def is_new(known: Known, live: Routes, to: Routes, world: World) -> bool:
    """Whether a shift sends the first users to a side whose pods may have just become ready, while the other serves."""
    if not known.traits.waits:
        return False
    status = known.status
    match status.phase:
        case Phase.PROGRESSING:
            begins = not (status.canary_weight or status.iterations or live.canary or live.mirrored)
            return begins and bool(to.canary and world.primary and world.primary.serves)
        case Phase.PROMOTING if not world.abrupt:
            return False
        case Phase.INITIALIZING | Phase.PROMOTING | Phase.FAILED:
            return bool(not live.primary and to.primary and world.target and world.target.serves)
        case _:
            return False


def check_end(world: World, live: Routes) -> None:
    """After the end of a run all traffic is on a side that serves, if any does."""
    if verdict.Part.APEX in world.missing:  # users still call the target by itself
        return
    primary = bool(world.primary and world.primary.serves)
    canary = bool(world.target and world.target.serves)
    if not world.traits.shifts_traffic or primary == canary:
        return
    assert live.canary == (0 if primary else TOTAL), f"{live.primary}/{live.canary} but only {primary=} {canary=} serve"
