"""What is released in the playground: for each way of moving traffic the manifests, and where users send requests."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Literal

import msgspec
import yaml

from gradatim.ports.objects import Manifest, Resource

NAMESPACE = "test"
APP = "hello-v1"
INGRESS_CLASS = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
HOST = "test.prod.10.60.200.121.sslip.io"
REGISTRY = "ghcr.io/kmaster8/hello"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario. `interval` is what the analysis interval is shortened to, a Go duration."""

    mesh: str
    title: str
    canary: str
    traefik: Literal["kubernetesingressnginx", "kubernetescrd", "kubernetesgateway"]
    crds: tuple[Resource, ...]
    prepare: Callable[[int], list[Manifest]]
    """Objects that a platform team has installed before; the argument is the port of the proxy."""
    app: Callable[[], list[Manifest]]
    analysis: Callable[[], list[Manifest]]
    interval: str = "3s"


def release(mesh: str) -> Release:
    """The scenario for a mesh; raises KeyError for a mesh the playground cannot drive."""
    return {found.mesh: found for found in (_nginx(), _traefik(), _gateway())}[mesh]


MESHES = ("nginx", "traefik", "gatewayapi:v1")


def _documents(name: str) -> list[Manifest]:
    text = (resources.files("gradatim.apps") / "scenario" / name).read_text()
    return [document for document in yaml.safe_load_all(text) if document]


def _nginx() -> Release:
    return Release(
        mesh="nginx",
        title="blue/green behind ingress-nginx annotations",
        canary="hello",
        traefik="kubernetesingressnginx",
        crds=(),
        prepare=lambda _: [_ingress_class()],
        app=lambda: _documents("app.yaml"),
        analysis=lambda: _documents("canary.yaml"),
    )


def _ingress_class() -> Manifest:
    return {
        "apiVersion": INGRESS_CLASS.api_version,
        "kind": INGRESS_CLASS.kind,
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }


def _workload() -> list[Manifest]:
    """The Deployment of the scenario; its Ingress belongs to another way of routing, its Service is generated."""
    return [document for document in _documents("app.yaml") if document["kind"] == "Deployment"]


_TRAEFIK_KINDS = (
    ("ingressroutes", "IngressRoute"),
    ("ingressroutetcps", "IngressRouteTCP"),
    ("ingressrouteudps", "IngressRouteUDP"),
    ("middlewares", "Middleware"),
    ("middlewaretcps", "MiddlewareTCP"),
    ("tlsoptions", "TLSOption"),
    ("tlsstores", "TLSStore"),
    ("serverstransports", "ServersTransport"),
    ("serverstransporttcps", "ServersTransportTCP"),
    ("traefikservices", "TraefikService"),
)
_GATEWAY_KINDS = (
    ("v1", "gatewayclasses", "GatewayClass"),
    ("v1", "gateways", "Gateway"),
    ("v1", "httproutes", "HTTPRoute"),
    ("v1", "grpcroutes", "GRPCRoute"),
    ("v1", "tlsroutes", "TLSRoute"),
    ("v1", "backendtlspolicies", "BackendTLSPolicy"),
    ("v1beta1", "referencegrants", "ReferenceGrant"),
)


def _traefik() -> Release:
    return Release(
        mesh="traefik",
        title="weighted canary through a TraefikService",
        canary="hello",
        traefik="kubernetescrd",
        crds=tuple(Resource("traefik.io", "v1alpha1", plural, kind) for plural, kind in _TRAEFIK_KINDS),
        prepare=lambda _: [],
        app=lambda: [*_workload(), _ingress_route()],
        analysis=lambda: [_weighted("traefik", {"port": 5000, "targetPort": 5000})],
    )


def _ingress_route() -> Manifest:
    service = {"name": APP, "kind": "TraefikService", "port": 5000}
    route = {"match": f"Host(`{HOST}`)", "kind": "Rule", "services": [service]}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": APP, "namespace": NAMESPACE},
        "spec": {"entryPoints": ["web"], "routes": [route]},
    }


def _gateway() -> Release:
    group = "gateway.networking.k8s.io"
    return Release(
        mesh="gatewayapi:v1",
        title="weighted canary through an HTTPRoute",
        canary="hello",
        traefik="kubernetesgateway",
        crds=tuple(
            Resource(group, version, plural, kind, namespaced=kind != "GatewayClass")
            for version, plural, kind in _GATEWAY_KINDS
        ),
        prepare=_gateway_objects,
        app=_workload,
        analysis=lambda: [
            _weighted(
                "gatewayapi:v1",
                {
                    "port": 5000,
                    "targetPort": 5000,
                    "hosts": [HOST],
                    "gatewayRefs": [{"group": group, "kind": "Gateway", "name": "edge", "namespace": NAMESPACE}],
                },
            )
        ],
    )


def _gateway_objects(port: int) -> list[Manifest]:
    api_version = "gateway.networking.k8s.io/v1"
    listener = {
        "name": "web",
        "port": port,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    return [
        {
            "apiVersion": api_version,
            "kind": "GatewayClass",
            "metadata": {"name": "traefik"},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": api_version,
            "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
        },
    ]


def _weighted(mesh: str, service: Manifest) -> Manifest:
    """The Canary of the scenario with weights instead of iterations, and the built-in checks."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "hello", "namespace": NAMESPACE},
        "spec": {
            "provider": mesh,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
            "progressDeadlineSeconds": 60,
            "service": service,
            "analysis": {
                "interval": "10s",
                "threshold": 2,
                "stepWeight": 20,
                "maxWeight": 60,
                "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "5s"},
                    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "5s"},
                ],
            },
        },
    }
