"""Server-side apply and the owners of fields."""

from __future__ import annotations

from typing import Any

import pytest
from talk import (
    APPLY,
    CONFIG_MAPS,
    DEPLOYMENTS,
    LAMPS,
    ask,
    config_map,
    deployment,
    done,
    lamp,
    patched,
    refused,
    server,
    with_lamps,
)

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api

pytestmark = pytest.mark.asyncio

NOTES = f"{CONFIG_MAPS}/notes"
SHOP = f"{DEPLOYMENTS}/shop"
LAMP = f"{LAMPS}/desk"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def applied(api: Api, url: str, config: Manifest, manager: str = "one", query: str = "") -> Manifest:
    return await done(api, "PATCH", f"{url}?fieldManager={manager}{query}", config, content_type=APPLY)


async def contradicted(api: Api, url: str, config: Manifest, manager: str) -> Manifest:
    return await refused(api, "PATCH", f"{url}?fieldManager={manager}", config, content_type=APPLY)


def notes(**data: str) -> Manifest:
    return config_map("notes", **data)


def owners(obj: Manifest) -> dict[tuple[str, str], Any]:
    """Fields by manager and operation."""
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in obj["metadata"].get("managedFields", ())}


async def test_an_apply_creates_what_is_not_there_and_owns_what_it_says() -> None:
    api = server()
    answer = await ask(api, "PATCH", f"{NOTES}?fieldManager=one", notes(a="1"), content_type=APPLY)
    assert answer.status == 201
    assert owners(answer.json()) == {("one", "Apply"): {"f:data": {"f:a": {}}}}
    again = await ask(api, "PATCH", f"{NOTES}?fieldManager=one", notes(a="1"), content_type=APPLY)
    assert (again.status, again.json()) == (200, answer.json())


async def test_what_an_applier_no_longer_says_goes_unless_another_says_it() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1", b="2"))
    await applied(api, NOTES, notes(b="2", c="3"), "two")
    made = await applied(api, NOTES, notes(a="1"))
    assert made["data"] == {"a": "1", "b": "2", "c": "3"}
    made = await applied(api, NOTES, notes(c="3"), "two")
    assert made["data"] == {"a": "1", "c": "3"}


async def test_a_conflict_names_the_owner_and_the_field() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1"))
    status = await contradicted(api, NOTES, notes(a="2"), "two")
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    made = await applied(api, NOTES, notes(a="2"), "two", "&force=true")
    assert owners(made) == {("two", "Apply"): {"f:data": {"f:a": {}}}}


async def test_a_conflict_with_an_update_names_its_version() -> None:
    api = server()
    await done(api, "POST", f"{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply", deployment(replicas=2))
    config = deployment(replicas=3)
    status = await contradicted(api, SHOP, config, "two")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )


async def test_several_conflicts_are_listed_by_owner() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1", b="1"))
    await applied(api, NOTES, notes(c="1"), "two")
    status = await contradicted(api, NOTES, notes(a="2", b="2", c="2"), "three")
    assert status["message"] == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "two":\n- .data.c'
    )


async def test_to_say_the_same_is_to_share() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1"))
    made = await applied(api, NOTES, notes(a="1"), "two")
    assert set(owners(made)) == {("one", "Apply"), ("two", "Apply")}


async def test_whoever_changes_a_field_takes_it_over() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1", b="1"))
    made = await patched(api, f"{NOTES}?fieldManager=editor", {"data": {"a": "2"}})
    assert owners(made) == {("one", "Apply"): {"f:data": {"f:b": {}}}, ("editor", "Update"): {"f:data": {"f:a": {}}}}


async def test_items_of_a_list_are_owned_one_by_one() -> None:
    api = server()
    config = deployment()
    container = config["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "A", "value": "1"}]
    await applied(api, SHOP, config)
    other = {"name": "shop", "env": [{"name": "B", "value": "2"}]}
    partial = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [other]}}},
    }
    made = await applied(api, SHOP, partial, "two")
    (shop,) = made["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in shop["env"]] == ["A", "B"]
    fields = owners(made)[("two", "Apply")]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert fields == {
        'k:{"name":"shop"}': {
            ".": {},
            "f:name": {},
            "f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}},
        }
    }
    container["env"] = []
    made = await applied(api, SHOP, config)
    assert [one["name"] for one in made["spec"]["template"]["spec"]["containers"][0]["env"]] == ["B"]


async def test_lists_of_custom_resources_merge_as_their_schema_says() -> None:
    api = with_lamps(server())
    await applied(api, LAMP, lamp(tags=["a"], parts=[{"name": "x"}]))
    more = {
        "apiVersion": "example.com/v1",
        "kind": "Lamp",
        "spec": {"tags": ["b"], "parts": [{"name": "y", "size": 2}]},
    }
    made = (await applied(api, LAMP, more, "two"))["spec"]
    assert made["tags"] == ["a", "b"]
    assert made["parts"] == [{"name": "x", "size": 7}, {"name": "y", "size": 2}]


async def test_status_is_applied_through_its_own_door() -> None:
    api = with_lamps(server())
    await applied(api, LAMP, lamp())
    config = lamp(watts=99) | {"status": {"lit": True}}
    made = await applied(api, f"{LAMP}/status", config, "controller")
    assert (made["spec"]["watts"], made["status"]) == (5, {"lit": True})
    entry = next(one for one in made["metadata"]["managedFields"] if one["manager"] == "controller")
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "controller",
        "status",
        {"f:status": {"f:lit": {}}},
    )


@pytest.mark.parametrize(
    ("query", "config", "code", "message"),
    [
        ("", notes(), 422, "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=a", notes() | {"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ("?fieldManager=a", notes() | {"metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (
            "?fieldManager=a",
            config_map("other"),
            400,
            "the name of the object (other) does not match the name on the URL",
        ),
        ("?fieldManager=a", notes() | {"colour": 1}, 500, ".colour: field not declared in schema"),
    ],
)
async def test_what_cannot_be_applied_is_refused(query: str, config: Manifest, code: int, message: str) -> None:
    status = await refused(server(), "PATCH", f"{NOTES}{query}", config, content_type=APPLY)
    assert status["code"] == code
    assert message in status["message"]


async def test_an_apply_can_be_tried_dry() -> None:
    api = server()
    made = await applied(api, NOTES, notes(a="1"), query="&dryRun=All")
    assert made["data"] == {"a": "1"}
    assert (await ask(api, "GET", NOTES)).status == 404


async def test_an_apply_with_a_stale_version_is_a_conflict() -> None:
    api = server()
    stale = (await applied(api, NOTES, notes(a="1")))["metadata"]["resourceVersion"]
    await patched(api, NOTES, {"data": {"b": "1"}})
    config = notes(a="2")
    config["metadata"]["resourceVersion"] = stale
    status = await contradicted(api, NOTES, config, "one")
    assert "the object has been modified" in status["message"]


async def test_owners_can_be_forgotten() -> None:
    api = server()
    await applied(api, NOTES, notes(a="1"))
    made = await patched(api, NOTES, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in made["metadata"]


async def test_the_time_of_an_owner_changes_only_with_its_fields() -> None:
    """An apply that changes nothing must not make a new version."""
    api = server()
    await done(api, "POST", CONFIG_MAPS, notes(a="1"))
    made = await applied(api, NOTES, notes(a="1"))
    assert await applied(api, NOTES, notes(a="1")) == made


async def test_kubectl_keeps_what_its_older_way_of_applying_would_look_at() -> None:
    api = server()
    made = notes(a="1")
    made["metadata"]["annotations"] = {LAST_APPLIED: "{}"}
    await done(api, "POST", f"{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply", made)
    made = await applied(api, NOTES, notes(a="1"), "kubectl")
    assert '"data":{"a":"1"}' in made["metadata"]["annotations"][LAST_APPLIED]
