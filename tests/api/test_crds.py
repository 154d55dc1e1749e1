"""Our definitions and our types know the same fields: what the server stores we read, what we write it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from importlib.resources import files
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from gradatim.api.alert_provider import AlertProviderSpec
from gradatim.api.canary import CanarySpec, SessionAffinity
from gradatim.api.metric_template import MetricTemplateSpec
from gradatim.api.status import CanaryStatus, Phase

NOT_IN_THE_SCHEMA = {
    # One type serves all references; these members make no sense where the reference is used.
    "Canary.spec.targetRef": {"namespace"},
    "Canary.spec.ingressRef": {"namespace"},
    "Canary.spec.routeRef": {"namespace"},
    "Canary.spec.analysis.metrics[].templateRef": {"apiVersion", "kind"},
    "Canary.spec.analysis.alerts[].providerRef": {"apiVersion", "kind"},
    "Canary.spec.analysis.webhooks[].secretRef": {"apiVersion", "kind", "namespace"},
    "MetricTemplate.spec.provider.secretRef": {"apiVersion", "kind", "namespace"},
    "AlertProvider.spec.secretRef": {"apiVersion", "kind", "namespace"},
}
TRANSLATED = {
    # Read by routers member by member, never as a whole.
    "Canary.spec.service.gatewayRefs[]",
    "Canary.spec.service.match[]",
    "Canary.spec.service.rewrite",
    "Canary.spec.service.retries",
    "Canary.spec.service.headers",
    "Canary.spec.service.mirror[]",
    "Canary.spec.service.corsPolicy",
    "Canary.spec.service.trafficPolicy",
    "Canary.spec.analysis.match[]",
}
EITHER_WAY = {"AlertProvider.spec": {"type"}}
"""Required by an `anyOf` instead of `required`."""

ROOTS = {"Canary.spec": CanarySpec, "Canary.status": CanaryStatus}
ROOTS |= {"MetricTemplate.spec": MetricTemplateSpec, "AlertProvider.spec": AlertProviderSpec}
NUMBERS = {"number", "integer"}


def definition(plural: str) -> dict[str, Any]:
    """A definition as a program finds it: in the installed package."""
    text = files("gradatim.api").joinpath("crds", f"{plural}.yaml").read_text()
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


def schema(root: str) -> dict[str, Any]:
    kind, _, member = root.partition(".")
    plural = {"Canary": "canaries", "MetricTemplate": "metrictemplates", "AlertProvider": "alertproviders"}[kind]
    (version,) = definition(plural)["spec"]["versions"]
    found = version["schema"]["openAPIV3Schema"]["properties"][member]
    assert isinstance(found, dict)
    return found


Pair = tuple[str, inspect.Type, dict[str, Any]]


def walk(place: str, kind: inspect.Type, node: dict[str, Any]) -> Iterator[Pair]:
    """Every place that a type and the schema both have, with what each of them says."""
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if len(others) == 1:
            yield from walk(place, others[0], node)
            return
    yield place, kind, node
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                if field.encode_name in node.get("properties", {}):
                    yield from walk(f"{place}.{field.encode_name}", field.type, node["properties"][field.encode_name])
        case inspect.VarTupleType() | inspect.ListType():
            yield from walk(f"{place}[]", kind.item_type, node["items"])


def pairs() -> list[Pair]:
    return [pair for root, kind in ROOTS.items() for pair in walk(root, inspect.type_info(kind), schema(root))]


STRUCTS = [(place, kind, node) for place, kind, node in pairs() if isinstance(kind, inspect.StructType)]


@pytest.mark.parametrize(("place", "kind", "node"), [pytest.param(*row, id=row[0]) for row in STRUCTS])
def test_type_and_schema_have_the_same_fields(place: str, kind: inspect.StructType, node: dict[str, Any]) -> None:
    """A field that only one of them knows is either pruned by the server or never read by us."""
    ours = {field.encode_name for field in kind.fields}
    theirs = set(node["properties"])
    assert ours - theirs == NOT_IN_THE_SCHEMA.get(place, set())
    assert theirs - ours == set()


@pytest.mark.parametrize(("place", "kind", "node"), [pytest.param(*row, id=row[0]) for row in STRUCTS])
def test_what_we_need_the_server_demands(place: str, kind: inspect.StructType, node: dict[str, Any]) -> None:
    """Otherwise it would store objects that we cannot read."""
    needed = {field.encode_name for field in kind.fields if field.required}
    assert needed - set(node.get("required", ())) == EITHER_WAY.get(place, set())


@pytest.mark.parametrize(("place", "kind", "node"), [pytest.param(*row, id=row[0]) for row in pairs()])
def test_type_and_schema_mean_the_same_values(place: str, kind: inspect.Type, node: dict[str, Any]) -> None:
    match kind:
        case inspect.StructType():
            assert node["type"] == "object"
        case inspect.DictType(value_type=inspect.AnyType()):
            assert place in TRANSLATED
            assert node["type"] == "object"
        case inspect.DictType(value_type=inspect.StrType()):
            assert node["additionalProperties"] == {"type": "string"}
        case inspect.DictType():
            assert node["additionalProperties"] == {"type": "array", "items": {"type": "string"}}
        case inspect.VarTupleType():
            assert node["type"] == "array"
        case inspect.IntType() | inspect.FloatType():
            assert node["type"] in NUMBERS
        case inspect.BoolType():
            assert node["type"] == "boolean"
        case inspect.StrType():
            assert node["type"] == "string"
        case inspect.EnumType():
            assert issubclass(kind.cls, Enum)
            assert node["enum"] == [member.value for member in kind.cls]
        case inspect.UnionType():
            assert node["x-kubernetes-int-or-string"] is True
        case _:
            pytest.fail(f"{place}: this test does not know {kind}")


def test_every_exception_is_one() -> None:
    """No table above names a place that does not exist."""
    places = {place for place, _, _ in pairs()}
    assert {*NOT_IN_THE_SCHEMA, *TRANSLATED, *EITHER_WAY} <= places
    assert len(places) > 150


def test_every_phase_may_be_stored() -> None:
    assert schema("Canary.status")["properties"]["phase"]["enum"] == [phase.value for phase in Phase]


def test_a_status_in_full_is_nothing_the_schema_does_not_know() -> None:
    known = set(schema("Canary.status")["properties"])
    assert set(msgspec.to_builtins(CanaryStatus())) <= known


def test_the_default_age_of_a_cookie_is_the_same_for_us_and_the_server() -> None:
    affinity = schema("Canary.spec")["properties"]["analysis"]["properties"]["sessionAffinity"]["properties"]
    assert SessionAffinity(cookie_name="a").max_age == affinity["maxAge"]["default"]
