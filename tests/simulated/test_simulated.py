"""The simulated cluster does what its users count on: time flies, operators die at once and come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradatim.ports.objects import Manifest
from simulated import Space, simulated
from simulated.systems import SYSTEMS

Clock = Callable[[], float]

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "shop", "image": "shop:1"}]},
        },
    },
}
CANARY: Manifest = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop"},
    "spec": {
        "provider": "kubernetes",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 2, "iterations": 2},
    },
}


async def release(space: Space, image: str) -> None:
    containers = [{"name": "shop", "image": image}]
    await space.merge("apps/v1", "Deployment", "shop", {"spec": {"template": {"spec": {"containers": containers}}}})


@pytest.mark.asyncio
async def test_a_release_takes_its_time_and_none_of_ours(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.operator() as operator:
        space = cluster.space("shop")
        await space.create(DEPLOYMENT, CANARY)
        await space.phase("Initialized")
        began = virtual_time()
        await release(space, "shop:2")
        await space.phase("Succeeded")
        assert 20 <= virtual_time() - began <= 60
        primary = await space.one("apps/v1", "Deployment", "shop-primary")
        assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2"
        await space.told("Promotion completed! Scaling down shop.shop")
        assert operator.writes


@pytest.mark.asyncio
async def test_an_operator_that_crashed_does_nothing_more(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.operator(crash_after=3) as operator:
        space = cluster.space("shop")
        await space.create(DEPLOYMENT, CANARY)
        await operator.crashed()
        version = cluster.store.version
        with pytest.raises(AssertionError, match="in vain for shop to be Initialized"):
            await space.phase("Initialized", within=200)
        assert len(operator.writes) == 3
        own = [one for one in await space.objects() if int(one["metadata"]["resourceVersion"]) > version]
        assert {one["kind"] for one in own} <= {"Deployment", "ReplicaSet"}


@pytest.mark.asyncio
async def test_the_next_operator_finishes_what_crashed_ones_began(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.crashing_operator(1, 0, 4) as operators:
        space = cluster.space("shop")
        await space.create(DEPLOYMENT, CANARY)
        await space.phase("Initialized")
        assert [len(operator.writes) for operator in operators[:3]] == [1, 0, 4]


@pytest.mark.asyncio
async def test_a_polite_end_leaves_nothing_half_done(virtual_time: Clock) -> None:
    async with simulated() as cluster:
        space = cluster.space("shop")
        await space.create(DEPLOYMENT, CANARY)
        first = cluster.start()
        await space.until(lambda: bool(first.writes), "a first write")
        await first.stop()
        second = cluster.start()
        await space.phase("Initialized")
        await second.stop()
        assert space.events()[-1] == "Initialization done! shop.shop"


@pytest.mark.asyncio
async def test_two_runs_are_the_same_run(virtual_time: Clock) -> None:
    async def run() -> list[str]:
        async with simulated() as cluster, cluster.operator() as operator:
            space = cluster.space("shop")
            await space.create(DEPLOYMENT, CANARY)
            await space.phase("Initialized")
            return [*operator.writes, *space.events()]

    assert await run() == await run()


@pytest.mark.asyncio
async def test_every_system_can_be_defined(virtual_time: Clock) -> None:
    async with simulated(*SYSTEMS) as cluster:
        space = cluster.space("shop")
        route: Manifest = {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute"}
        await space.create({**route, "metadata": {"name": "r"}, "spec": {"rules": [{"backendRefs": [{"name": "a"}]}]}})
        made = await space.one("gateway.networking.k8s.io/v1", "HTTPRoute", "r")
        assert made["spec"]["rules"][0] == {
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{"name": "a", "group": "", "kind": "Service", "weight": 1}],
        }
        assert space.resource("keda.sh/v1alpha1", "ScaledObject").plural == "scaledobjects"
        assert space.resource("traefik.io/v1alpha1", "TraefikService").plural == "traefikservices"
