"""The operator is killed after its writes and started again: the release ends as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cluster.fixtures import not_run
from cluster.parity import Recording, load_base, load_scenario, play, shared
from cluster.parity.normal import NOT_READY, event_text
from cluster.parity.scenario import NotAtHand
from simulated import simulated
from simulated.ends import other_ends
from simulated.traffic import Users

Clock = Callable[[], float]

REPAIRED = "Normal Synced: Brought back into shape"
"""What a run may tell in addition: a write that the status does not tell of may look like somebody else's."""


@dataclass(frozen=True)
class Run:
    """How a scenario went."""

    recording: Recording
    writes: list[str]
    lost: list[str]


async def run(name: str, *crashes: int) -> Run:
    scenario = load_scenario(name)
    async with simulated(*scenario.crds) as cluster:
        space = cluster.space("crash")
        users = Users(cluster.store, "crash", "shop")
        async with cluster.crashing_operator(*crashes) as processes:
            recording = await play(scenario, load_base(), space)
            await asyncio.sleep(30)
        return Run(recording, processes[0].writes, users.lost)


@pytest.mark.parametrize(
    ("name", "every", "again"),
    [
        ("nginx-canary", 1, ()),
        ("gatewayapi-affinity", 2, (1,)),
        ("kubernetes-blue-green", 3, (1, 1)),
        ("hpa", 3, (2,)),
    ],
)
@pytest.mark.asyncio
async def test_killed_after_a_write(virtual_time: Clock, name: str, every: int, again: tuple[int, ...]) -> None:
    """After each write, or each second or third; some operators die again, after so many writes more.

    States and phases are those of a run without crashes, nothing is told that is not so, and users notice nothing.

    What was recorded and not yet told when the operator died stays untold; everything else is told once.
    """
    at_hand()
    whole = await run(name)
    assert not whole.lost
    for number, write in list(enumerate(whole.writes, 1))[::every]:
        crashed = await run(name, number, *again)
        where = f"killed after write {number}, {write}"
        assert not other_ends(whole.recording, crashed.recording), where
        assert set(told(crashed.recording)) <= set(told(whole.recording)), where
        assert not crashed.lost, where


@pytest.mark.asyncio
async def test_killed_after_a_write_of_a_deletion(virtual_time: Clock) -> None:
    at_hand()
    whole = await run("revert-on-deletion")
    for number, write in list(enumerate(whole.writes, 1))[::2]:
        crashed = await run("revert-on-deletion", number)
        assert not other_ends(whole.recording, crashed.recording), f"killed after write {number}, {write}"


def at_hand() -> None:
    try:
        shared()
    except NotAtHand as error:
        not_run(str(error))


def told(recording: Recording) -> list[str]:
    texts = (event_text(line) for line in recording.lines if "event" in line)
    return [text for text in texts if text != NOT_READY and not text.startswith(REPAIRED)]
