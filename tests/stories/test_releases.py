"""From a new Canary to a promotion and a rollback, on every mesh, without a request that nobody answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stories.shop import INTERVAL, MESHES, shop

Clock = Callable[[], float]

STEPS = {
    "kubernetes": ["canary iteration 1/2", "canary iteration 2/2"],
    "nginx": ["canary weight 25", "canary weight 50"],
    "traefik": ["canary weight 10", "canary weight 60"],
    "gatewayapi:v1": ["canary weight 50"],
}
HOME = {"kubernetes": [], "gatewayapi:v1": ["Advance shop.shop primary weight 100"]}


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.asyncio
async def test_a_shop_is_set_up_released_and_rolled_back(virtual_time: Clock, mesh: str) -> None:
    async with shop(mesh) as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=30)
        assert (made.replicas("shop-primary"), made.replicas("shop")) == (2, 0)

        began = virtual_time()
        await made.release("shop:2")
        await made.space.phase("Succeeded")
        assert virtual_time() - began <= INTERVAL * len(STEPS[mesh]) + 8, "the operator takes its own time"
        assert made.image("shop-primary") == "shop:2"
        assert (made.replicas("shop-primary"), made.replicas("shop"), made.canary_share()) == (2, 0, 0)

        made.error_rate(30)
        await made.release("shop:3")
        await made.space.phase("Failed")
        assert made.image("shop-primary") == "shop:2"
        assert (made.replicas("shop-primary"), made.replicas("shop"), made.canary_share()) == (2, 0, 0)

        await made.space.told("Canary failed!")
        assert not made.users.lost
        assert [text for text in made.told if "not ready" not in text] == [
            "all the metrics providers are available!",
            "Initialization done! shop.shop",
            "New revision detected! Scaling up shop.shop",
            "Starting canary analysis for shop.shop",
            *(f"Advance shop.shop {step}" for step in STEPS[mesh]),
            "Copying shop.shop template spec to shop-primary.shop",
            *HOME.get(mesh, ["Routing all traffic to primary"]),
            "Promotion completed! Scaling down shop.shop",
            "New revision detected! Scaling up shop.shop",
            "Starting canary analysis for shop.shop",
            f"Advance shop.shop {STEPS[mesh][0]}",
            "Halt shop.shop advancement success rate 70.00% < 99%",
            "Halt shop.shop advancement success rate 70.00% < 99%",
            "Rolling back shop.shop failed checks threshold reached 2",
            "Canary failed! Scaling down shop.shop",
        ]
        assert made.alerts() == [
            "New Deployment detected, initialization completed.",
            "New revision detected, progressing canary analysis.",
            "Canary analysis completed successfully, promotion finished.",
            "New revision detected, progressing canary analysis.",
            "Failed checks threshold reached 2",
        ]


@pytest.mark.asyncio
async def test_a_changed_config_is_released_like_an_image(virtual_time: Clock) -> None:
    """The primary goes on with the old config until the new one was analysed, and then gets it with new pods."""
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        before = await made.space.one("v1", "ConfigMap", "shop-primary")
        await made.space.merge("v1", "ConfigMap", "shop", {"data": {"colour": "red"}})
        await made.space.phase("Progressing", within=1.5)
        assert (await made.space.one("v1", "ConfigMap", "shop-primary"))["data"] == before["data"] == {"colour": "blue"}
        await made.space.phase("Succeeded")
        assert (await made.space.one("v1", "ConfigMap", "shop-primary"))["data"] == {"colour": "red"}
        assert not made.users.lost


@pytest.mark.asyncio
async def test_a_config_set_back_in_mid_run_ends_the_run(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        await made.space.merge("v1", "ConfigMap", "shop", {"data": {"colour": "red"}})
        await made.space.until(lambda: made.canary_share() == 25, "a first step")
        await made.space.merge("v1", "ConfigMap", "shop", {"data": {"colour": "blue"}})
        await made.space.phase("Succeeded", within=5)
        assert (made.canary_share(), made.replicas("shop")) == (0, 0)
        await made.space.told("Revision set back!")
        assert not made.users.lost


@pytest.mark.asyncio
async def test_a_service_as_target_needs_nothing_to_wake_anybody(virtual_time: Clock) -> None:
    """Nobody writes the status of a Service: the run must go on by itself."""
    async with shop("traefik") as (made, _):
        await made.open(targetRef={"apiVersion": "v1", "kind": "Service", "name": "front"}, service={"port": 80})
        service = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
        await made.space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": service})
        await made.space.phase("Initialized", within=60)
        await made.space.merge("v1", "Service", "front", {"spec": {"selector": {"app": "shop", "version": "2"}}})
        await made.space.phase("Succeeded", within=60)


@pytest.mark.asyncio
async def test_a_promotion_that_fails_heals_when_the_primary_comes_up(virtual_time: Clock) -> None:
    """The primary cannot start while its node is full; all traffic stays on the canary until it can."""
    async with shop("nginx") as (made, _):
        await made.open(progressDeadlineSeconds=60)
        await made.space.phase("Initialized")
        pods = made.cluster.pods
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 50, "the last step")
        pods.never_ready = lambda image: image == "shop:2"
        await made.space.phase("Failed")
        assert (made.canary_share(), made.replicas("shop")) == (100, 2)
        pods.never_ready = lambda image: False
        await made.restart_stuck_pods()
        await made.space.phase("Succeeded")
        assert made.image("shop-primary") == "shop:2"
        assert (made.canary_share(), made.replicas("shop")) == (0, 0)
        assert not made.users.lost
