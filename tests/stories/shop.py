"""The shop whose releases are told: a Deployment with a ConfigMap behind one of four meshes, and a room for alerts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gradatim.core.settings import Settings
from gradatim.ports.objects import EVENT, Manifest
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.history import Event
from simulated import Cluster, Process, Space, simulated
from simulated.outside import PROMETHEUS
from simulated.traffic import LAG, Users

INGRESS = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
SPLIT = {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService"}
ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"

MESHES: dict[str, dict[str, Any]] = {
    "kubernetes": {"analysis": {"iterations": 2}},
    "nginx": {"ingressRef": {**INGRESS, "name": "shop"}, "analysis": {"stepWeight": 25, "maxWeight": 50}},
    "traefik": {"analysis": {"stepWeights": [10, 60]}},
    "gatewayapi:v1": {
        "service": {"port": 80, "gatewayRefs": [{"name": "web"}], "hosts": ["shop.example.com"]},
        "analysis": {"stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 50},
    },
}
SYSTEMS = ("traefik", "gatewayapi")
INTERVAL = 10.0


class Shop:
    """One shop and what its owner does."""

    def __init__(self, cluster: Cluster, mesh: str, lag: float = LAG) -> None:
        self.mesh = mesh
        self.cluster = cluster
        self.space: Space = cluster.space("shop")
        self.users = Users(cluster.store, "shop", "shop", lag)
        self.told: list[str] = []
        """Every event about the Canary, in order; one that is told again stands there again."""
        cluster.store.subscribe(self._hear)

    async def open(self, *, image: str = "shop:1", **spec: Any) -> None:
        """Create the shop and its Canary."""
        await self.space.create(*_objects(image, f"{self.space.hooks}/room"), _canary(self.mesh, spec))

    async def release(self, image: str) -> None:
        """Give the target another image."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": image}]}}}}
        await self.space.merge("apps/v1", "Deployment", "shop", patch)

    async def kill_pods(self, image: str) -> None:
        """Delete the pods that run an image, without giving them time."""
        for pod in list(self.cluster.store.scan(POD, "shop")):
            if any(container["image"] == image for container in pod["spec"]["containers"]):
                await self.space.delete("v1", "Pod", pod["metadata"]["name"])

    def _hear(self, event: Event) -> None:
        if event.ref.resource != EVENT or event.type == "DELETED":
            return
        if event.object["involvedObject"]["kind"] == "Canary":
            self.told.append(event.object["message"])

    async def restart_stuck_pods(self) -> None:
        """Delete the pods that are not ready; their ReplicaSets make new ones."""
        for pod in list(self.cluster.store.scan(POD, "shop")):
            conditions = pod.get("status", {}).get("conditions") or ()
            if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                await self.space.delete("v1", "Pod", pod["metadata"]["name"])

    def error_rate(self, percent: float) -> None:
        """What Prometheus says from now on."""
        self.space.script().metric = str(100 - percent)

    def image(self, name: str) -> str:
        """What a Deployment runs."""
        found: str = self._one("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"]
        return found

    def replicas(self, name: str) -> int:
        """How many pods a Deployment asks for."""
        found: int = self._one("Deployment", name)["spec"]["replicas"]
        return found

    def canary_share(self) -> int:
        """What the routing object gives to the canary; without a mesh there is none."""
        match self.mesh:
            case "nginx":
                return int(self._one("Ingress", "shop-canary")["metadata"]["annotations"][WEIGHT])
            case "traefik":
                services = self._one("TraefikService", "shop")["spec"]["weighted"]["services"]
                return next((int(one["weight"]) for one in services if one["name"] == "shop-canary"), 0)
            case "gatewayapi:v1":
                (rule,) = self._one("HTTPRoute", "shop")["spec"]["rules"]
                return next(int(one["weight"]) for one in rule["backendRefs"] if one["name"] == "shop-canary")
            case _:
                return 0

    def _one(self, kind: str, name: str) -> Manifest:
        found = self.space.named(f"{kind}/{name}")
        assert found is not None, f"there is no {kind} {name}"
        return found

    def alerts(self) -> list[str]:
        """What the room was told."""
        calls = [call.payload for call in self.space.calls() if call.name == "room"]
        return [str(payload["attachments"][0]["text"]) for payload in calls]

    def at_rest(self) -> dict[str, Any]:
        """What counts when nothing is under way."""
        status = self.space.status()
        kept = ("phase", "canaryWeight", "iterations", "failedChecks", "lastAppliedSpec", "lastPromotedSpec")
        return {
            "status": {key: status.get(key) for key in (*kept, "trackedConfigs", "promotedConfigs")},
            "primary": (self.image("shop-primary"), self.replicas("shop-primary")),
            "target": (self.image("shop"), self.replicas("shop")),
            "share": self.canary_share(),
            "past": [(past["outcome"], past["revision"]) for past in status.get("history", [])],
        }


@asynccontextmanager
async def shop(
    mesh: str, *crashes: int, drain: float = 0.0, lag: float = LAG
) -> AsyncIterator[tuple[Shop, list[Process]]]:
    """A shop with an operator that crashes after so many writes, once or several times, and comes back.

    `drain` is how long it keeps pods that get requests, `lag` how late proxies may be.
    """
    settings = Settings(mesh_provider=mesh, metrics_server=PROMETHEUS, drain=drain)
    async with simulated(*SYSTEMS) as cluster:
        made = Shop(cluster, mesh, lag)
        async with cluster.crashing_operator(*crashes, settings=settings) as operators:
            await asyncio.sleep(0)
            yield made, operators


def _objects(image: str, room: str) -> list[Manifest]:
    labels = {"app": "shop"}
    config = {"configMapRef": {"name": "shop"}}
    container = {"name": "shop", "image": image, "ports": [{"containerPort": 8080}], "envFrom": [config]}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "shop", "port": {"number": 80}}}}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"colour": "blue"}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "progressDeadlineSeconds": 60,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {**INGRESS, "metadata": {"name": "shop"}, "spec": {"rules": [{"host": "shop", "http": {"paths": [path]}}]}},
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": "room"},
            "spec": {"type": "slack", "channel": "shop", "address": room},
        },
    ]


def _canary(mesh: str, further: dict[str, Any]) -> Manifest:
    own = MESHES[mesh]
    analysis = {
        "interval": f"{INTERVAL:.0f}s",
        "threshold": 2,
        "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
        "alerts": [{"name": "room", "severity": "info", "providerRef": {"name": "room"}}],
        **own["analysis"],
        **further.pop("analysis", {}),
    }
    spec = {
        "provider": mesh,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80, "targetPort": 8080},
        **own,
        **further,
        "analysis": analysis,
    }
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}, "spec": spec}
