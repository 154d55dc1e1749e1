"""The operator is killed after every single write of a whole story, begins anew, and comes to the same end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stories.shop import INTERVAL, MESHES, Shop, shop

Clock = Callable[[], float]

AGAIN = ("all the metrics providers", "Starting canary analysis", "not ready: waiting", "Brought back into shape")
"""What may be told again: that is told once a phase or an interval, of which only the operator's memory knows."""


MID_RUN = 0.8 * INTERVAL
"""After the first step of every run and before the second, which on one mesh is the last."""


@dataclass
class End:
    """How a story ended."""

    writes: list[str]
    states: list[dict[str, Any]]
    told: Counter[str]
    alerts: Counter[str]
    lost: list[str]


async def good_and_bad(made: Shop) -> list[dict[str, Any]]:
    """Set up, released, and rolled back."""
    await made.open()
    await made.space.phase("Initialized")
    states = [await settled(made)]
    await made.release("shop:2")
    await made.space.phase("Succeeded")
    states.append(await settled(made))
    made.error_rate(30)
    await made.release("shop:3")
    await made.space.phase("Failed")
    return [*states, await settled(made)]


async def replaced_and_reverted(made: Shop) -> list[dict[str, Any]]:
    """Replaced in mid-run, set back in mid-run, and deleted with everything given back."""
    await made.open(revertOnDeletion=True)
    await made.space.phase("Initialized")
    await made.release("shop:2")
    await made.space.phase("Progressing")
    await asyncio.sleep(MID_RUN)
    await made.release("shop:3")
    await asyncio.sleep(MID_RUN)
    await made.release("shop:1")
    await made.space.phase("Succeeded")
    states = [await settled(made)]
    await made.space.delete("flagger.app/v1beta1", "Canary", "shop")
    await made.space.gone()
    await asyncio.sleep(5)
    return [*states, {"target": (made.image("shop"), made.replicas("shop"))}]


async def settled(made: Shop) -> dict[str, Any]:
    """The shop some time later."""
    await asyncio.sleep(5)
    return made.at_rest()


STORIES = {story.__name__: story for story in (good_and_bad, replaced_and_reverted)}


async def tell(mesh: str, story: Callable[[Shop], Awaitable[list[dict[str, Any]]]], *crashes: int) -> End:
    """A story with an operator that is killed after so many writes."""
    async with shop(mesh, *crashes) as (made, operators):
        states = await story(made)
        await asyncio.sleep(15)
        return End(operators[0].writes, states, Counter(made.told), Counter(made.alerts()), made.users.lost)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize(("mesh", "every"), [(mesh, 1 if mesh == "nginx" else 3) for mesh in MESHES])
@pytest.mark.asyncio
async def test_a_story_of(virtual_time: Clock, mesh: str, every: int, story: str) -> None:
    """After every write on one mesh, after every third on the others. No alert and no step is told twice."""
    whole = await tell(mesh, STORIES[story])
    for number in range(1, len(whole.writes) + 1, every):
        killed = await tell(mesh, STORIES[story], number)
        where = f"killed after write {number}, {whole.writes[number - 1]}"
        assert killed.states == whole.states, where
        assert not killed.alerts - whole.alerts, where
        twice = killed.told - whole.told
        assert not [text for text in twice if not any(part in text for part in AGAIN)], where
        if story == "good_and_bad":  # with a deletion, what goes with its owner goes in any order
            assert not killed.lost, where
