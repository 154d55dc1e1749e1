"""Kinds of release: a way of moving traffic and a strategy, as short as they can honestly be.

Everything that users need is there before the Canary: the application, its Service and a route to it. So initialization
and deletion are played under load, too, and the operator has to adopt what it finds and give it back.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from gradatim.apps.playground.releases import APP, HOST, NAMESPACE, Release, release
from gradatim.ports.objects import Manifest

PORT = 5000
INSIDER = ("x-crowd", "insider")
"""The header that A/B tests select users by."""

# Prometheus scrapes twice a second here, so that two seconds are enough to judge by.
_RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "2s"}
_PODS = 'kubernetes_namespace="{{ namespace }}",kubernetes_pod_name=~"{{ target }}-[0-9a-z]+-[0-9a-z]+"'
_ANSWERS = {
    "name": "answers of the canary's pods",
    "query": (
        f'sum(rate(http_request_duration_seconds_count{{{_PODS},status=~"5.*"}}[{{{{ interval }}}}])) / '
        f"sum(rate(http_request_duration_seconds_count{{{_PODS}}}[{{{{ interval }}}}])) * 100"
    ),
    "thresholdRange": {"max": 0},
    "interval": "4s",
}
"""For strategies that judge before any user is sent to the canary: only its pods can tell what the tester got."""

STRATEGIES: dict[str, dict[str, Any]] = {
    "weighted": {"stepWeight": 25, "maxWeight": 50, "metrics": [_RATE]},
    "step-promotion": {"stepWeight": 50, "maxWeight": 100, "stepWeightPromotion": 50, "metrics": [_RATE]},
    # New pods must have been scraped twice before anything can be said of them, also on a busy machine.
    "blue-green": {"interval": "2s", "iterations": 2, "threshold": 3, "metrics": [_ANSWERS]},
    "ab": {"iterations": 2, "match": [{"headers": {INSIDER[0]: {"exact": INSIDER[1]}}}], "metrics": [_RATE]},
    "skip": {"stepWeight": 50, "maxWeight": 50},
}
"""The analysis of each strategy, without interval and threshold."""

_ROUTERS = {
    "nginx": ("weighted", "step-promotion", "blue-green", "ab", "skip"),
    "traefik": ("weighted", "step-promotion", "blue-green", "skip"),
    "gatewayapi:v1": ("weighted", "step-promotion", "blue-green", "ab", "skip"),
    "kubernetes": ("blue-green", "skip"),
}
"""What each provider can do behind Traefik, which answers 500 to a route with a mirror and writes that it is fine."""


class Kind(msgspec.Struct, frozen=True):
    """A provider and a strategy."""

    provider: str
    strategy: str

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.provider}/{self.strategy}"

    @property
    def judges(self) -> bool:
        """Whether bad versions are found out and rolled back."""
        return self.strategy != "skip"

    @property
    def release(self) -> Release:
        """What the playground must have for it."""
        if self.provider == "kubernetes":
            return msgspec.structs.replace(release("nginx"), mesh="kubernetes", title="blue/green by Services")
        return release(self.provider)

    @property
    def headers(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The further headers of each crowd of users."""
        return ((), (INSIDER,)) if self.strategy == "ab" else ((),)

    def before(self, *, start: float = 0.0, service: bool = True) -> list[Manifest]:
        """What is there before the Canary; pods take `start` seconds, and the Service may be left to the operator."""
        found = [*self.release.app(), *self._route()]
        if not any(manifest["kind"] == "Service" for manifest in found):
            found.append(_service())
        if not service:
            found = [manifest for manifest in found if manifest["kind"] != "Service"]
        for manifest in found:
            if manifest["kind"] == "Deployment":
                container = manifest["spec"]["template"]["spec"]["containers"][0]
                container["env"] = [{"name": "HELLO_START", "value": f"{start:g}"}]
        return found

    def canary(self, *, revert: bool = True, interval: str = "1s") -> Manifest:
        """The Canary, with steps as short as its pods and proxies allow."""
        analysis = {"interval": interval, "threshold": 2, **copy.deepcopy(STRATEGIES[self.strategy])}
        spec: Manifest = {
            "provider": self.provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
            "progressDeadlineSeconds": 60,
            "revertOnDeletion": revert,
            "skipAnalysis": not self.judges,
            "service": {"port": PORT, "targetPort": PORT, **_service_fields(self.provider)},
            "analysis": analysis,
        }
        if self.provider == "nginx":
            spec["ingressRef"] = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "prod-ingress"}
        metadata = {"name": self.release.canary, "namespace": NAMESPACE}
        return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec}

    def _route(self) -> list[Manifest]:
        """The user's own route, where it bears the name of the one that the operator will want.

        What a real definition would fill in is spelt out: those of the playground fill in nothing.
        """
        metadata = {"name": APP, "namespace": NAMESPACE}
        if self.provider == "traefik":
            weighted = {"services": [{"name": APP, "port": PORT, "weight": 1}]}
            made = {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "spec": {"weighted": weighted}}
            return [{**made, "metadata": metadata}]
        if self.provider == "gatewayapi:v1":
            fields = _service_fields(self.provider)
            backend = {"group": "", "kind": "Service", "name": APP, "port": PORT, "weight": 1}
            rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [backend]}
            spec = {"parentRefs": fields["gatewayRefs"], "hostnames": fields["hosts"], "rules": [rule]}
            made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": spec}
            return [{**made, "metadata": metadata}]
        return []


def kinds() -> dict[str, Kind]:
    """All of them by name."""
    found = [Kind(provider, strategy) for provider, strategies in _ROUTERS.items() for strategy in strategies]
    return {kind.name: kind for kind in found}


def _service() -> Manifest:
    spec = {"selector": {"app": APP}, "ports": [{"protocol": "TCP", "port": PORT, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": APP, "namespace": NAMESPACE}, "spec": spec}


def _service_fields(provider: str) -> dict[str, Any]:
    if provider != "gatewayapi:v1":
        return {}
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": NAMESPACE}
    return {"hosts": [HOST], "gatewayRefs": [gateway]}
