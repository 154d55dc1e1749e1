"""Bad weather: conflicts at every turn, an API server that is away, a history that is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gradatim.apps.wiring import USER_AGENT
from gradatim.sim.api import Fault, Request
from gradatim.sim.refusals import Refused
from stories.shop import MESHES, Shop, shop

Clock = Callable[[], float]

AWAY = Refused(503, "ServiceUnavailable", "the server is currently unable to handle the request")
CONFLICT = Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version")


def ours(request: Request) -> bool:
    """Whether a request is the operator's."""
    return request.headers.get("user-agent") == USER_AGENT


@contextmanager
def weather(made: Shop, fault: Fault) -> Iterator[None]:
    """Something goes wrong for as long as the block lasts."""
    made.cluster.api.faults.append(fault)
    try:
        yield
    finally:
        made.cluster.api.faults.remove(fault)


def nothing_twice(made: Shop) -> list[str]:
    """Events of steps that were told more than once."""
    steps = [text for text in made.told if text.startswith(("Advance", "Copying", "Promotion", "New revision"))]
    return sorted({text for text in steps if steps.count(text) > 1})


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.asyncio
async def test_every_other_write_is_a_conflict(virtual_time: Clock, mesh: str) -> None:
    """Each conflict costs a fresh look and a moment, and is told to nobody."""
    turns = iter(range(1_000_000))

    def every_other_write(request: Request) -> bool:
        return ours(request) and request.method == "PATCH" and "events" not in request.path and next(turns) % 2 == 0

    async with shop(mesh) as (made, _):
        with weather(made, Fault(every_other_write, None, refuse=CONFLICT)):
            await made.open()
            await made.space.phase("Initialized")
            await made.release("shop:2")
            await made.space.phase("Succeeded", within=120)
        assert next(turns) > 10, "there were conflicts"
        assert not made.users.lost
        assert not nothing_twice(made)
        assert not [text for text in made.told if "modified" in text]


@pytest.mark.parametrize("seconds", [0, 5, 12, 21, 24])
@pytest.mark.asyncio
async def test_the_api_server_is_away_for_a_minute_of_a_release(virtual_time: Clock, seconds: float) -> None:
    """Whenever the minute begins, the release goes on where it was when it is over."""
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        await made.release("shop:2")
        await asyncio.sleep(seconds)
        with weather(made, Fault(ours, None, refuse=AWAY)):
            await asyncio.sleep(60)
            assert made.space.status()["phase"] != "Failed"
        await made.space.phase("Succeeded", within=120)
        await made.space.told("Promotion completed!")
        assert not made.users.lost
        assert not nothing_twice(made)
        assert (made.image("shop-primary"), made.replicas("shop"), made.canary_share()) == ("shop:2", 0, 0)


@pytest.mark.asyncio
async def test_a_rollback_that_the_api_server_interrupts_is_completed(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        made.error_rate(30)
        await made.release("shop:2")
        await made.space.until(lambda: made.space.status().get("failedChecks") == 2, "the last failed check")
        with weather(made, Fault(ours, None, refuse=AWAY)):
            await asyncio.sleep(60)
        await made.space.phase("Failed", within=30)
        assert (made.canary_share(), made.replicas("shop")) == (0, 0)
        assert made.alerts().count("Failed checks threshold reached 2") == 1


@pytest.mark.asyncio
async def test_a_revision_that_arrives_while_history_is_forgotten_is_released(virtual_time: Clock) -> None:
    """All watches break, the version they knew has expired, and meanwhile the target was edited."""
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        await asyncio.sleep(30)
        with weather(made, Fault(ours, None, refuse=AWAY)):
            made.cluster.api.close()
            await made.release("shop:2")
            await asyncio.sleep(5)
            assert made.space.status()["phase"] == "Initialized", "nobody could see the edit"
            made.cluster.api.compact()
        await made.space.phase("Succeeded", within=120)
        assert made.image("shop-primary") == "shop:2"
        assert not made.users.lost
        assert not nothing_twice(made)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.asyncio
async def test_with_flaggers_access_rules_endpoints_are_not_seen_and_nothing_else_is_different(
    virtual_time: Clock, mesh: str
) -> None:
    """Set up, released and deleted with revert; nobody is told of what is not allowed."""
    forbidden = Refused(403, "Forbidden", "endpointslices.discovery.k8s.io is forbidden")

    def endpoints(request: Request) -> bool:
        return ours(request) and "endpointslices" in request.path

    async with shop(mesh) as (made, _):
        with weather(made, Fault(endpoints, None, refuse=forbidden)):
            await made.open(revertOnDeletion=True)
            await made.space.phase("Initialized", within=60)
            await made.release("shop:2")
            await made.space.phase("Succeeded", within=120)
            await made.space.delete("flagger.app/v1beta1", "Canary", "shop")
            await made.space.gone(within=60)
        assert not [text for text in made.told if "forbidden" in text]
