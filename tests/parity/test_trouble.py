"""The API server is in trouble for the whole of a release: it refuses, hangs, answers lost, and breaks off watches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from cluster.fixtures import not_run
from cluster.parity import Recording, load_base, load_scenario, play, shared
from cluster.parity.scenario import NotAtHand
from gradatim.apps.wiring import USER_AGENT
from gradatim.sim.api import Fault, Request
from gradatim.sim.refusals import Refused
from simulated import simulated
from simulated.ends import other_ends
from simulated.traffic import Users

Clock = Callable[[], float]

SHARE = 0.1
"""Of the operator's requests that each kind of trouble meets."""
PATIENCE = 2000.0
HANGS = 35.0
"""Seconds; longer than the operator waits for an answer."""

SCENARIOS = (
    "daemonset",
    "gatewayapi-affinity",
    "hpa",
    "keda",
    "kubernetes-blue-green",
    "nginx-ab",
    "nginx-canary",
    "traefik-canary",
)


@dataclass(frozen=True)
class Run:
    """How a scenario went."""

    recording: Recording
    lost: list[str]
    met: int


def trouble(chance: random.Random, met: list[str]) -> Iterator[Fault]:
    def some(kind: str, meant: Callable[[Request], bool]) -> Callable[[Request], bool]:
        def meets(request: Request) -> bool:
            ours = request.headers.get("user-agent") == USER_AGENT
            if not (ours and meant(request) and chance.random() < SHARE):
                return False
            met.append(kind)
            return True

        return meets

    def writes(request: Request) -> bool:
        return request.method != "GET"

    def watches(request: Request) -> bool:
        return request.flag("watch")

    def any_(_: Request) -> bool:
        return True

    yield Fault(some("timeout", any_), None, refuse=Refused(500, "InternalError", "etcdserver: request timed out"))
    yield Fault(some("restart", any_), None, refuse=Refused(503, "ServiceUnavailable", "apiserver is shutting down"))
    yield Fault(some("conflict", writes), None, refuse=Refused(409, "Conflict", "the object has been modified"))
    yield Fault(some("lost answer", any_), None, swallow=True)
    yield Fault(some("hangs", any_), None, delay=HANGS)
    yield Fault(some("cut", watches), None, cut_after=2)


async def run(name: str, seed: int | None = None) -> Run:
    scenario, met = load_scenario(name), list[str]()
    async with simulated(*scenario.crds) as cluster:
        space = cluster.space("trouble")
        users = Users(cluster.store, "trouble", "shop")
        if seed is not None:
            cluster.api.faults += trouble(random.Random(seed), met)
        async with cluster.operator():
            recording = await play(scenario, load_base(), space, patience=PATIENCE)
        return Run(recording, users.lost, len(met))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.asyncio
async def test_a_release_ends_as_without_trouble(virtual_time: Clock, name: str) -> None:
    """Later, perhaps; but no request of a user is lost, and everything looks as it does without trouble."""
    try:
        shared()
    except NotAtHand as error:
        not_run(str(error))
    quiet, troubled = await run(name), await run(name, seed=1)
    assert troubled.met > 10
    assert not other_ends(quiet.recording, troubled.recording)
    assert not troubled.lost
