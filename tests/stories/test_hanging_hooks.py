"""A hook takes longer than anybody would wait: the Canary is looked after all the same, and the hook is called once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from simulated import Process
from stories.shop import INTERVAL, Shop, shop

Clock = Callable[[], float]

LONG = 100.0
"""Seconds that the hook takes."""


@asynccontextmanager
async def hanging(kind: str, **spec: Any) -> AsyncIterator[tuple[Shop, Process]]:
    """A release whose canary has its first share of the traffic and whose next tick waits for a hook."""
    async with shop("nginx") as (made, operators):
        webhook = {"name": kind, "type": kind, "url": f"{made.space.hooks}/{kind}", "timeout": "2m"}
        if kind == "rollback":
            made.space.set_hook(kind, 403)
        await made.open(analysis={"webhooks": [webhook]}, **spec)
        await made.space.phase("Initialized")
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 25, "the first step")
        before = asked(made)
        made.cluster.outside.hooks.delay = LONG
        await asyncio.sleep(INTERVAL + 1)
        assert asked(made) == before + 1
        made.cluster.outside.hooks.calls.clear()
        yield made, operators[-1]


def asked(made: Shop) -> int:
    """How often hooks that decide something were called."""
    return sum(call.name in ("rollout", "rollback") for call in made.space.calls())


@pytest.mark.asyncio
async def test_traffic_leaves_a_canary_that_lost_its_pods_at_once(virtual_time: Clock) -> None:
    async with hanging("rollout") as (made, _):
        made.cluster.pods.never_ready = lambda image: image == "shop:2"
        began = virtual_time()
        await made.kill_pods("shop:2")
        await made.space.until(lambda: made.canary_share() == 0, "the traffic to be back")
        assert virtual_time() - began < 1
        await asyncio.sleep(2 * LONG)
        assert asked(made) == 0, "nobody asks for a check of a canary without pods"


@pytest.mark.asyncio
async def test_pods_that_come_and_go_neither_call_the_hook_again_nor_end_the_call(virtual_time: Clock) -> None:
    """Such as an autoscaler's: it adds pods under the very load test that is waited for."""
    async with hanging("rollout") as (made, _):
        for replicas in (3, 4, 3):
            await made.space.merge("apps/v1", "Deployment", "shop", {"spec": {"replicas": replicas}})
            await asyncio.sleep(LONG / 5)
        assert (asked(made), made.canary_share()) == (0, 25)
        made.cluster.outside.hooks.delay = 0.0
        made.cluster.pods.never_ready = lambda image: image == "shop:2"
        await made.space.merge("apps/v1", "Deployment", "shop", {"spec": {"replicas": 4}})
        await made.space.until(lambda: made.canary_share() == 50, "the next step", within=LONG / 2)
        await asyncio.sleep(1)
        assert (asked(made), sum("Advance" in told for told in made.told)) == (0, 2)


@pytest.mark.asyncio
async def test_a_weight_edited_by_hand_is_set_back_and_the_call_goes_on(virtual_time: Clock) -> None:
    async with hanging("rollout") as (made, _):
        weight = {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/canary-weight": "90"}}}
        await made.space.merge("networking.k8s.io/v1", "Ingress", "shop-canary", weight)
        await made.space.until(lambda: made.canary_share() == 25, "the weight to be set back", within=1)
        await made.space.until(lambda: made.canary_share() == 50, "the next step", within=LONG)
        assert asked(made) == 0


@pytest.mark.asyncio
async def test_a_new_revision_is_taken_up_at_once_and_gets_a_call_of_its_own(virtual_time: Clock) -> None:
    async with hanging("rollout") as (made, _):
        began = virtual_time()
        before = made.space.status()["lastAppliedSpec"]
        await made.release("shop:3")
        await made.space.until(lambda: made.space.status()["lastAppliedSpec"] != before, "the restart")
        assert virtual_time() - began < 1
        await made.space.until(lambda: made.canary_share() == 25, "the first step of the new revision", within=LONG / 2)
        assert asked(made) == 0
        await made.space.phase("Succeeded")
        assert made.image("shop-primary") == "shop:3"
        assert asked(made) == 2


@pytest.mark.parametrize("reverts", [True, False])
@pytest.mark.asyncio
async def test_a_canary_is_deleted_at_once_and_nothing_of_it_stays(virtual_time: Clock, reverts: bool) -> None:
    async with hanging("rollout", revertOnDeletion=reverts) as (made, operator):
        await made.space.delete("flagger.app/v1beta1", "Canary", "shop")
        await made.space.gone(within=LONG / 2)
        await asyncio.sleep(1)
        assert len(operator.parts.operator.queue) == 0
        assert 'name="shop"' not in operator.parts.telemetry.render()


@pytest.mark.asyncio
async def test_a_canary_that_is_suspended_meanwhile_takes_no_step(virtual_time: Clock) -> None:
    async with hanging("rollout") as (made, _):
        await made.space.merge("flagger.app/v1beta1", "Canary", "shop", {"spec": {"suspend": True}})
        await asyncio.sleep(2 * LONG)
        assert (made.canary_share(), asked(made)) == (25, 0)


@pytest.mark.asyncio
async def test_a_rollback_is_heard_although_pods_come_and_go_while_it_is_asked_for(virtual_time: Clock) -> None:
    async with hanging("rollback") as (made, _):
        made.space.set_hook("rollback", 200)
        made.cluster.pods.never_ready = lambda image: image == "shop:2"
        await made.space.merge("apps/v1", "Deployment", "shop", {"spec": {"replicas": 3}})
        await made.space.until(lambda: made.canary_share() == 0, "the traffic to be back", within=LONG)
        await made.space.phase("Failed")
        assert asked(made) == 0


@pytest.mark.asyncio
async def test_the_time_of_a_tick_counts_from_its_beginning(virtual_time: Clock) -> None:
    async with hanging("rollout") as (made, operator):
        await made.space.merge("apps/v1", "Deployment", "shop", {"spec": {"replicas": 3}})
        await made.space.until(lambda: made.canary_share() == 50, "the next step", within=LONG)
        await asyncio.sleep(5)
        page = operator.parts.telemetry.render().splitlines()
        (total,) = (line for line in page if line.startswith("flagger_canary_duration_seconds_sum"))
        assert float(total.split()[-1]) > LONG
