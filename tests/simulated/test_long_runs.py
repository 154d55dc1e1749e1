"""Runs that last: what was recorded long ago, or by another operator, is not mistaken for what is so now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gradatim.engine.telemetry import Telemetry
from gradatim.ports.objects import Manifest
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.pods.instant import InstantPods
from simulated import Process, Space, simulated
from simulated.test_hooks_and_alerts import DEPLOYMENT, INGRESS, canary, hook

Clock = Callable[[], float]

DAEMON_SET: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "shop", "image": "shop:1"}]},
        },
    },
}


async def release(space: Space, kind: str) -> None:
    containers = [{"name": "shop", "image": "shop:2"}]
    await space.merge("apps/v1", kind, "shop", {"spec": {"template": {"spec": {"containers": containers}}}})


def weights(operator: Process) -> list[str]:
    telemetry: Telemetry = operator.parts.telemetry
    return [line for line in telemetry.render().splitlines() if line.startswith("flagger_canary_weight{")]


@pytest.mark.asyncio
async def test_a_pod_that_is_replaced_behind_a_gate_costs_no_release(virtual_time: Clock) -> None:
    """The gate is closed for longer than pods may take, and while it is, nothing is recorded."""
    async with simulated(pods=InstantPods(5.0)) as cluster, cluster.operator():
        space = cluster.space("shop")
        made = canary(hook(space, "confirm-promotion", "gate"))
        made["spec"] |= {
            "provider": "kubernetes",
            "progressDeadlineSeconds": 60,
            "targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "shop"},
        }
        del made["spec"]["analysis"]["stepWeight"]
        made["spec"]["analysis"]["iterations"] = 2
        await space.create(DAEMON_SET, made)
        await space.phase("Initialized")
        space.set_hook("gate", 403)
        await release(space, "DaemonSet")
        await space.phase("WaitingPromotion")
        await asyncio.sleep(600)
        pods = cluster.store.scan(POD, "shop")
        one = next(pod for pod in pods if pod["metadata"]["labels"]["app"] == "shop")
        await space.delete("v1", "Pod", one["metadata"]["name"])
        await asyncio.sleep(30)
        assert space.status()["phase"] == "WaitingPromotion"
        space.set_hook("gate", 200)
        await space.phase("Succeeded")


@pytest.mark.asyncio
async def test_an_operator_that_takes_over_a_run_publishes_its_weight_and_counts_its_ticks(
    virtual_time: Clock,
) -> None:
    async with simulated() as cluster:
        space = cluster.space("shop")
        async with cluster.operator() as first:
            await space.create(DEPLOYMENT, INGRESS, canary(hook(space, "confirm-traffic-increase", "more")))
            await space.phase("Initialized")
            assert "flagger_canary_duration_seconds_count" not in first.parts.telemetry.render()
            await release(space, "Deployment")
            await space.until(lambda: space.status().get("canaryWeight") == 20, "20 % for the canary")
            space.set_hook("more", 403)
        async with cluster.operator() as second:
            await asyncio.sleep(30)
            assert weights(second) == [
                'flagger_canary_weight{workload="shop",namespace="shop"} 20',
                'flagger_canary_weight{workload="shop-primary",namespace="shop"} 80',
            ]
            assert "flagger_canary_duration_seconds_count" in second.parts.telemetry.render()
