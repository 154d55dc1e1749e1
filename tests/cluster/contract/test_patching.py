"""Contract: the three kinds of patches that are not applied configurations."""

from __future__ import annotations

import pytest

from cluster.client import JSON_PATCH, MERGE, STRATEGIC, Answer
from cluster.contract.servers import WIDGET, Server
from gradatim.ports.objects import CONFIG_MAP, DEPLOYMENT, SERVICE, Manifest, Resource

CONTAINERS: list[Manifest] = [
    {"name": "shop", "image": "shop:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    {"name": "side", "image": "side:1"},
]


async def patch(server: Server, resource: Resource, name: str, body: object, kind: str, **params: str) -> Answer:
    return await server.client.ask("PATCH", server.path(resource, name), body, content_type=kind, params=params)


async def deployment(server: Server) -> None:
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": CONTAINERS}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    await server.create(DEPLOYMENT, "d", spec=spec)


def containers(answer: Answer) -> list[Manifest]:
    assert answer.ok, answer.message
    found: list[Manifest] = answer.body["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.asyncio
async def test_a_merge_patch_sets_removes_and_replaces_lists(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1, "owner": "a", "tags": ["x", "y"], "labels": {"k": "v"}})
    answer = await patch(
        server, WIDGET, "w", {"spec": {"weight": 0, "labels": {"k": None, "l": "w"}, "tags": ["z"]}}, MERGE
    )
    spec = answer.body["spec"]
    assert (spec["weight"], spec["labels"], spec["tags"], spec["owner"]) == (0, {"l": "w"}, ["z"], "a")
    answer = await patch(server, WIDGET, "w", {"metadata": {"annotations": {"a": "b"}}}, MERGE)
    answer = await patch(server, WIDGET, "w", {"metadata": {"annotations": {"a": None}}}, MERGE)
    assert "annotations" not in answer.body["metadata"]


@pytest.mark.asyncio
async def test_a_patch_may_insist_on_a_version(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "a", data={"v": "1"})
    version = created["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version}, "data": {"v": "2"}}
    assert (await patch(server, CONFIG_MAP, "a", body, MERGE)).ok
    answer = await patch(server, CONFIG_MAP, "a", body, MERGE)
    assert (answer.status, answer.reason) == (409, "Conflict")
    body = {"metadata": {"uid": "another"}, "data": {"v": "3"}}
    answer = await patch(server, CONFIG_MAP, "a", body, MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert 'metadata.uid: Invalid value: "another": field is immutable' in answer.message


@pytest.mark.asyncio
async def test_a_patch_of_nothing_is_not_found(server: Server) -> None:
    answer = await patch(server, CONFIG_MAP, "none", {"data": {}}, MERGE)
    assert (answer.status, answer.reason) == (404, "NotFound")


@pytest.mark.asyncio
async def test_a_patched_object_is_validated(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await patch(server, WIDGET, "w", {"spec": {"weight": 101}}, MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    answer = await patch(server, WIDGET, "w", {"spec": {"weight": None}}, MERGE)
    assert "spec.weight: Required value" in answer.message


@pytest.mark.asyncio
async def test_unknown_fields_in_a_patch_are_refused_when_strict(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await patch(server, WIDGET, "w", {"spec": {"wight": 1}}, MERGE, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert 'strict decoding error: unknown field "spec.wight"' in answer.message


@pytest.mark.asyncio
async def test_a_json_patch_adds_replaces_moves_and_removes(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1, "tags": ["x", "z"], "labels": {"a/b": "c"}})
    operations = [
        {"op": "test", "path": "/spec/weight", "value": 1},
        {"op": "replace", "path": "/spec/weight", "value": 5},
        {"op": "add", "path": "/spec/tags/1", "value": "y"},
        {"op": "add", "path": "/spec/tags/-", "value": "end"},
        {"op": "remove", "path": "/spec/labels/a~1b"},
        {"op": "copy", "from": "/spec/mode", "path": "/spec/owner"},
        {"op": "move", "from": "/spec/replicas", "path": "/spec/ceiling"},
        {"op": "replace", "path": "/spec/ceiling", "value": 50},
    ]
    spec = (await patch(server, WIDGET, "w", operations, JSON_PATCH)).body["spec"]
    assert spec["weight"] == 5
    assert spec["tags"] == ["x", "y", "z", "end"]
    assert spec["labels"] == {}
    assert (spec["owner"], spec["ceiling"], spec["replicas"]) == ("slow", 50, 1)


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "test", "path": "/data/v", "value": "other"}], 422),
        ([{"op": "remove", "path": "/data/none"}], 422),
        ([{"op": "replace", "path": "/none/deep", "value": "x"}], 422),
        ([{"op": "add", "path": "/none/deep", "value": "x"}], 422),
        ([{"op": "dance", "path": "/data/v"}], 422),
        ({"op": "add"}, 400),
    ],
)
@pytest.mark.asyncio
async def test_a_json_patch_that_does_not_fit_changes_nothing(server: Server, operations: object, status: int) -> None:
    created = await server.create(CONFIG_MAP, "a", data={"v": "1"})
    answer = await patch(server, CONFIG_MAP, "a", operations, JSON_PATCH)
    assert answer.status == status, answer.message
    assert await server.get(CONFIG_MAP, "a") == created


@pytest.mark.asyncio
async def test_a_json_patch_may_replace_a_field_that_is_not_there(server: Server) -> None:
    """More than RFC 6902 allows, and what the real server does."""
    await server.create(CONFIG_MAP, "a", data={"v": "1"})
    answer = await patch(server, CONFIG_MAP, "a", [{"op": "replace", "path": "/data/new", "value": "2"}], JSON_PATCH)
    assert answer.body["data"] == {"v": "1", "new": "2"}


@pytest.mark.asyncio
async def test_a_strategic_patch_merges_lists_by_their_keys(server: Server) -> None:
    await deployment(server)
    wish: Manifest = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": "shop:2"}]}}}}
    found = containers(await patch(server, DEPLOYMENT, "d", wish, STRATEGIC))
    assert [(one["name"], one["image"]) for one in found] == [("shop", "shop:2"), ("side", "side:1")]
    assert [one["name"] for one in found[0]["env"]] == ["A", "B"]

    variable = {"name": "B", "value": "3"}
    wish = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "env": [variable]}]}}}}
    found = containers(await patch(server, DEPLOYMENT, "d", wish, STRATEGIC))
    assert found[0]["env"] == [{"name": "A", "value": "1"}, variable]


@pytest.mark.asyncio
async def test_a_strategic_patch_has_directives(server: Server) -> None:
    await deployment(server)
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    assert [one["name"] for one in containers(await patch(server, DEPLOYMENT, "d", gone, STRATEGIC))] == ["shop"]
    only = [{"name": "new", "image": "new:1"}, {"$patch": "replace"}]
    found = containers(
        await patch(server, DEPLOYMENT, "d", {"spec": {"template": {"spec": {"containers": only}}}}, STRATEGIC)
    )
    assert [one["name"] for one in found] == ["new"]


@pytest.mark.asyncio
async def test_a_strategic_patch_removes_by_null_and_replaces_plain_lists(server: Server) -> None:
    await server.create(CONFIG_MAP, "a", metadata={"finalizers": ["x.test/a"]}, data={"v": "1", "w": "2"})
    answer = await patch(server, CONFIG_MAP, "a", {"data": {"v": None}}, STRATEGIC)
    assert answer.body["data"] == {"w": "2"}
    # Finalizers are a set to a strategic patch.
    answer = await patch(server, CONFIG_MAP, "a", {"metadata": {"finalizers": ["x.test/b"]}}, STRATEGIC)
    assert sorted(answer.body["metadata"]["finalizers"]) == ["x.test/a", "x.test/b"]
    answer = await patch(server, CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, STRATEGIC)
    assert "finalizers" not in answer.body["metadata"]


@pytest.mark.asyncio
async def test_ports_of_a_service_are_merged_by_number(server: Server) -> None:
    await server.create(SERVICE, "s", spec={"ports": [{"port": 80, "name": "http"}, {"port": 90, "name": "grpc"}]})
    wish = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    ports = (await patch(server, SERVICE, "s", wish, STRATEGIC)).body["spec"]["ports"]
    assert [(one["port"], one["targetPort"], one["name"]) for one in ports] == [(80, 8080, "http"), (90, 90, "grpc")]


@pytest.mark.asyncio
async def test_custom_objects_know_no_strategic_patch(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await patch(server, WIDGET, "w", {"spec": {"weight": 2}}, STRATEGIC)
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    assert answer.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    answer = await patch(server, WIDGET, "w", {"spec": {"weight": 2}}, "application/json")
    assert answer.status == 415


@pytest.mark.asyncio
async def test_a_patch_in_a_dry_run_does_nothing(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "a", data={"v": "1"})
    answer = await patch(server, CONFIG_MAP, "a", {"data": {"v": "2"}}, MERGE, dryRun="All")
    assert answer.body["data"] == {"v": "2"}
    assert await server.get(CONFIG_MAP, "a") == created
