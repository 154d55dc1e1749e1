"""One release on the real control plane, told and judged: what there is, what happened, and what may never happen.

Everything that changes in the namespace is watched, so that every state that ever was can be looked at: whether the
side that users' requests went to had ready pods.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import yaml

from cluster.client import NAMESPACE, POD, Client, Refused, path
from cluster.history import History
from cluster.hooks import Hooks
from cluster.namespaces import make_namespace, until
from cluster.parity.normal import stripped
from gradatim.ports.objects import CANARY, CONFIG_MAP, DEPLOYMENT, EVENT, INGRESS, SERVICE, Manifest, Resource

WATCHED = (POD, SERVICE, INGRESS, DEPLOYMENT, CANARY)
COMPARED = (SERVICE, INGRESS, DEPLOYMENT, CONFIG_MAP, CANARY)
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {colour: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  strategy: {rollingUpdate: {maxUnavailable: 0}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: shop, image: "shop:1", envFrom: [{configMapRef: {name: shop}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]
---
apiVersion: flagger.app/v1beta1
kind: AlertProvider
metadata: {name: chat}
spec: {type: slack, channel: releases, address: HOOKS/chat}
"""
CANARY_SPEC = """
provider: nginx
targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
ingressRef: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: shop}
service: {port: 80, targetPort: 8080}
analysis:
  interval: 1s
  threshold: 3
  stepWeight: 40
  maxWeight: 80
  alerts: [{name: chat, severity: info, providerRef: {name: chat}}]
  metrics: [{name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}]
  webhooks: [{name: post, type: post-rollout, url: HOOKS/post}]
"""
STEPS = (
    "Initialization done! shop.NS",
    "New revision detected! Scaling up shop.NS",
    "Starting canary analysis for shop.NS",
    "Advance shop.NS canary weight 40",
    "Advance shop.NS canary weight 80",
    "Copying shop.NS template spec to shop-primary.NS",
    "Routing all traffic to primary",
    "Promotion completed! Scaling down shop.NS",
)
"""The events of a release that goes its way, one a step."""
ALERTS = (
    "New Deployment detected, initialization completed.",
    "New revision detected, progressing canary analysis.",
    "Canary analysis completed successfully, promotion finished.",
)


class Changes(History):
    """What was seen to change around one application, and what that means for its users."""

    def unserved(self) -> list[str]:
        """The moments at which requests went to a side without a ready pod, in words."""
        live: dict[Resource, dict[str, Manifest]] = {resource: {} for resource in WATCHED}
        found, served = [], False
        for change in self.changes():
            live[change.resource].pop(change.name, None)
            if change.manifest is not None:
                live[change.resource][change.name] = change.manifest
            sides = dict(_sides(live))
            served = served or (bool(sides) and all(sides.values()))
            if served:  # before that the application itself was not up
                empty = [side for side, ready in sides.items() if not ready]
                found += [f"{change.version}: {change.name} changed, and {side} has no ready pod" for side in empty]
        return found

    def weights(self) -> list[int]:
        """The shares of the canary in the order in which they were."""
        shares = []
        for change in self.changes():
            if change.resource == INGRESS and change.name == "shop-canary" and change.manifest is not None:
                shares.append(int(change.manifest["metadata"]["annotations"][WEIGHT]))
        return [share for index, share in enumerate(shares) if index == 0 or shares[index - 1] != share]

    def phases(self) -> list[str]:
        """The phases of the Canary in the order in which they were."""
        phases = []
        for change in self.changes():
            if change.resource == CANARY and change.manifest is not None:
                phase = change.manifest.get("status", {}).get("phase", "")
                if phase and (not phases or phases[-1] != phase):
                    phases.append(phase)
        return phases


def _sides(live: Mapping[Resource, Mapping[str, Manifest]]) -> list[tuple[str, bool]]:
    """The Services that get requests now, and whether a ready pod is behind each."""
    services, ingress = live[SERVICE], live[INGRESS].get("shop-canary")
    share = int(ingress["metadata"]["annotations"].get(WEIGHT, "0")) if ingress else 0
    reached = [name for name, gets in (("shop", share < 100), ("shop-canary", share > 0)) if gets]
    ready = [pod["metadata"]["labels"] for pod in live[POD].values() if _ready(pod)]
    sides = []
    for name in reached:
        selector = services[name]["spec"]["selector"].items() if name in services else ()
        if name in services:
            sides.append((name, any(selector <= labels.items() for labels in ready)))
    return sides


def _ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


class Release:
    """One namespace with one application, its Canary, and everything that is seen of them."""

    def __init__(self, admin: Client, namespace: str, hooks: Hooks) -> None:
        self.namespace = namespace
        self.changes = Changes()
        self._admin, self._hooks = admin, hooks

    async def apply(self) -> None:
        """The application, ready, and then its Canary."""
        for manifest in yaml.safe_load_all(self._filled(OBJECTS)):
            resource = await self._admin.kind(manifest["apiVersion"], manifest["kind"])
            await self._admin.create(resource, self.namespace, manifest)

        async def up() -> bool:
            deployment = await self._admin.get(DEPLOYMENT, self.namespace, "shop")
            return deployment.get("status", {}).get("availableReplicas") == 1

        await until(up, "the application")

    async def canary(self) -> None:
        """Now its Canary."""
        spec = yaml.safe_load(self._filled(CANARY_SPEC))
        meta = {"name": "shop"}
        manifest = {"apiVersion": CANARY.api_version, "kind": "Canary", "metadata": meta, "spec": spec}
        await self._admin.create(CANARY, self.namespace, manifest)

    async def image(self, image: str) -> None:
        """A new version."""
        container = {"name": "shop", "image": image}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self._patient(DEPLOYMENT, "shop", patch)

    async def _patient(self, resource: Resource, name: str, patch: Manifest) -> None:
        """A merge patch by strategic rules, repeated while the API server is away."""
        strategic = "application/strategic-merge-patch+json"

        async def done() -> bool:
            with suppress(aiohttp.ClientError, ConnectionError):
                where = path(resource, self.namespace, name)
                return (await self._admin.ask("PATCH", where, patch, content_type=strategic)).ok
            return False

        await until(done, f"{name} patched")

    async def phase(self, wanted: str, weight: int | None = None, seconds: float = 180.0) -> None:
        """Wait until the Canary is in this phase, and at this weight."""

        async def reached() -> bool:
            with suppress(aiohttp.ClientError, ConnectionError, Refused):
                status = (await self._admin.get(CANARY, self.namespace, "shop")).get("status", {})
                return status.get("phase") == wanted and weight in (None, status.get("canaryWeight"))
            return False

        await until(reached, f"{self.namespace} {wanted}", seconds)

    async def end(self) -> dict[str, Manifest]:
        """What is there in the end, without what differs from run to run."""
        found = {}
        for resource in COMPARED:
            for one in await self._admin.items(resource, self.namespace):
                name = f"{resource.kind}/{one['metadata']['name']}"
                found[name] = self._plain({"apiVersion": resource.api_version, "kind": resource.kind, **one})
        return found

    async def events(self) -> Counter[str]:
        """How often each step was told: events are counted as objects, a raised count is not a new one."""
        listed = await self._admin.items(EVENT, self.namespace)
        of_canary = [one for one in listed if one["involvedObject"]["kind"] == "Canary"]
        return Counter(one["message"].replace(self.namespace, "NS") for one in of_canary)

    def alerts(self) -> Counter[str]:
        """How often each alert arrived."""
        calls = [call for call in self._hooks.of(self.namespace) if call.name == "chat"]
        return Counter(call.payload["attachments"][0]["text"] for call in calls)

    async def told_twice(self) -> list[str]:
        """Steps that were told more than once, as events or as alerts."""
        events = await self.events()
        listed = await self._admin.items(EVENT, self.namespace)
        counts = {one["message"].replace(self.namespace, "NS"): one.get("count", 1) for one in listed}
        again = [text for text in STEPS if events[text] > 1 or counts.get(text, 1) > 1]
        return again + [text for text, count in self.alerts().items() if count > 1]

    async def rolled(self) -> int:
        """How often the primary's pods have been made, as its Deployment counts."""
        primary = await self._admin.get(DEPLOYMENT, self.namespace, "shop-primary")
        return int(primary["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def _plain(self, manifest: Manifest) -> Manifest:
        plain = stripped(manifest)
        if plain["kind"] == "Canary":
            del plain["spec"]  # the user's, with addresses in it
        template = plain.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
        if "flagger-id" in template:
            template["flagger-id"] = "ID"  # made from the Canary's uid
        result: Manifest = _timeless(yaml.safe_load(yaml.safe_dump(plain).replace(self.namespace, "NS")))
        return result

    def _filled(self, text: str) -> str:
        return text.replace("HOOKS", self._hooks.address(self.namespace))


@asynccontextmanager
async def release(admin: Client, hooks: Hooks) -> AsyncIterator[Release]:
    """An application in a namespace of its own, watched from its beginning."""
    namespace = await make_namespace(admin, f"r-{secrets.token_hex(4)}")
    made = Release(admin, namespace, hooks)
    try:
        async with made.changes.followed(admin, namespace, WATCHED):
            await made.apply()
            yield made
    finally:
        with suppress(aiohttp.ClientError, Refused):
            await admin.delete(NAMESPACE, "", namespace)


def _timeless(value: Any) -> Any:
    """Without times."""
    times = {"lastTransitionTime", "lastUpdateTime", "ended", "time"}
    match value:
        case dict():
            return {key: _timeless(one) for key, one in value.items() if key not in times}
        case list():
            return [_timeless(one) for one in value]
    return value
