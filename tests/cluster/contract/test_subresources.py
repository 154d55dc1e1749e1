"""Contract: `status` and `scale` are written apart from the rest."""

from __future__ import annotations

import pytest

from cluster.client import JSON_PATCH, MERGE, STRATEGIC
from cluster.contract.servers import WIDGET, Server, manifest
from gradatim.ports.objects import DAEMON_SET, DEPLOYMENT, SERVICE, Manifest

LABELS = {"app": "shop"}
TEMPLATE: Manifest = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}


async def deployment(server: Server, replicas: int = 0) -> Manifest:
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
    return await server.create(DEPLOYMENT, "d", spec=spec)


@pytest.mark.asyncio
async def test_a_status_cannot_be_written_with_the_object(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1}, status={"phase": "Ready"})
    assert "status" not in created
    changed = await server.client.merge(WIDGET, server.namespace, "w", {"status": {"phase": "Ready"}})
    assert "status" not in changed


@pytest.mark.asyncio
async def test_the_status_subresource_writes_nothing_else(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    body = {**created, "spec": {"weight": 2}, "status": {"phase": "Ready"}}
    body["metadata"] = {**created["metadata"], "labels": {"a": "b"}}
    answer = await server.client.ask("PUT", server.path(WIDGET, "w", "status"), body)
    assert answer.body["spec"]["weight"] == 1
    assert answer.body["status"] == {"phase": "Ready"}
    assert "labels" not in answer.body["metadata"]
    assert answer.body["metadata"]["generation"] == 1
    assert await server.client.must("GET", server.path(WIDGET, "w", "status")) == answer.body


@pytest.mark.asyncio
async def test_a_status_patch_of_every_kind(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    where = server.path(WIDGET, "w", "status")
    answer = await server.client.ask("PATCH", where, {"status": {"phase": "A", "failedChecks": 0}}, content_type=MERGE)
    assert answer.body["status"] == {"phase": "A", "failedChecks": 0}
    operations = [{"op": "replace", "path": "/status/phase", "value": "B"}]
    answer = await server.client.ask("PATCH", where, operations, content_type=JSON_PATCH)
    assert answer.body["status"]["phase"] == "B"
    # On a built-in kind, conditions are merged by their type.
    await deployment(server)
    where = server.path(DEPLOYMENT, "d", "status")
    for kind in ("X", "Y"):
        condition = {"type": kind, "status": "True"}
        answer = await server.client.ask(
            "PATCH", where, {"status": {"conditions": [condition]}}, content_type=STRATEGIC
        )
    assert {"X", "Y"} <= {one["type"] for one in answer.body["status"]["conditions"]}


@pytest.mark.asyncio
async def test_a_status_is_validated_too(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    where = server.path(WIDGET, "w", "status")
    answer = await server.client.ask("PATCH", where, {"status": {"failedChecks": "many"}}, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    complaint = 'Invalid value: "string": failedChecks in body must be of type integer: "string"'
    assert answer.body["details"]["causes"][0]["field"] == "status.failedChecks"
    assert answer.body["details"]["causes"][0]["message"] == complaint
    answer = await server.client.ask("PATCH", where, {"status": {"unknown": 1, "phase": "A"}}, content_type=MERGE)
    assert answer.body["status"] == {"phase": "A"}


@pytest.mark.asyncio
async def test_a_status_of_an_old_version_loses(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    await server.client.merge(WIDGET, server.namespace, "w", {"spec": {"weight": 2}})
    body = {**created, "status": {"phase": "Ready"}}
    answer = await server.client.ask("PUT", server.path(WIDGET, "w", "status"), body)
    assert (answer.status, answer.reason) == (409, "Conflict")


@pytest.mark.asyncio
async def test_the_scale_of_a_deployment(server: Server) -> None:
    created = await deployment(server, replicas=0)
    scale = await server.client.must("GET", server.path(DEPLOYMENT, "d", "scale"))
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["metadata"]["uid"] == created["metadata"]["uid"]
    assert scale["spec"] == {}
    assert scale["status"] == {"replicas": 0, "selector": "app=shop"}
    del scale["metadata"]["resourceVersion"]  # the controller may have written the status meanwhile
    answer = await server.client.ask("PUT", server.path(DEPLOYMENT, "d", "scale"), {**scale, "spec": {"replicas": 1}})
    assert answer.body["spec"] == {"replicas": 1}
    patched = await server.client.merge(DEPLOYMENT, server.namespace, "d", {"spec": {"replicas": 0}}, "scale")
    assert patched["spec"] == {}
    current = await server.get(DEPLOYMENT, "d")
    assert current["spec"]["replicas"] == 0
    assert current["metadata"]["generation"] == 3


@pytest.mark.asyncio
async def test_the_scale_of_a_custom_object(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    await server.client.merge(
        WIDGET, server.namespace, "w", {"status": {"replicas": 3, "selector": "app=shop"}}, "status"
    )
    scale = await server.client.must("GET", server.path(WIDGET, "w", "scale"))
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 3, "selector": "app=shop"}
    await server.client.merge(WIDGET, server.namespace, "w", {"spec": {"replicas": 4}}, "scale")
    assert (await server.get(WIDGET, "w"))["spec"]["replicas"] == 4


@pytest.mark.asyncio
async def test_a_scale_of_an_old_version_loses(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    where = server.path(WIDGET, "w", "scale")
    scale = await server.client.must("GET", where)
    await server.client.merge(WIDGET, server.namespace, "w", {"spec": {"weight": 2}})
    answer = await server.client.ask("PUT", where, {**scale, "spec": {"replicas": 5}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    fresh = await server.client.must("GET", where)
    answer = await server.client.ask("PUT", where, {**fresh, "spec": {"replicas": 5}})
    assert (answer.status, answer.body["spec"]) == (200, {"replicas": 5})
    assert (await server.get(WIDGET, "w"))["metadata"]["generation"] == 3


@pytest.mark.asyncio
async def test_a_scale_takes_operations_and_dry_runs(server: Server) -> None:
    await deployment(server)
    where = server.path(DEPLOYMENT, "d", "scale")
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    dry = await server.client.ask("PATCH", where, operations, content_type=JSON_PATCH, params={"dryRun": "All"})
    assert dry.body["spec"] == {"replicas": 2}
    assert (await server.get(DEPLOYMENT, "d"))["spec"]["replicas"] == 0
    answer = await server.client.ask("PATCH", where, operations, content_type=JSON_PATCH)
    assert answer.body["spec"] == {"replicas": 2}


@pytest.mark.asyncio
async def test_a_status_in_a_dry_run_is_not_kept(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    where, params = server.path(WIDGET, "w", "status"), {"dryRun": "All"}
    answer = await server.client.ask("PATCH", where, {"status": {"phase": "A"}}, params=params, content_type=MERGE)
    assert answer.body["status"] == {"phase": "A"}
    answer = await server.client.ask("PUT", where, {**created, "status": {"phase": "B"}}, params=params)
    assert answer.body["status"] == {"phase": "B"}
    assert await server.get(WIDGET, "w") == created


@pytest.mark.asyncio
async def test_negative_replicas_are_refused(server: Server) -> None:
    await deployment(server)
    where = server.path(DEPLOYMENT, "d", "scale")
    answer = await server.client.ask("PATCH", where, {"spec": {"replicas": -1}}, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")


@pytest.mark.asyncio
async def test_kinds_without_a_subresource_do_not_have_it(server: Server) -> None:
    await server.create(SERVICE, "s", spec={"ports": [{"port": 80}]})
    answer = await server.client.ask("GET", server.path(SERVICE, "s", "scale"))
    assert answer.status == 404
    body = manifest(DAEMON_SET, "ds", spec={"selector": {"matchLabels": LABELS}, "template": TEMPLATE})
    await server.client.create(DAEMON_SET, server.namespace, body)
    assert (await server.client.ask("GET", server.path(DAEMON_SET, "ds", "scale"))).status == 404
