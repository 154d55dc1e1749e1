"""Flagger is stopped after any of its writes, and our operator goes on from there, without users noticing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cluster.fixtures import not_run
from cluster.parity import Scenario, load_reference, load_scenario, shared
from cluster.parity.scenario import NotAtHand
from gradatim.ports.objects import Manifest
from simulated import Space, simulated
from simulated.takeover import Moment, moments, restore
from simulated.traffic import Users

Clock = Callable[[], float]

SCENARIOS = (
    "daemonset",
    "gates",
    "gatewayapi-affinity",
    "kubernetes-blue-green",
    "nginx-ab",
    "nginx-canary",
    "traefik-canary",
)
FOR_REST, FOR_A_RUN = 60.0, 150.0
ANEW = ("New revision detected! Scaling up", "Restarting analysis")
STATUS = "PATCH /apis/flagger.app/v1beta1/namespaces/taken/canaries/shop/status"


@dataclass(frozen=True)
class Seen:
    """What became of the namespace."""

    writes: list[str]
    space: Space
    lost: list[str]

    def replicas(self) -> int:
        """What the target is scaled to."""
        target = self.space.named("Deployment/shop") or {"spec": {"replicas": 0}}
        return int(target["spec"]["replicas"])


def all_moments(name: str) -> tuple[Scenario, list[Moment]]:
    try:
        shared()
    except NotAtHand as error:
        not_run(str(error))
    return load_scenario(name), moments(load_reference(name))


async def taken_over(scenario: Scenario, moment: Moment, seconds: float) -> Seen:
    """The operator at work for some time on what was left behind; all gates are open."""
    async with simulated(*scenario.crds) as cluster:
        space = cluster.space("taken")
        await restore(cluster, space, scenario, moment)
        for hook in scenario.canary["analysis"].get("webhooks", ()):
            space.set_hook(hook["name"], 200)
        users = Users(cluster.store, "taken", "shop")
        await asyncio.sleep(3)  # until pods are ready
        async with cluster.operator() as operator:
            await asyncio.sleep(seconds)
        return Seen(operator.writes, space, users.lost)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.asyncio
async def test_what_rests_is_left_alone(virtual_time: Clock, name: str) -> None:
    """At most the status is written, once; nothing is told but what is wrong with the spec."""
    scenario, found = all_moments(name)
    resting = [moment for moment in found if moment.rests]
    assert resting
    for moment in resting:
        seen = await taken_over(scenario, moment, FOR_REST)
        assert seen.space.status()["phase"] == moment.phase, moment.after
        assert seen.writes in ([], [STATUS]), moment.after
        assert not [text for text in seen.space.events() if "Invalid spec" not in text], moment.after
        assert not seen.lost, moment.after


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.asyncio
async def test_a_run_is_brought_to_its_end(virtual_time: Clock, name: str) -> None:
    """Nothing begins anew, no weight goes back, and in the end all is on the primary and the target is at zero."""
    scenario, found = all_moments(name)
    moving = [moment for moment in found if moment.phase in ("Progressing", "Promoting", "Finalising")]
    assert moving
    for moment in moving:
        seen = await taken_over(scenario, moment, FOR_A_RUN)
        status, events = seen.space.status(), seen.space.events()
        assert status["phase"] in ("Succeeded", "Failed"), (moment.after, events)
        assert status["canaryWeight"] == 0
        assert seen.replicas() == 0, moment.after
        assert not [text for text in events for anew in ANEW if anew in text], moment.after
        assert weights(events) == sorted(weights(events)), moment.after
        assert all(weight > weight_of(moment) for weight in weights(events)), moment.after
        assert not seen.lost, (moment.after, seen.lost[0])
        if status["phase"] == "Succeeded":
            assert image(seen.space, "shop-primary") == image(seen.space, "shop"), moment.after


@pytest.mark.asyncio
async def test_gates_that_flagger_waited_at_are_asked_on(virtual_time: Clock) -> None:
    scenario, found = all_moments("gates")
    for phase in ("Waiting", "WaitingPromotion"):
        waiting = [moment for moment in found if moment.phase == phase]
        assert waiting
        for moment in waiting:
            seen = await taken_over(scenario, moment, FOR_A_RUN)
            assert seen.space.status()["phase"] == "Succeeded", moment.after
            assert not seen.lost


def weights(events: list[str]) -> list[int]:
    return [int(text.rpartition(" ")[2]) for text in events if "canary weight" in text]


def weight_of(moment: Moment) -> int:
    return int(moment.objects["Canary/shop"]["status"]["canaryWeight"])


def image(space: Space, name: str) -> str:
    workload: Manifest = space.named(f"Deployment/{name}") or space.named(f"DaemonSet/{name}") or {}
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])
