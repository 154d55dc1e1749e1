"""What does not happen costs nothing, and what happens is noticed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from stories.shop import INGRESS, WEIGHT, Shop, shop

Clock = Callable[[], float]

LONG = 600.0
"""Ten minutes."""


def requests(operator: object) -> int:
    """What an operator has asked the API server so far, watches left out, since those stay open."""
    counted: dict[str, int] = operator.parts.client.requests  # type: ignore[attr-defined]
    return sum(number for verb, number in counted.items() if verb != "watch")


async def initialized(made: Shop) -> None:
    """A shop that was never released."""
    await made.open()
    await made.space.phase("Initialized")


async def released(made: Shop) -> None:
    """A shop after a good release."""
    await initialized(made)
    await made.release("shop:2")
    await made.space.phase("Succeeded")


async def failed(made: Shop) -> None:
    """A shop after a bad release."""
    await initialized(made)
    made.error_rate(50)
    await made.release("shop:2")
    await made.space.phase("Failed")


async def waiting(made: Shop) -> None:
    """A shop whose release nobody approves."""
    gate = {"name": "gate", "type": "confirm-rollout", "url": f"{made.space.hooks}/gate"}
    await made.open(analysis={"webhooks": [gate]})
    await made.space.phase("Initialized")
    made.space.set_hook("gate", 403)
    await made.release("shop:2")
    await made.space.phase("Waiting")


async def waiting_for_promotion(made: Shop) -> None:
    """A shop whose promotion nobody approves."""
    gate = {"name": "gate", "type": "confirm-promotion", "url": f"{made.space.hooks}/gate"}
    await made.open(analysis={"webhooks": [gate]})
    await made.space.phase("Initialized")
    made.space.set_hook("gate", 403)
    await made.release("shop:2")
    await made.space.phase("WaitingPromotion")


async def suspended(made: Shop) -> None:
    """A shop that is held."""
    await released(made)
    await made.space.merge("flagger.app/v1beta1", "Canary", "shop", {"spec": {"suspend": True}})


async def refused(made: Shop) -> None:
    """A shop whose Canary cannot work."""
    await made.open(analysis={"stepWeight": 101})
    await made.space.told("Invalid spec")


@pytest.mark.parametrize(
    "state",
    [initialized, released, failed, waiting, waiting_for_promotion, suspended, refused],
    ids=lambda state: state.__name__,
)
@pytest.mark.asyncio
async def test_an_idle_canary_costs_no_request(virtual_time: Clock, state: Callable[[Shop], object]) -> None:
    """No read, no write and no event in ten minutes; gates are asked, but the API server is not."""
    async with shop("nginx") as (made, operators):
        await state(made)  # type: ignore[misc]
        await asyncio.sleep(30)
        before, told, version = requests(operators[-1]), list(made.told), made.cluster.store.version
        await asyncio.sleep(LONG)
        assert requests(operators[-1]) == before
        assert (made.told, made.cluster.store.version) == (told, version)


@pytest.mark.asyncio
async def test_a_new_revision_is_noticed_within_a_second(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await released(made)
        await asyncio.sleep(LONG)
        began = virtual_time()
        await made.release("shop:3")
        await made.space.until(lambda: made.replicas("shop") > 0, "pods for the new revision")
        assert virtual_time() - began < 1


@pytest.mark.asyncio
async def test_a_weight_edited_by_hand_is_set_back_within_a_second(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await released(made)
        await asyncio.sleep(LONG)
        began = virtual_time()
        name = INGRESS["apiVersion"], INGRESS["kind"], "shop-canary"
        await made.space.merge(*name, {"metadata": {"annotations": {WEIGHT: "70"}}})
        await made.space.until(lambda: made.canary_share() == 0, "the weight to be set back")
        assert virtual_time() - began < 1
        await made.space.told("Canary weight of shop.shop was 70 instead of 0, set back to 0")


@pytest.mark.asyncio
async def test_traffic_leaves_a_canary_that_lost_its_pods_within_a_second(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await released(made)
        await made.release("shop:3")
        await made.space.until(lambda: made.canary_share() == 50, "the last step")
        made.cluster.pods.never_ready = lambda image: image == "shop:3"
        began = virtual_time()
        await made.kill_pods("shop:3")
        await made.space.until(lambda: made.canary_share() == 0, "the traffic to be back")
        assert virtual_time() - began < 1
