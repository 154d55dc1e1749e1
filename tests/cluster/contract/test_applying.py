"""Contract: server-side apply, who owns which field, and what conflicts say."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client import APPLY, MERGE, Answer
from cluster.contract.servers import WIDGET, Server, manifest
from gradatim.ports.objects import CONFIG_MAP, DEPLOYMENT, SERVICE, Manifest, Resource


async def apply(
    server: Server,
    resource: Resource,
    name: str,
    manager: str,
    subresource: str = "",
    force: bool = False,
    **fields: Any,
) -> Answer:
    body = manifest(resource, name, **fields)
    params = {"fieldManager": manager, **({"force": "true"} if force else {})}
    where = server.path(resource, name, subresource)
    return await server.client.ask("PATCH", where, body, params=params, content_type=APPLY)


def owners(body: Manifest) -> dict[tuple[str, str, str], Manifest]:
    """Manager, operation and subresource, to the fields they own."""
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in body["metadata"].get("managedFields", ())
    }


@pytest.mark.asyncio
async def test_applying_creates_and_then_changes(server: Server) -> None:
    created = await apply(server, CONFIG_MAP, "a", "one", data={"v": "1"})
    assert created.status == 201
    changed = await apply(server, CONFIG_MAP, "a", "one", data={"v": "2"})
    assert (changed.status, changed.body["data"]) == (200, {"v": "2"})
    assert owners(changed.body) == {("one", "Apply", ""): {"f:data": {"f:v": {}}}}
    assert changed.body["metadata"]["managedFields"][0]["fieldsType"] == "FieldsV1"


@pytest.mark.asyncio
async def test_applying_the_same_again_changes_nothing(server: Server) -> None:
    created = await apply(server, WIDGET, "w", "one", spec={"weight": 1})
    again = await apply(server, WIDGET, "w", "one", spec={"weight": 1})
    assert again.body["metadata"]["resourceVersion"] == created.body["metadata"]["resourceVersion"]


@pytest.mark.asyncio
async def test_a_manager_must_say_its_name_and_send_no_managed_fields(server: Server) -> None:
    body = manifest(CONFIG_MAP, "a")
    answer = await server.client.ask("PATCH", server.path(CONFIG_MAP, "a"), body, content_type=APPLY)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "fieldManager: Required value: is required for apply patch" in answer.message
    answer = await apply(server, CONFIG_MAP, "a", "one", metadata={"managedFields": [{"manager": "x"}]})
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == "metadata.managedFields must be nil"


@pytest.mark.asyncio
async def test_what_a_manager_no_longer_applies_is_removed(server: Server) -> None:
    await apply(server, CONFIG_MAP, "a", "one", data={"v": "1", "w": "1"}, metadata={"labels": {"l": "1"}})
    changed = await apply(server, CONFIG_MAP, "a", "one", data={"v": "1"})
    assert changed.body["data"] == {"v": "1"}
    assert "labels" not in changed.body["metadata"]


@pytest.mark.asyncio
async def test_what_another_manager_also_applies_stays(server: Server) -> None:
    await apply(server, CONFIG_MAP, "a", "one", data={"v": "1", "w": "1"})
    await apply(server, CONFIG_MAP, "a", "two", data={"w": "1"})
    changed = await apply(server, CONFIG_MAP, "a", "one", data={"v": "1"})
    assert changed.body["data"] == {"v": "1", "w": "1"}
    assert owners(changed.body)["two", "Apply", ""] == {"f:data": {"f:w": {}}}


@pytest.mark.asyncio
async def test_another_value_for_an_owned_field_is_a_conflict(server: Server) -> None:
    await apply(server, CONFIG_MAP, "a", "one", data={"v": "1"})
    answer = await apply(server, CONFIG_MAP, "a", "two", data={"v": "2", "x": "y"})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .data.v'
    (cause,) = answer.body["details"]["causes"]
    assert cause == {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.v"}
    assert (await server.get(CONFIG_MAP, "a"))["data"] == {"v": "1"}


@pytest.mark.asyncio
async def test_force_takes_a_field_over(server: Server) -> None:
    await apply(server, CONFIG_MAP, "a", "one", data={"v": "1", "w": "1"})
    taken = await apply(server, CONFIG_MAP, "a", "two", force=True, data={"v": "2"})
    assert taken.body["data"] == {"v": "2", "w": "1"}
    assert owners(taken.body) == {
        ("one", "Apply", ""): {"f:data": {"f:w": {}}},
        ("two", "Apply", ""): {"f:data": {"f:v": {}}},
    }


@pytest.mark.asyncio
async def test_several_conflicts_are_all_named(server: Server) -> None:
    await apply(server, WIDGET, "w", "one", spec={"weight": 1, "owner": "a", "mode": "fast"})
    answer = await apply(server, WIDGET, "w", "two", spec={"weight": 2, "owner": "b", "mode": "fast"})
    assert answer.message == ('Apply failed with 2 conflicts: conflicts with "one":\n- .spec.owner\n- .spec.weight')
    assert {cause["field"] for cause in answer.body["details"]["causes"]} == {".spec.owner", ".spec.weight"}


@pytest.mark.asyncio
async def test_a_plain_write_takes_ownership_and_shows_in_conflicts(server: Server) -> None:
    await apply(server, WIDGET, "w", "one", spec={"weight": 1, "mode": "fast"})
    where = server.path(WIDGET, "w")
    patched = await server.client.ask(
        "PATCH", where, {"spec": {"weight": 5}}, params={"fieldManager": "kubectl-edit"}, content_type=MERGE
    )
    assert owners(patched.body)["one", "Apply", ""] == {"f:spec": {"f:mode": {}}}
    assert owners(patched.body)["kubectl-edit", "Update", ""] == {"f:spec": {"f:weight": {}}}
    answer = await apply(server, WIDGET, "w", "one", spec={"weight": 1, "mode": "fast"})
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using contract.test/v1: .spec.weight'
    )


@pytest.mark.asyncio
async def test_a_plain_write_is_noted_under_the_name_or_the_agent_of_its_writer(server: Server) -> None:
    body = manifest(CONFIG_MAP, "a", data={"v": "1"})
    named = await server.client.ask("POST", server.path(CONFIG_MAP), body, params={"fieldManager": "me"})
    assert owners(named.body) == {("me", "Update", ""): {"f:data": {".": {}, "f:v": {}}}}
    unnamed = await server.create(CONFIG_MAP, "b", data={"v": "1"})
    # The part of the user agent before the first slash.
    assert set(owners(unnamed)) == {("Python", "Update", "")}


@pytest.mark.asyncio
async def test_list_items_are_owned_by_their_keys(server: Server) -> None:
    await apply(server, WIDGET, "w", "one", spec={"weight": 1, "hooks": [{"name": "a", "url": "u"}]})
    both = await apply(server, WIDGET, "w", "two", spec={"hooks": [{"name": "b", "url": "v"}]})
    assert [hook["name"] for hook in both.body["spec"]["hooks"]] == ["a", "b"]
    assert owners(both.body)["two", "Apply", ""]["f:spec"]["f:hooks"] == {
        'k:{"name":"b"}': {".": {}, "f:name": {}, "f:url": {}}
    }
    left = await apply(server, WIDGET, "w", "one", spec={"weight": 1})
    assert [hook["name"] for hook in left.body["spec"]["hooks"]] == ["b"]


@pytest.mark.asyncio
async def test_sets_are_owned_by_their_values_and_plain_lists_as_a_whole(server: Server) -> None:
    await apply(server, WIDGET, "w", "one", spec={"weight": 1, "tags": ["a"], "steps": [1, 2]})
    both = await apply(server, WIDGET, "w", "two", spec={"tags": ["b"]})
    assert both.body["spec"]["tags"] == ["a", "b"]
    assert owners(both.body)["one", "Apply", ""]["f:spec"]["f:tags"] == {'v:"a"': {}}
    conflict = await apply(server, WIDGET, "w", "two", spec={"tags": ["b"], "steps": [3]})
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .spec.steps'


@pytest.mark.asyncio
async def test_built_in_lists_merge_by_their_keys(server: Server) -> None:
    labels = {"app": "shop"}
    containers = [{"name": "shop", "image": "shop:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    await apply(server, DEPLOYMENT, "d", "one", spec=spec)
    side = {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}
    both = await apply(server, DEPLOYMENT, "d", "two", spec=side)
    assert [one["name"] for one in both.body["spec"]["template"]["spec"]["containers"]] == ["shop", "side"]

    await apply(server, SERVICE, "s", "one", spec={"ports": [{"port": 80, "name": "http"}]})
    service = await apply(server, SERVICE, "s", "two", spec={"ports": [{"port": 90, "name": "grpc"}]})
    assert [one["port"] for one in service.body["spec"]["ports"]] == [80, 90]


@pytest.mark.asyncio
async def test_a_field_given_up_by_one_and_kept_by_another_writer(server: Server) -> None:
    """The replicas of a target: applied by its author, scaled by somebody else, no longer applied."""
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec: Manifest = {"selector": {"matchLabels": labels}, "template": template}
    await apply(server, DEPLOYMENT, "d", "author", spec={**spec, "replicas": 0})
    await server.client.merge(DEPLOYMENT, server.namespace, "d", {"spec": {"replicas": 2}}, "scale")
    conflict = await apply(server, DEPLOYMENT, "d", "author", spec={**spec, "replicas": 0})
    assert conflict.message == (
        'Apply failed with 1 conflict: conflict with "Python" with subresource "scale" using apps/v1: .spec.replicas'
    )
    kept = await apply(server, DEPLOYMENT, "d", "author", spec=spec)
    assert kept.body["spec"]["replicas"] == 2


@pytest.mark.asyncio
async def test_the_status_is_applied_on_its_own(server: Server) -> None:
    await apply(server, WIDGET, "w", "author", spec={"weight": 1})
    answer = await apply(server, WIDGET, "w", "operator", "status", spec={"weight": 9}, status={"phase": "Ready"})
    assert answer.body["spec"]["weight"] == 1
    assert answer.body["status"] == {"phase": "Ready"}
    assert owners(answer.body)["operator", "Apply", "status"] == {"f:status": {"f:phase": {}}}
    assert owners(answer.body)["author", "Apply", ""] == {"f:spec": {"f:weight": {}}}


@pytest.mark.asyncio
async def test_applying_in_a_dry_run_tells_conflicts_and_changes_nothing(server: Server) -> None:
    before = await apply(server, CONFIG_MAP, "a", "one", data={"v": "1"})
    body = manifest(CONFIG_MAP, "a", data={"v": "2"})
    params = {"fieldManager": "two", "dryRun": "All"}
    where = server.path(CONFIG_MAP, "a")
    answer = await server.client.ask("PATCH", where, body, params=params, content_type=APPLY)
    assert answer.status == 409
    answer = await server.client.ask("PATCH", where, body, params={**params, "force": "true"}, content_type=APPLY)
    assert answer.body["data"] == {"v": "2"}
    assert await server.get(CONFIG_MAP, "a") == before.body


@pytest.mark.asyncio
async def test_applied_objects_are_defaulted_and_validated(server: Server) -> None:
    answer = await apply(server, WIDGET, "w", "one", spec={"weight": 101})
    assert (answer.status, answer.reason) == (422, "Invalid")
    answer = await apply(server, WIDGET, "w", "one", spec={"weight": 1})
    assert answer.body["spec"]["mode"] == "slow"
    # Defaults belong to nobody who applies.
    assert owners(answer.body)["one", "Apply", ""] == {"f:spec": {"f:weight": {}}}
