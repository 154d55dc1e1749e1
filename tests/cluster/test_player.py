"""The player writes down what happens in a real namespace; here the test itself is the operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from cluster.client import Client
from cluster.hooks import Hooks
from cluster.namespaces import until
from cluster.parity import Recording, Scenario, play
from cluster.parity.player import PATIENCE
from cluster.parity.real import RealWorld
from cluster.prometheus import Prometheus
from gradatim.ports.objects import CANARY, DEPLOYMENT, EVENT, Manifest

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
POD: Manifest = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "shop", "image": "shop:1"}]}
DEPLOYMENT_SHOP: Manifest = {
    **{key: TARGET[key] for key in ("apiVersion", "kind")},
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": POD},
    },
}
CONFIG: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NS-config"}, "data": {"at": "HOOKS"}}
CANARY_SPEC: Manifest = {
    "targetRef": TARGET,
    "service": {"port": 80},
    "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 50},
}


class StandIn:
    """Does what a test says when the target's image changes."""

    def __init__(self, client: Client, namespace: str, hook: str, prometheus: str) -> None:
        self._client, self._namespace = client, namespace
        self._hook, self._prometheus = hook, prometheus

    async def run(self) -> None:
        """Initialize; then release each new image at once."""
        await self._until_there()
        await self._phase("Initializing")
        await self._phase("Initialized")
        image = "shop:1"
        while True:
            target = await self._client.get(DEPLOYMENT, self._namespace, "shop")
            now = target["spec"]["template"]["spec"]["containers"][0]["image"]
            if now != image:
                image = now
                await self._release(image)
            await asyncio.sleep(0.05)

    async def _release(self, image: str) -> None:
        await self._phase("Progressing")
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{self._hook}/gate", json={"phase": "Progressing", "checksum": image}) as got:
                fine = got.status == 200
            query = {"query": f'up{{namespace="{self._namespace}"}}'}
            async with session.get(f"{self._prometheus}/api/v1/query", params=query) as got:
                value = (await got.json())["data"]["result"][0]["value"][1]
        await self._tell(f"Checked {image} in {self._namespace}: {value}")
        await self._phase("Succeeded" if fine else "Failed")

    async def _until_there(self) -> None:
        await until(lambda: self._client.find(CANARY, self._namespace, "shop"), "the Canary")

    async def _phase(self, phase: str) -> None:
        status = {"status": {"phase": phase, "canaryWeight": 0, "failedChecks": 0, "iterations": 0}}
        await self._client.merge(CANARY, self._namespace, "shop", status, "status")

    async def _tell(self, message: str) -> None:
        about = {"apiVersion": CANARY.api_version, "kind": "Canary", "name": "shop", "namespace": self._namespace}
        event = {"metadata": {"generateName": "shop."}, "involvedObject": about, "reason": "Synced", "message": message}
        await self._client.create(EVENT, self._namespace, {**event, "type": "Normal", "count": 1})


@asynccontextmanager
async def working(stand_in: StandIn) -> AsyncIterator[None]:
    task = asyncio.create_task(stand_in.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def played(
    steps: list[Manifest],
    client: Client,
    namespace: str,
    prometheus: Prometheus,
    hooks: Hooks,
    patience: float = PATIENCE,
) -> Recording:
    scenario = Scenario(about="", canary=CANARY_SPEC, steps=tuple(steps), groups=("shop",), objects=(CONFIG,))
    world = RealWorld(client, namespace, prometheus, hooks)
    async with working(StandIn(client, namespace, world.hooks, world.answers)):
        return await play(scenario, {"shop": [DEPLOYMENT_SHOP]}, world, patience)


@pytest.mark.asyncio
async def test_everything_a_release_does_is_written_down_in_order(
    crds: Callable[..., None], admin: Client, namespace: str, prometheus: Prometheus, hooks: Hooks
) -> None:
    crds("own")
    steps: list[Manifest] = [
        {"answer": {"metric": "7"}},
        {"wait": "Initialized"},
        {"image": "shop:2"},
        {"wait": "Succeeded"},
        {"hook": {"gate": 403}},
        {"image": "shop:3"},
        {"event": "Checked shop:3"},
    ]
    recording = await played(steps, admin, namespace, prometheus, hooks)
    assert recording.failure() == ""
    assert recording.phases() == ["Initializing", "Initialized", "Progressing", "Succeeded", "Progressing", "Failed"]
    shown = [next(key for key in line if key != "at") for line in recording.lines]
    assert shown[:3] == ["step", "step", "step"]
    assert next(iter(recording.lines[1]["step"])) == "apply"
    assert [line["event"]["message"] for line in recording.lines if "event" in line] == [
        "Checked shop:2 in NS: 7",
        "Checked shop:3 in NS: 7",
    ]
    assert [(line["hook"], line["payload"]["checksum"]) for line in recording.lines if "hook" in line] == [
        ("gate", "shop:2"),
        ("gate", "shop:3"),
    ]
    assert recording.queries() == ['up{namespace="NS"}']
    times = [line["at"] for line in recording.lines]
    assert times == sorted(times)

    first, second, third = recording.states()
    assert (first.phase, second.phase, third.phase) == ("Initialized", "Succeeded", "Failed")
    assert set(first.objects) == {"ConfigMap/NS-config", "Deployment/shop", "Canary/shop"}
    assert first.objects["ConfigMap/NS-config"]["data"] == {"at": "HOOKS"}
    deployment = first.objects["Deployment/shop"]
    assert "status" not in deployment
    assert set(deployment["metadata"]) == {"name", "namespace", "annotations"}
    assert deployment["metadata"]["annotations"] == {}
    assert second.objects["Deployment/shop"]["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2"
    changes = [line["state"] for line in recording.lines if "state" in line]
    assert set(changes[1]) == {"Deployment/shop", "Canary/shop"}


@pytest.mark.asyncio
async def test_patches_configs_and_deletions_reach_the_objects(
    crds: Callable[..., None], admin: Client, namespace: str, prometheus: Prometheus, hooks: Hooks
) -> None:
    crds("own")
    steps: list[Manifest] = [
        {"wait": "Initialized"},
        {"patch": {"suspend": True}},
        {"sleep": 0.1},
        {"delete": "canary"},
        {"gone": "canary"},
    ]
    recording = await played(steps, admin, namespace, prometheus, hooks)
    _, suspended, gone = recording.states()
    assert suspended.canary["spec"]["suspend"] is True
    assert "Canary/shop" not in gone.objects
    assert recording.lines[-1]["state"] == {"Canary/shop": None}


@pytest.mark.asyncio
async def test_a_phase_that_never_comes_ends_the_recording(
    crds: Callable[..., None], admin: Client, namespace: str, prometheus: Prometheus, hooks: Hooks
) -> None:
    crds("own")
    recording = await played([{"wait": "Promoting"}, {"sleep": 1}], admin, namespace, prometheus, hooks, patience=1.0)
    assert recording.failure() == "phase Promoting not seen in 1 s"
    assert recording.states() == []
