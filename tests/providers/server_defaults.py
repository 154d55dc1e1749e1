"""What a real API server fills into the objects that meshes write, so that tests see what a router will see.

Sources: the published CRDs of Gateway API (`default:` of HTTPRoute v1 and v1beta1), the Service and Ingress defaults of
Kubernetes, and the recordings of a real server. Written apart from the product on purpose.
"""

from __future__ import annotations

import copy
from typing import Any

from gradatim.ports.objects import Manifest

_PATH = {"type": "PathPrefix", "value": "/"}


def filled(manifest: Manifest) -> Manifest:
    """The object as the API server would give it back."""
    made = copy.deepcopy(manifest)
    match made["kind"]:
        case "HTTPRoute":
            _http_route(made["spec"])
        case "Service":
            _service(made["spec"])
    return made


def _http_route(spec: dict[str, Any]) -> None:
    for parent in spec.get("parentRefs", ()):
        parent.setdefault("group", "gateway.networking.k8s.io")
        parent.setdefault("kind", "Gateway")
    for rule in spec.get("rules", ()):
        _rule(rule)


def _rule(rule: dict[str, Any]) -> None:
    for match in rule.setdefault("matches", [{}]):
        path = match.setdefault("path", dict(_PATH))
        path.setdefault("type", "PathPrefix")
        path.setdefault("value", "/")
        for condition in (*match.get("headers", ()), *match.get("queryParams", ())):
            condition.setdefault("type", "Exact")
    for backend in rule.get("backendRefs", ()):
        _backend(backend)
        backend.setdefault("weight", 1)
    for route_filter in (*rule.get("filters", ()), *_backend_filters(rule)):
        if "cors" in route_filter:
            route_filter["cors"].setdefault("maxAge", 5)
        if "requestMirror" in route_filter:
            _backend(route_filter["requestMirror"]["backendRef"])


def _backend_filters(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for backend in rule.get("backendRefs", ()) for found in backend.get("filters", ())]


def _backend(backend: dict[str, Any]) -> None:
    backend.setdefault("group", "")
    backend.setdefault("kind", "Service")


def _service(spec: dict[str, Any]) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("clusterIP", "10.96.0.7")
    if spec["clusterIP"] is not None:
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for index, port in enumerate(spec.get("ports", ())):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
        if spec["type"] in ("NodePort", "LoadBalancer"):
            port.setdefault("nodePort", 30000 + index)
