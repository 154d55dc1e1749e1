"""Every way in which a release can fail alerts exactly once: not never, not at every tick, not after a restart."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.telling import Case, Happenings, world_of
from core.world import Conflict, Crash, World
from gradatim.api.status import Phase
from gradatim.core import news


class Failure(msgspec.Struct, frozen=True):
    """What happens before each tick until the release has failed, and the one alert about it."""

    name: str
    alert: str
    ticks: tuple[dict[str, Any], ...]
    analysis: dict[str, Any] = {}
    begins: str | dict[str, Any] = {}
    given: dict[str, Any] = {}
    deadline: int = 600


def hook(kind: str, **more: Any) -> dict[str, Any]:
    return {"name": "hook", "type": kind, "url": "http://t", **more}


HALF = {"stepWeight": 50, "maxWeight": 50}
ERRORS = [{"name": "errors", "query": "q", "thresholdRange": {"max": 1}}]
RUNNING = {"phase": "Progressing", "canaryWeight": 50, "lastAppliedSpec": "v2"}
WAITING = {**RUNNING, "phase": "WaitingPromotion"}
UNDER_WAY = {"target": "v2", "scaled": True, "routes": "50/50"}
NOT_READY = "not ready: waiting for rollout to finish: 0 of 1 (readyThreshold 100%) updated replicas are available"
STUCK = 'not ready: deployment "{}" exceeded its progress deadline'
CANARY_STUCK = "canary deployment podinfo.test " + STUCK.format("podinfo")
PRIMARY_STUCK = "podinfo-primary.test " + STUCK.format("podinfo-primary")
ASKED_FOR = "warn: Rolling back manual webhook invoked"

FAILURES = (
    Failure(
        "initialization whose primary never comes up",
        f"error: Progress deadline exceeded {PRIMARY_STUCK}",
        ({"rolls": "stuck"},),
        begins="new",
    ),
    Failure(
        "a progress deadline before the first traffic",
        f"error: Progress deadline exceeded {CANARY_STUCK}",
        ({"target": "v2", "canary": "waiting"}, {"canary": "stuck"}),
        analysis=HALF,
    ),
    Failure(
        "a progress deadline under traffic",
        f"error: Progress deadline exceeded {CANARY_STUCK}",
        ({"canary": "stuck"},),
        analysis={**HALF, "threshold": 5},
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "proxies that do not follow within the progress deadline",
        "error: Progress deadline exceeded 1 of 2 proxies lag behind",
        ({"proxies": "1 of 2 proxies lag behind"}, {"wait": 600}),
        analysis=HALF,
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "pre-rollout hooks that reach the threshold",
        "error: Failed checks threshold reached 2",
        ({"target": "v2"}, {}),
        analysis={**HALF, "threshold": 2, "webhooks": [hook("pre-rollout")]},
        given={"hooks": {"hook": "broken"}},
    ),
    Failure(
        "rollout hooks that reach the threshold",
        "error: Failed checks threshold reached 2",
        ({}, {}),
        analysis={**HALF, "threshold": 2, "webhooks": [hook("rollout")]},
        begins=RUNNING,
        given={**UNDER_WAY, "hooks": {"hook": "broken"}},
    ),
    Failure(
        "metrics that reach the threshold",
        "error: Failed checks threshold reached 2",
        ({}, {}),
        analysis={**HALF, "threshold": 2, "metrics": ERRORS},
        begins=RUNNING,
        given={**UNDER_WAY, "metrics": {"errors": 9}},
    ),
    Failure(
        "metrics that reach the threshold while the promotion waits",
        "error: Failed checks threshold reached 1",
        ({},),
        analysis={**HALF, "metrics": ERRORS, "webhooks": [hook("confirm-promotion")]},
        begins=WAITING,
        given={**UNDER_WAY, "metrics": {"errors": 9}, "hooks": {"hook": "no"}},
    ),
    Failure(
        "a threshold lowered below what had failed",
        "error: Failed checks threshold reached 3",
        ({"spec": {"analysis": {"threshold": 3}}},),
        analysis={**HALF, "threshold": 9},
        begins={**RUNNING, "failedChecks": 3},
        given=UNDER_WAY,
    ),
    Failure(
        "pods that are lost as often as the threshold allows",
        "error: Failed checks threshold reached 1",
        ({"canary": "waiting"},),
        analysis=HALF,
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "a metrics provider that is down for the whole progress deadline",
        "error: Metrics could not be measured: Prometheus query failed for errors: refused",
        ({}, {"wait": 120}),
        analysis={**HALF, "threshold": 9, "metrics": ERRORS},
        begins=RUNNING,
        given={**UNDER_WAY, "metrics": {"errors": "Prometheus query failed for errors: refused"}},
        deadline=120,
    ),
    Failure(
        "a target that is deleted with its traffic",
        "error: Target lost: deployment podinfo.test get query error: not found",
        ({"target": "gone"},),
        analysis=HALF,
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "a promotion whose primary does not come up",
        f"error: Promotion failed, primary not ready: {PRIMARY_STUCK}",
        ({"rolls": "waiting"}, {"primary": "stuck"}),
        analysis=HALF,
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "a promotion whose primary falls over at the very end",
        f"error: Promotion failed, primary not ready: {PRIMARY_STUCK}",
        ({"primary": "stuck"},),
        analysis=HALF,
        begins={**RUNNING, "phase": "Finalising", "canaryWeight": 0, "lastPromotedSpec": "v2"},
        given={"target": "v2", "scaled": True, "primary": "v2"},
    ),
    Failure(
        "a rollback hook in the middle of a run",
        ASKED_FOR,
        ({},),
        analysis={**HALF, "webhooks": [hook("rollback")]},
        begins=RUNNING,
        given=UNDER_WAY,
    ),
    Failure(
        "a rollback hook while pods are not ready",
        ASKED_FOR,
        ({"target": "v2", "canary": "waiting"}, {"hooks": {"hook": "open"}}),
        analysis={**HALF, "webhooks": [hook("rollback")]},
        given={"hooks": {"hook": "no"}},
    ),
    Failure(
        "a rollback hook while the release waits for approval",
        ASKED_FOR,
        ({"target": "v2"}, {"hooks": {"hook": "open"}}),
        analysis={
            **HALF,
            "webhooks": [{**hook("confirm-rollout"), "name": "gate", "muteAlert": True}, hook("rollback")],
        },
        given={"hooks": {"hook": "no", "gate": "no"}},
    ),
    Failure(
        "a rollback hook while the promotion waits for approval",
        ASKED_FOR,
        ({},),
        analysis={**HALF, "webhooks": [{**hook("confirm-promotion"), "name": "gate"}, hook("rollback")]},
        begins=WAITING,
        given={**UNDER_WAY, "hooks": {"gate": "no"}},
    ),
    Failure(
        "a release that nobody approves in time",
        "error: Release given up, no approval by hook within 1m",
        ({"target": "v2"}, {}),
        analysis={**HALF, "webhooks": [hook("confirm-rollout", deadline="1m", muteAlert=True)]},
        given={"hooks": {"hook": "no"}},
    ),
    Failure(
        "more traffic that nobody approves in time",
        "error: Rolling back, no approval of more traffic by hook within 1m",
        ({"target": "v2"}, {}),
        analysis={**HALF, "webhooks": [hook("confirm-traffic-increase", deadline="1m", muteAlert=True)]},
        given={"hooks": {"hook": "no"}},
    ),
    Failure(
        "a promotion that nobody approves in time",
        "error: Rolling back, no approval of the promotion by hook within 1m",
        ({}, {}),
        analysis={**HALF, "webhooks": [hook("confirm-promotion", deadline="1m", muteAlert=True)]},
        begins=RUNNING,
        given={**UNDER_WAY, "hooks": {"hook": "no"}},
    ),
)


def world_before(failure: Failure) -> World:
    canary = {"analysis": failure.analysis or HALF, "progressDeadlineSeconds": failure.deadline}
    return world_of(Case(name=failure.name, steps=(), canary=canary, begins=failure.begins, given=failure.given))


def fail(world: World, failure: Failure) -> None:
    """Everything happens, a tick after each."""
    for happenings in failure.ticks:
        for verb, what in happenings.items():
            getattr(Happenings(world), verb)(what)
        world.tick()


def live_on(world: World) -> None:
    """Ticks and looks after the failure, also of an operator that begins anew."""
    for _ in range(2):
        for move in (world.tick, world.look, world.tick, world.look):
            move()
        world.restart()


def alarms(world: World) -> list[str]:
    """What was told of failures; that a release begins is told too."""
    return [text for text in world.alerted if not text.startswith("info")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_failure_alerts_exactly_once(failure: Failure) -> None:
    world = world_before(failure)
    fail(world, failure)
    assert world.status.phase is Phase.FAILED
    assert alarms(world) == [failure.alert]
    live_on(world)
    assert alarms(world) == [failure.alert]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_no_failure_alerts_twice_wherever_the_operator_is_killed(failure: Failure) -> None:
    """What was recorded and not told yet when it was killed is lost; nothing is told again."""
    for write in range(1, 12):
        world = world_before(failure)
        world.crash_after = write
        for happenings in failure.ticks:
            for verb, what in happenings.items():
                getattr(Happenings(world), verb)(what)
            with contextlib.suppress(Crash):
                world.tick()
        world.crash_after = None
        world.restart()
        for _ in range(4):
            with contextlib.suppress(Conflict):
                world.tick()
        live_on(world)
        assert alarms(world) in ([], [failure.alert]), f"killed after write {write}"


def test_the_table_has_every_failure_that_the_news_know() -> None:
    """Whoever adds an alert about a failure adds a row: the texts of the table are those of the catalogue."""
    source = Path(news.__file__).read_text()
    assert source.count('severity="error"') == 7
    beginnings = {failure.alert.partition(": ")[2].split()[0] for failure in FAILURES}
    assert beginnings == {"Progress", "Failed", "Metrics", "Target", "Promotion", "Rolling", "Release"}
