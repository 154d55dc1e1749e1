"""Contract: creating and replacing, conflicts, generations, dry runs, unknown fields."""

from __future__ import annotations

import pytest

from cluster.client import Answer, path
from cluster.contract.servers import WIDGET, Server, manifest
from gradatim.ports.objects import CONFIG_MAP, DEPLOYMENT, Manifest, Resource


async def replace(server: Server, resource: Resource, body: Manifest, subresource: str = "", **params: str) -> Answer:
    where = server.path(resource, body["metadata"]["name"], subresource)
    return await server.client.ask("PUT", where, body, params=params)


@pytest.mark.asyncio
async def test_a_second_object_of_the_same_name_is_refused(server: Server) -> None:
    await server.create(CONFIG_MAP, "a")
    answer = await server.refusal(CONFIG_MAP, "a")
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "a" already exists'
    answer = await server.refusal(WIDGET, "NotLowerCase", spec={"weight": 1})
    assert (answer.status, answer.reason) == (422, "Invalid")


@pytest.mark.asyncio
async def test_a_name_can_be_generated(server: Server) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}
    names = {(await server.client.create(CONFIG_MAP, server.namespace, body))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("g-") and len(name) == len("g-") + 5 for name in names)


@pytest.mark.asyncio
async def test_names_are_checked(server: Server) -> None:
    answer = await server.refusal(CONFIG_MAP, "Not_A_Name")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(
        'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": '
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
    )
    (cause,) = answer.body["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "metadata.name")


@pytest.mark.asyncio
async def test_an_object_without_any_name_is_refused(server: Server) -> None:
    answer = await server.client.ask(
        "POST", server.path(CONFIG_MAP), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    )
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "name or generateName is required" in answer.message


@pytest.mark.asyncio
async def test_path_and_body_must_agree(server: Server) -> None:
    other = manifest(CONFIG_MAP, "a", metadata={"namespace": "other"})
    answer = await server.client.ask("POST", server.path(CONFIG_MAP), other)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == ("the namespace of the provided object does not match the namespace sent on the request")
    await server.create(CONFIG_MAP, "a")
    answer = await server.client.ask("PUT", server.path(CONFIG_MAP, "a"), manifest(CONFIG_MAP, "b"))
    assert answer.status == 400
    assert answer.message == "the name of the object (b) does not match the name on the URL (a)"
    wrong_kind = {**manifest(CONFIG_MAP, "k"), "kind": "Secret"}
    answer = await server.client.ask("POST", server.path(CONFIG_MAP), wrong_kind)
    assert answer.status == 400
    answer = await server.client.ask("POST", server.path(CONFIG_MAP), b"{not json")
    assert answer.status == 400


@pytest.mark.asyncio
async def test_an_old_version_loses(server: Server) -> None:
    first = await server.create(CONFIG_MAP, "a", data={"v": "1"})
    await server.client.merge(CONFIG_MAP, server.namespace, "a", {"data": {"v": "2"}})
    answer = await replace(server, CONFIG_MAP, {**first, "data": {"v": "3"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert (await server.get(CONFIG_MAP, "a"))["data"] == {"v": "2"}


@pytest.mark.asyncio
async def test_another_objects_uid_loses(server: Server) -> None:
    """An object that was deleted and made again is not the one that was read."""
    old = await server.create(CONFIG_MAP, "a")
    await server.client.delete(CONFIG_MAP, server.namespace, "a")
    await server.create(CONFIG_MAP, "a")
    meta = {"name": "a", "uid": old["metadata"]["uid"]}
    answer = await replace(server, CONFIG_MAP, manifest(CONFIG_MAP, "a", metadata=meta))
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition" in answer.message


@pytest.mark.asyncio
async def test_a_replacement_without_a_version_wins_for_built_in_kinds_only(server: Server) -> None:
    await server.create(CONFIG_MAP, "a", data={"v": "1"})
    answer = await replace(server, CONFIG_MAP, manifest(CONFIG_MAP, "a", data={"v": "2"}))
    assert answer.body["data"] == {"v": "2"}
    await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await replace(server, WIDGET, manifest(WIDGET, "w", spec={"weight": 2}))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answer.message


@pytest.mark.asyncio
async def test_replacing_what_is_not_there_is_not_found(server: Server) -> None:
    meta = {"name": "w", "resourceVersion": "1"}
    answer = await replace(server, WIDGET, manifest(WIDGET, "w", metadata=meta, spec={"weight": 1}))
    assert (answer.status, answer.reason) == (404, "NotFound")


@pytest.mark.asyncio
async def test_creating_with_a_resource_version_is_refused(server: Server) -> None:
    answer = await server.refusal(CONFIG_MAP, "a", metadata={"resourceVersion": "5"})
    assert answer.message == "resourceVersion should not be set on objects to be created"


@pytest.mark.asyncio
async def test_an_unchanged_object_keeps_its_version(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    again = await replace(server, WIDGET, created)
    assert again.body["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


@pytest.mark.asyncio
async def test_the_generation_counts_changes_of_the_wish(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    assert created["metadata"]["generation"] == 1
    changes: list[tuple[Manifest, str, int]] = [
        ({"spec": {"weight": 2}}, "", 2),
        ({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}, "", 2),
        ({"status": {"phase": "Ready"}}, "status", 2),
        ({"spec": {"weight": 3}}, "", 3),
    ]
    for patch, subresource, generation in changes:
        changed = await server.client.merge(WIDGET, server.namespace, "w", patch, subresource)
        assert changed["metadata"]["generation"] == generation


@pytest.mark.asyncio
async def test_what_belongs_to_the_server_cannot_be_written(server: Server) -> None:
    wishes = {"generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z", "uid": "mine", "selfLink": "x"}
    created = await server.create(WIDGET, "w", metadata=wishes, spec={"weight": 1})
    meta = created["metadata"]
    assert meta["generation"] == 1
    assert meta["uid"] != "mine"
    assert not meta["creationTimestamp"].startswith("2001")
    changed = await replace(server, WIDGET, {**created, "metadata": {**meta, "generation": 7}})
    assert changed.body["metadata"]["generation"] == 1


@pytest.mark.asyncio
async def test_a_dry_run_answers_as_if_and_does_nothing(server: Server) -> None:
    params = {"dryRun": "All"}
    body = manifest(WIDGET, "w", spec={"weight": 1})
    answer = await server.client.ask("POST", server.path(WIDGET), body, params=params)
    assert answer.status == 201
    assert answer.body["spec"]["mode"] == "slow"
    assert await server.client.find(WIDGET, server.namespace, "w") is None
    refused = await server.client.ask("POST", server.path(WIDGET), manifest(WIDGET, "w", spec={}), params=params)
    assert refused.status == 422

    created = await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await replace(server, WIDGET, {**created, "spec": {"weight": 2}}, dryRun="All")
    assert answer.body["spec"]["weight"] == 2
    answer = await server.client.delete(WIDGET, server.namespace, "w", dryRun="All")
    assert answer.status == 200
    assert await server.get(WIDGET, "w") == created


@pytest.mark.asyncio
async def test_unknown_fields_are_dropped_reported_or_refused_as_asked(server: Server) -> None:
    body = manifest(WIDGET, "w", spec={"weight": 1, "wight": 2})
    where = server.path(WIDGET)
    strict = await server.client.ask("POST", where, body, params={"fieldValidation": "Strict"})
    assert (strict.status, strict.reason) == (400, "BadRequest")
    assert strict.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.wight"'
    )
    warned = await server.client.ask("POST", where, body, params={"fieldValidation": "Warn"})
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.wight\\""'
    assert "wight" not in warned.body["spec"]
    await server.client.delete(WIDGET, server.namespace, "w")
    ignored = await server.client.ask("POST", where, body, params={"fieldValidation": "Ignore"})
    assert "Warning" not in ignored.headers
    assert "wight" not in ignored.body["spec"]


@pytest.mark.asyncio
async def test_unknown_fields_of_built_in_kinds_are_judged_alike(server: Server) -> None:
    body = manifest(DEPLOYMENT, "d", spec={"replica": 2})
    strict = await server.client.ask("POST", server.path(DEPLOYMENT), body, params={"fieldValidation": "Strict"})
    assert (strict.status, strict.reason) == (400, "BadRequest")
    assert strict.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        'strict decoding error: unknown field "spec.replica"'
    )


@pytest.mark.asyncio
async def test_wrong_types_in_built_in_kinds_are_bad_requests(server: Server) -> None:
    answer = await server.refusal(DEPLOYMENT, "d", spec={"replicas": "two"})
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


@pytest.mark.asyncio
async def test_yaml_is_read_as_well(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {a: b}\n"
    answer = await server.client.ask("POST", server.path(CONFIG_MAP), text, content_type="application/yaml")
    assert answer.body["data"] == {"a": "b"}


@pytest.mark.asyncio
async def test_an_unknown_media_type_is_refused(server: Server) -> None:
    answer = await server.client.ask("POST", server.path(CONFIG_MAP), b"x", content_type="text/plain")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    answer = await server.client.ask("GET", server.path(CONFIG_MAP), accept="text/plain")
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


@pytest.mark.asyncio
async def test_a_verb_that_a_collection_does_not_know(server: Server) -> None:
    answer = await server.client.ask("PUT", server.path(CONFIG_MAP), manifest(CONFIG_MAP, "a"))
    assert (answer.status, answer.reason) == (405, "MethodNotAllowed")
    answer = await server.client.ask("POST", path(CONFIG_MAP), manifest(CONFIG_MAP, "a"))
    assert answer.status in {400, 405}
