"""The three older kinds of patches, as requests."""

from __future__ import annotations

from typing import Any

import pytest
from talk import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JSON_PATCH,
    LAMPS,
    MERGE,
    SERVICES,
    STRATEGIC,
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


async def with_notes(**data: str) -> Api:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("notes", **data))
    return api


async def data_after(operations: list[Manifest], **data: str) -> Any:
    patch = await patched(await with_notes(**data), NOTES, operations, JSON_PATCH)
    return patch.get("data")


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/data/b", "value": "2"}], {"a": "1", "b": "2"}),
        ([{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2"}),
        ([{"op": "remove", "path": "/data/a"}], None),
        ([{"op": "move", "from": "/data/a", "path": "/data/c"}], {"c": "1"}),
        ([{"op": "copy", "from": "/data/a", "path": "/data/c"}], {"a": "1", "c": "1"}),
        ([{"op": "test", "path": "/data/a", "value": "1"}], {"a": "1"}),
        ([{"op": "add", "path": "/data", "value": {"x": "y"}}], {"x": "y"}),
    ],
)
async def test_a_json_patch_does_one_thing_after_another(operations: list[Manifest], expected: Any) -> None:
    assert await data_after(operations, a="1") == expected


async def test_a_json_patch_finds_its_way_through_lists_and_escaped_keys() -> None:
    api = server()
    await done(api, "POST", DEPLOYMENTS, deployment())
    environment = "/spec/template/spec/containers/0/env"
    operations = [
        {"op": "add", "path": environment, "value": [{"name": "A", "value": "1"}]},
        {"op": "add", "path": f"{environment}/-", "value": {"name": "C", "value": "3"}},
        {"op": "add", "path": f"{environment}/1", "value": {"name": "B", "value": "2"}},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/a.b~1c", "value": "d"},
    ]
    made = await patched(api, SHOP, operations, JSON_PATCH)
    assert [one["name"] for one in made["spec"]["template"]["spec"]["containers"][0]["env"]] == ["A", "B", "C"]
    assert made["metadata"]["annotations"] == {"a.b/c": "d"}


async def test_a_json_patch_whose_test_fails_changes_nothing() -> None:
    api = await with_notes(a="1")
    operations = [
        {"op": "replace", "path": "/data/a", "value": "2"},
        {"op": "test", "path": "/data/a", "value": "3"},
    ]
    status = await refused(api, "PATCH", NOTES, operations, content_type=JSON_PATCH)
    assert status["code"] == 422
    assert status["message"].startswith("the server rejected our request due to an error in our request")
    assert (await done(api, "GET", NOTES))["data"] == {"a": "1"}


async def test_a_merge_patch_merges_objects_replaces_lists_and_removes_what_is_null() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp(tags=["a", "b"], labels={"x": "1", "y": "2"}))
    made = await patched(api, f"{LAMPS}/desk", {"spec": {"tags": ["c"], "labels": {"x": None, "z": "3"}}})
    assert made["spec"]["tags"] == ["c"]
    assert made["spec"]["labels"] == {"y": "2", "z": "3"}


async def test_a_merge_patch_with_a_stale_version_is_a_conflict() -> None:
    api = await with_notes(a="1")
    stale = (await done(api, "GET", NOTES))["metadata"]["resourceVersion"]
    await patched(api, NOTES, {"data": {"a": "2"}})
    change = {"metadata": {"resourceVersion": stale}, "data": {"a": "3"}}
    assert (await refused(api, "PATCH", NOTES, change, content_type=MERGE))["reason"] == "Conflict"


async def test_custom_resources_know_no_strategic_merge() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp())
    status = await refused(api, "PATCH", f"{LAMPS}/desk", {"spec": {"watts": 1}}, content_type=STRATEGIC)
    assert (status["code"], status["reason"]) == (415, "UnsupportedMediaType")


def two_containers() -> Manifest:
    made = deployment()
    environment = [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]
    made["spec"]["template"]["spec"]["containers"] = [
        {"name": "shop", "image": "shop:1", "env": environment, "ports": [{"containerPort": 80}], "args": ["a", "b"]},
        {"name": "side", "image": "side:1"},
    ]
    return made


async def strategically(pod_spec: Manifest) -> Manifest:
    """The pod template's spec after a strategic merge patch of it."""
    api = server()
    await done(api, "POST", DEPLOYMENTS, two_containers())
    made = await patched(api, SHOP, {"spec": {"template": {"spec": pod_spec}}}, STRATEGIC)
    template: Manifest = made["spec"]["template"]["spec"]
    return template


def named(items: list[Manifest]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("image")) for item in items}


async def test_lists_with_a_key_are_merged_item_by_item() -> None:
    made = await strategically({"containers": [{"name": "shop", "env": [{"name": "X", "value": "9"}, {"name": "Z"}]}]})
    shop, side = made["containers"]
    assert named(shop["env"]) == {"X": "9", "Y": "2", "Z": None}
    assert (shop["image"], side["image"]) == ("shop:1", "side:1")


async def test_lists_without_a_key_are_replaced() -> None:
    made = await strategically({"containers": [{"name": "shop", "args": ["c"]}]})
    assert made["containers"][0]["args"] == ["c"]


async def test_items_are_deleted_by_their_key() -> None:
    gone = [{"name": "X", "$patch": "delete"}]
    made = await strategically({"containers": [{"name": "side", "$patch": "delete"}, {"name": "shop", "env": gone}]})
    assert named(made["containers"]) == {"shop": "shop:1"}
    assert named(made["containers"][0]["env"]) == {"Y": "2"}


async def test_a_list_or_an_object_can_be_replaced_as_a_whole() -> None:
    made = await strategically({"containers": [{"$patch": "replace"}, {"name": "new", "image": "new:1"}]})
    assert named(made["containers"]) == {"new": "new:1"}
    made = await strategically({"securityContext": {"$patch": "replace", "runAsUser": 5}})
    assert made["securityContext"] == {"runAsUser": 5}


async def test_a_patch_can_say_in_which_order_items_stand() -> None:
    order = [{"name": "side"}, {"name": "new"}, {"name": "shop"}]
    made = await strategically({"$setElementOrder/containers": order, "containers": [{"name": "new", "image": "n:1"}]})
    assert [one["name"] for one in made["containers"]] == ["side", "new", "shop"]


async def test_only_the_retained_keys_of_a_union_stay() -> None:
    api = server()
    await done(api, "POST", DEPLOYMENTS, deployment())
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert (await patched(api, SHOP, change, STRATEGIC))["spec"]["strategy"] == {"type": "Recreate"}


async def test_values_are_deleted_from_a_list_of_scalars() -> None:
    api = await with_notes()
    await patched(api, NOTES, {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}})
    more = await patched(api, NOTES, {"metadata": {"finalizers": ["a.b/e"]}}, STRATEGIC)
    assert more["metadata"]["finalizers"] == ["a.b/e", "a.b/c", "a.b/d"]
    less = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/d"]}}
    assert (await patched(api, NOTES, less, STRATEGIC))["metadata"]["finalizers"] == ["a.b/e", "a.b/c"]


async def test_ports_of_a_service_are_known_by_their_number() -> None:
    api = server()
    spec = {"ports": [{"port": 80, "name": "http", "targetPort": 8080}]}
    await done(api, "POST", SERVICES, {"metadata": {"name": "web"}, "spec": spec})
    more = {"spec": {"ports": [{"port": 443, "name": "https"}, {"port": 80, "targetPort": 8081}]}}
    made = await patched(api, f"{SERVICES}/web", more, STRATEGIC)
    assert {one["port"]: one["targetPort"] for one in made["spec"]["ports"]} == {80: 8081, 443: 443}
    assert {one["port"]: one["name"] for one in made["spec"]["ports"]} == {80: "http", 443: "https"}


async def test_an_item_without_its_key_is_refused() -> None:
    api = server()
    await done(api, "POST", DEPLOYMENTS, deployment())
    change = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    status = await refused(api, "PATCH", SHOP, change, content_type=STRATEGIC)
    assert "does not contain declared merge key: name" in status["message"]
