"""Hooks and news in a whole cluster: gates, logins and rollbacks, whatever receivers do."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from gradatim.ports.objects import EVENT, Manifest
from simulated import Space, simulated
from simulated.cluster import Cluster

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
INGRESS: Manifest = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "shop", "annotations": {"kubernetes.io/ingress.class": "nginx"}},
    "spec": {
        "rules": [
            {
                "host": "shop.test",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "shop", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ]
    },
}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def canary(*webhooks: Manifest) -> Manifest:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "shop"},
        "spec": {
            "provider": "nginx",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 20, "webhooks": list(webhooks)},
        },
    }


def hook(space: Space, kind: str, name: str, **more: Any) -> Manifest:
    return {"name": name, "type": kind, "url": f"{space.hooks}/{name}", **more}


async def ready(cluster: Cluster, *kinds: tuple[str, str, dict[str, Any]]) -> Space:
    """A shop with hooks, at rest."""
    space = cluster.space("shop")
    await space.create(DEPLOYMENT, INGRESS, canary(*(hook(space, kind, name, **more) for kind, name, more in kinds)))
    await space.phase("Initialized")
    return space


async def release(space: Space, image: str) -> None:
    containers = [{"name": "shop", "image": image}]
    await space.merge("apps/v1", "Deployment", "shop", {"spec": {"template": {"spec": {"containers": containers}}}})


def weight(space: Space) -> str | None:
    found = space.named("Ingress/shop-canary")
    assert found is not None
    said: str | None = found["metadata"]["annotations"].get(WEIGHT)
    return said


@pytest.mark.asyncio
async def test_traffic_is_back_before_anybody_is_told_of_a_rollback(virtual_time: Clock) -> None:
    """Also when everybody who could be told hangs for longer than the rollback may take."""
    async with simulated() as cluster, cluster.operator():
        space = await ready(cluster, ("rollback", "stop", {"timeout": "60s"}), ("event", "news", {"timeout": "60s"}))
        space.set_hook("stop", 403)
        await release(space, "shop:2")
        await space.until(lambda: weight(space) == "40", "40 % for the canary")
        seen: list[tuple[str | None, str]] = []
        cluster.store.subscribe(lambda event: seen.append((weight(space), event.object.get("message", ""))))
        cluster.outside.hooks.delay = 50.0
        began = virtual_time()
        space.set_hook("stop", 200)
        await space.until(lambda: weight(space) == "0", "all traffic to be back")
        await space.phase("Failed")
        assert virtual_time() - began < 70, "the answer of the hook itself took 50 s, and one tick 10"
        await space.told("manual webhook invoked")
        assert {at for at, message in seen if "manual webhook invoked" in message} == {"0"}
        assert {at for at, message in seen if "Rollback check stop passed" in message} == {"0"}


@pytest.mark.asyncio
async def test_those_who_are_told_take_no_connections_from_those_who_are_asked(virtual_time: Clock) -> None:
    kinds = ("confirm-rollout", "pre-rollout", "rollout", "confirm-promotion", "rollback", "event", "post-rollout")
    async with simulated() as cluster, cluster.operator() as operator:
        space = await ready(cluster, *((kind, kind, {}) for kind in kinds))
        space.set_hook("rollback", 403)
        room = {"type": "slack", "channel": "shop", "address": f"{space.hooks}/room"}
        provider = {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "room"}}
        await space.create({**provider, "spec": room})
        alerts = [{"name": "room", "severity": "info", "providerRef": {"name": "room"}}]
        await space.merge("flagger.app/v1beta1", "Canary", "shop", {"spec": {"analysis": {"alerts": alerts}}})
        await release(space, "shop:2")
        await space.phase("Succeeded")
        await asyncio.sleep(10)  # until the last word
        asked, told = ({path.rpartition("/")[2] for path in used.paths} for used in (operator.asks, operator.tells))
        assert asked == {"confirm-rollout", "pre-rollout", "rollout", "confirm-promotion", "rollback"}
        assert told == {"event", "post-rollout", "room"}


@pytest.mark.asyncio
async def test_a_release_that_nobody_approves_is_given_up_untouched(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.operator():
        space = await ready(cluster, ("confirm-rollout", "gate", {"deadline": "2m"}))
        space.set_hook("gate", 403)
        await release(space, "shop:2")
        await space.phase("Waiting")
        since = virtual_time()
        assert space.status()["waitingSince"]
        await space.phase("Failed")
        assert 119 <= virtual_time() - since <= 132
        assert (await space.one("apps/v1", "Deployment", "shop"))["spec"]["replicas"] == 0
        assert weight(space) in ("0", None)
        await space.told("Giving up the release of shop.shop no approval by gate within 2m")
        assert "waitingSince" not in space.status()
        space.set_hook("gate", 200)
        await release(space, "shop:3")
        await space.phase("Succeeded")


@pytest.mark.asyncio
async def test_a_gate_whose_secret_is_missing_holds_the_release_until_it_is_there(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.operator():
        space = await ready(cluster)
        gate = hook(space, "confirm-rollout", "gate", secretRef={"name": "login"})
        await space.merge("flagger.app/v1beta1", "Canary", "shop", {"spec": {"analysis": {"webhooks": [gate]}}})
        await space.told("spec.analysis.webhooks[0].secretRef: Secret login.shop not found; create it")
        await release(space, "shop:2")
        with pytest.raises(AssertionError, match="in vain"):
            await space.phase("Progressing", within=60)
        assert space.calls() == []
        token = base64.b64encode(b"sesame").decode()
        await space.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "data": {"token": token}}
        )
        await space.phase("Succeeded")
        assert {call.name for call in space.calls()} == {"gate"}
        assert not any("sesame" in str(event) for event in cluster.store.scan(EVENT, "shop"))


@pytest.mark.asyncio
async def test_who_approves_a_release_is_told_which(virtual_time: Clock) -> None:
    """The checksum is that of the run that begins with the approval, from the first question on."""
    async with simulated() as cluster, cluster.operator():
        space = await ready(cluster, ("confirm-rollout", "gate", {}), ("pre-rollout", "smoke", {}))
        space.set_hook("gate", 403)
        await release(space, "shop:2")
        await space.phase("Waiting")
        await asyncio.sleep(30)
        space.set_hook("gate", 200)
        await space.phase("Succeeded")
        calls = {name: [call.payload for call in space.calls() if call.name == name] for name in ("gate", "smoke")}
        assert [payload["phase"] for payload in calls["gate"]][:2] == ["Initialized", "Waiting"]
        assert {payload["checksum"] for payload in calls["gate"]} == {calls["smoke"][0]["checksum"]}
