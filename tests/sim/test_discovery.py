"""How clients learn what there is: discovery, the version, and OpenAPI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from talk import DEFINITIONS, ask, done, server, with_lamps

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api

pytestmark = pytest.mark.asyncio

AGGREGATED = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList,application/json"


def resource(listed: Manifest, name: str) -> Manifest:
    return next(one for one in listed["resources"] if one["name"] == name)


async def test_the_version_is_that_of_a_kubernetes_that_clients_know() -> None:
    found = await done(server(), "GET", "/version")
    assert (found["major"], found["minor"]) == ("1", "37")
    assert found["gitVersion"].startswith("v1.37.2")


async def test_groups_and_resources_are_listed_the_old_way() -> None:
    api = with_lamps(server())
    assert (await done(api, "GET", "/api"))["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await done(api, "GET", "/apis"))["groups"]}
    assert {"apps", "autoscaling", "networking.k8s.io", "apiextensions.k8s.io", "example.com"} <= groups.keys()
    assert groups["apps"]["preferredVersion"]["groupVersion"] == "apps/v1"
    core = await done(api, "GET", "/api/v1")
    assert resource(core, "configmaps")["shortNames"] == ["cm"]
    assert resource(core, "pods/log")["verbs"] == ["get"]
    apps = await done(api, "GET", "/apis/apps/v1")
    assert resource(apps, "deployments/scale")["kind"] == "Scale"
    lamps = resource(await done(api, "GET", "/apis/example.com/v1"), "lamps")
    assert (lamps["kind"], lamps["singularName"], lamps["shortNames"], lamps["categories"]) == (
        "Lamp",
        "lamp",
        ["lp"],
        ["all"],
    )


async def test_everything_is_told_in_two_answers_to_who_asks_for_that() -> None:
    api = with_lamps(server())
    answer = await ask(api, "GET", "/apis", accept=AGGREGATED)
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    groups = {group["metadata"]["name"]: group for group in answer.json()["items"]}
    (version,) = groups["example.com"]["versions"]
    assert (version["version"], version["freshness"]) == ("v1", "Current")
    (lamps,) = version["resources"]
    assert lamps["resource"] == "lamps"
    assert [one["subresource"] for one in lamps["subresources"]] == ["status", "scale"]
    core = (await ask(api, "GET", "/api", accept=AGGREGATED)).json()["items"]
    assert [group["metadata"].get("name", "") for group in core] == [""]


async def test_a_definition_that_goes_takes_its_group_along() -> None:
    api = with_lamps(server())
    await done(api, "DELETE", f"{DEFINITIONS}/lamps.example.com")
    assert "example.com" not in {group["name"] for group in (await done(api, "GET", "/apis"))["groups"]}
    assert (await ask(api, "GET", "/apis/example.com/v1")).status == 404


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_the_server_is_well(path: str) -> None:
    answer = await ask(server(), "GET", path)
    assert (answer.status, answer.body) == (200, b"ok")


async def document(api: Api, path: str) -> Manifest:
    """The OpenAPI document of a group and version, by the address in the index."""
    index = (await done(api, "GET", "/openapi/v3"))["paths"]
    return await done(api, "GET", index[path]["serverRelativeURL"])


def of_kind(found: Manifest, kind: str) -> Manifest:
    """The schema that names this kind as its own."""
    for schema in found["components"]["schemas"].values():
        if any(one["kind"] == kind for one in schema.get("x-kubernetes-group-version-kind", ())):
            return dict(schema)
    raise AssertionError(f"no schema of {kind}")


def followed(found: Manifest, schema: Manifest, *path: str) -> Manifest:
    """A schema below another, through its references."""
    for name in path:
        schema = schema["properties"][name] if name != "*" else schema["items"]
        reference = schema.get("$ref") or next((one["$ref"] for one in schema.get("allOf", ())), "")
        if reference:
            schema = found["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


async def test_built_in_kinds_are_described_down_to_the_last_field() -> None:
    found = await document(server(), "apis/apps/v1")
    kind = of_kind(found, "Deployment")
    probe = followed(found, kind, "spec", "template", "spec", "containers", "*", "readinessProbe")
    assert probe["properties"]["periodSeconds"]["format"] == "int32"
    assert "containers" in followed(found, kind, "spec", "template", "spec")["required"]


async def test_custom_kinds_are_described_by_their_definition() -> None:
    found = await document(with_lamps(server()), "apis/example.com/v1")
    kind = of_kind(found, "Lamp")
    assert followed(found, kind, "spec", "colour")["enum"] == ["red", "blue"]
    assert {"apiVersion", "kind", "metadata", "spec", "status"} <= kind["properties"].keys()


async def test_references_lead_somewhere() -> None:
    api = with_lamps(server())
    for path in (await done(api, "GET", "/openapi/v3"))["paths"]:
        found = await document(api, path)
        known = found.get("components", {}).get("schemas", {})
        assert references(found) <= {f"#/components/schemas/{name}" for name in known}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


async def test_the_paths_tell_that_fields_are_checked_by_the_server() -> None:
    """kubectl validates by itself unless a PATCH takes `fieldValidation`."""
    found = await document(server(), "apis/apps/v1")
    patch = found["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in [one["name"] for one in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "Deployment", "version": "v1"}


async def test_the_address_of_a_document_changes_with_its_contents() -> None:
    api = server()
    before = (await done(api, "GET", "/openapi/v3"))["paths"]
    after = (await done(with_lamps(api), "GET", "/openapi/v3"))["paths"]
    assert before["apis/apps/v1"] == after["apis/apps/v1"]
    assert "apis/example.com/v1" not in before
    assert json.dumps(after["apis/example.com/v1"]).count("hash=") == 1
