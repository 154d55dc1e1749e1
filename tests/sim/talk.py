"""How these tests talk to a simulated API server in their own process."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.ports.objects import Manifest, Ref
from gradatim.sim.api import Api, Request, Response
from gradatim.sim.apiserver import api_server
from gradatim.sim.crds import DEFINITION

START = 1_700_000_000.0

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

NAMESPACES = "/api/v1/namespaces"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DAEMON_SETS = "/apis/apps/v1/namespaces/default/daemonsets"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LAMPS = "/apis/example.com/v1/namespaces/default/lamps"


class Clock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


def server(clock: Clock | None = None, **options: Any) -> Api:
    """A fresh server with the namespace `default`."""
    return api_server(clock or Clock(), **options)


async def ask(api: Api, method: str, url: str, body: Any = None, **headers: str) -> Response:
    """One request; JSON bodies by default."""
    return await api.handle(Request.to(method, url, body, **{"user_agent": "test/1.0", **headers}))


async def done(api: Api, method: str, url: str, body: Any = None, **headers: str) -> Manifest:
    """The decoded answer to a request that must succeed."""
    answer = await ask(api, method, url, body, **headers)
    assert answer.status < 300, answer.body
    decoded: Manifest = answer.json()
    return decoded


async def refused(api: Api, method: str, url: str, body: Any = None, **headers: str) -> Manifest:
    """The Status of a request that must be refused."""
    answer = await ask(api, method, url, body, **headers)
    assert answer.status >= 400, answer.body
    status: Manifest = answer.json()
    assert status["kind"] == "Status"
    assert status["code"] == answer.status
    return status


async def patched(api: Api, url: str, patch: Any, media: str = MERGE) -> Manifest:
    """The object after a patch that must succeed."""
    return await done(api, "PATCH", url, patch, content_type=media)


def causes(status: Manifest) -> dict[str, str]:
    """What is wrong, by field."""
    return {cause["field"]: cause["message"] for cause in status["details"]["causes"]}


def config_map(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "shop", **spec: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


LAMP_SCHEMA: Manifest = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["watts"],
            "properties": {
                "watts": {"type": "integer", "minimum": 0, "maximum": 100},
                "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}, "maxItems": 3},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 7}},
                    },
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "maybe": {"type": "string", "nullable": True},
                "choice": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                },
                "since": {"type": "string", "format": "date-time"},
                "nested": {"type": "object", "default": {}, "properties": {"on": {"type": "boolean", "default": True}}},
                "replicas": {"type": "integer"},
                "min": {"type": "integer"},
                "max": {"type": "integer"},
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
                    "message": "min must not exceed max",
                },
                {
                    "rule": "!has(oldSelf.name) || (has(self.name) && self.name == oldSelf.name)",
                    "message": "name is fixed",
                },
            ],
        },
        "status": {"type": "object", "properties": {"lit": {"type": "boolean"}, "replicas": {"type": "integer"}}},
    },
}


def lamp_definition(**version: Any) -> Manifest:
    """A small CRD with everything that the tests look at."""
    columns = [
        {"name": "Watts", "type": "integer", "jsonPath": ".spec.watts"},
        {"name": "Lit", "type": "boolean", "jsonPath": ".status.lit", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    described = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": LAMP_SCHEMA},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "additionalPrinterColumns": columns,
        "selectableFields": [{"jsonPath": ".spec.colour"}],
        **version,
    }
    names = {"plural": "lamps", "kind": "Lamp", "shortNames": ["lp"], "categories": ["all"]}
    spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [described]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "lamps.example.com"},
        "spec": spec,
    }


def with_lamps(api: Api) -> Api:
    """The same server, now with lamps."""
    api.store.create(Ref(DEFINITION, "", "lamps.example.com"), lamp_definition())
    return api


def lamp(name: str = "desk", /, **spec: Any) -> Manifest:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Lamp",
        "metadata": {"name": name},
        "spec": {"watts": 5, **spec},
    }


def events_of(lines: list[bytes]) -> list[Manifest]:
    """Decoded lines of a watch."""
    return [msgspec.json.decode(line) for line in lines]
