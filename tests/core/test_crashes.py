"""The operator is killed right after every single write, one write a run, and comes to the same end.

No alert is told twice because of it, and no event but those that are told once a phase, which only memory counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.telling import Happenings, spec_of
from core.world import Conflict, Crash, World
from gradatim.api.status import Phase
from gradatim.core.measurement import Value
from gradatim.core.verdict import Traits

ERRORS = {"name": "errors", "query": "q", "thresholdRange": {"max": 1}}
NO_MESH = Traits(shifts_traffic=False)
STRATEGIES: dict[str, tuple[dict[str, Any], Traits]] = {
    "canary": ({"stepWeight": 30, "maxWeight": 60}, Traits()),
    "canary with a gentle promotion": ({"stepWeights": [10, 80], "stepWeightPromotion": 40}, Traits()),
    "canary with sessions": ({"stepWeight": 50, "sessionAffinity": {"cookieName": "c"}}, Traits(session_affinity=True)),
    "canary with a mirror": ({"stepWeight": 50, "mirror": True}, Traits(mirrors=True)),
    "blue/green": ({"iterations": 2}, Traits()),
    "blue/green with a mirror": ({"iterations": 2, "mirror": True}, Traits(mirrors=True)),
    "blue/green without a mesh": ({"iterations": 2}, NO_MESH),
    "A/B": ({"iterations": 2, "match": [{"headers": {"x": {"exact": "1"}}}]}, Traits()),
    "a Service": ({"stepWeight": 50}, Traits(waits=False)),
    "no analysis": ({"skipAnalysis": True, "stepWeight": 50}, Traits()),
}


def release(world: World) -> None:
    """A new revision, whose pods take until the next tick, as the primary's do."""
    Happenings(world).rolls("waiting")
    Happenings(world).target("v2")
    Happenings(world).canary("waiting")


def broken(world: World) -> None:
    """A new revision that answers errors from its first request on."""
    release(world)
    world.metrics["errors"] = Value(50.0)


def stuck(world: World) -> None:
    """A new revision that never becomes ready."""
    release(world)
    Happenings(world).canary("stuck")


def gone_back(world: World) -> None:
    """The target is set back to what the primary holds."""
    Happenings(world).target("v1")


def unpromotable(world: World) -> None:
    """A new revision that comes up as canary and not as primary."""
    release(world)
    Happenings(world).rolls("stuck")


def recovered(world: World) -> None:
    """The primary comes up after all."""
    Happenings(world).rolls("ready")
    Happenings(world).primary("ready")


def deleted(world: World) -> None:
    """The user deletes the Canary."""
    world.deleted = True


def nothing(world: World) -> None:
    """Time passes."""


Story = list[Callable[[World], None]]
QUIET: Story = [nothing] * 7
STORIES: dict[str, Story] = {
    "is set up, released and promoted": [nothing, release, *QUIET],
    "fails its checks and is rolled back": [nothing, broken, *QUIET],
    "never gets ready and is rolled back": [nothing, stuck, *QUIET],
    "is replaced in mid-run": [nothing, release, nothing, lambda world: Happenings(world).target("v3"), *QUIET],
    "is called off in mid-run": [nothing, release, nothing, gone_back, *QUIET],
    "cannot be promoted at first": [nothing, unpromotable, *QUIET, recovered, *QUIET],
    "is deleted at rest": [nothing, deleted, nothing],
    "is deleted in mid-run": [nothing, release, nothing, deleted, nothing],
}


def made(strategy: str, drain: float) -> World:
    """The world before a story; with `drain` seconds the metrics server is asked before pods go."""
    analysis, traits = STRATEGIES[strategy]
    outside = {key: analysis[key] for key in analysis if key == "skipAnalysis"}
    inside = {key: analysis[key] for key in analysis if key not in outside}
    metrics = {"metrics": [ERRORS], "threshold": 2, **inside}
    world = World(spec_of({**outside, "revertOnDeletion": True, "analysis": metrics}), traits=traits)
    world.metrics["errors"] = Value(0.0)
    Happenings(world).drain(drain)
    return world


def tell(strategy: str, story: Story, drain: float, crash_after: int | None = None) -> World:
    """A story from its beginning to its end; killed operators begin anew at once."""
    world = made(strategy, drain)
    world.crash_after = crash_after
    for happening in story:
        happening(world)
        outlive(world, world.tick)
        Happenings(world).canary("stuck" if happening is stuck else "ready")
        if happening is not unpromotable and world.rolls.__class__.__name__ != "Stuck" and world.primary is not None:
            Happenings(world).primary("ready")
    return world


def outlive(world: World, move: Callable[[], object]) -> None:
    """One move, by as many operators as it takes."""
    try:
        move()
    except Crash:
        world.restart()
        outlive(world, world.reconcile)
    except Conflict:
        outlive(world, world.reconcile)


def ends(world: World) -> dict[str, Any]:
    """What counts in the end: neither times, nor the last checks, nor counters of what was deleted in mid-run."""
    deleted = world.status.phase is Phase.TERMINATING
    past = tuple(dict.fromkeys((past.outcome, past.revision) for past in world.status.history))
    status = msgspec.structs.replace(
        world.status,
        last_transition_time="",
        waiting_since="",
        canary_weight=0 if deleted else world.status.canary_weight,
        iterations=0 if deleted else world.status.iterations,
        history=(),
        checks=(),
        conditions=tuple(
            msgspec.structs.replace(condition, last_update_time="", last_transition_time="")
            for condition in world.status.conditions
        ),
    )
    return {
        "status": msgspec.to_builtins(status),
        "past": past,
        "live": world.live,
        "target": world.target and (world.target.holds, world.target.running),
        "primary": world.primary and (world.primary.holds, world.primary.configs),
        "missing": world.missing,
        "finalizers": world.finalizers,
    }


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_release_that(strategy: str, story: str) -> None:
    survives(strategy, STORIES[story], drain=0.0)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("strategy", ["canary", "blue/green with a mirror", "A/B"])
def test_a_release_whose_requests_are_counted_before_pods_go_that(strategy: str, story: str) -> None:
    survives(strategy, STORIES[story], drain=30.0)


def survives(strategy: str, story: Story, drain: float) -> None:
    """Wherever the operator is killed, the end is the same."""
    undisturbed = tell(strategy, story, drain)
    assert undisturbed.status.phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.TERMINATING)
    alerts = Counter(undisturbed.alerted)
    for number in range(1, len(undisturbed.writes) + 1):
        crashed = tell(strategy, story, drain, crash_after=number)
        assert crashed.crash_after is None, "the operator was not killed"
        where = f"after {undisturbed.writes[:number]}"
        assert ends(crashed) == ends(undisturbed), where
        assert not Counter(crashed.alerted) - alerts, f"an alert is told twice {where}"
        twice = Counter(crashed.told) - Counter(undisturbed.told)
        assert not twice.keys() - crashed.forgettable, f"{twice} {where}"
