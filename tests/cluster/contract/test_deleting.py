"""Contract: deletion, finalizers, what happens to dependents, collections, namespaces."""

from __future__ import annotations

from functools import partial

import pytest

from cluster.client import Answer
from cluster.contract.servers import WIDGET, Server
from cluster.namespaces import until
from gradatim.ports.objects import CONFIG_MAP, DEPLOYMENT, Manifest, Resource

FINALIZER = "contract.test/finalizer"


async def delete(server: Server, resource: Resource, name: str, options: Manifest | None = None) -> Answer:
    return await server.client.ask("DELETE", server.path(resource, name), options)


async def gone(server: Server, resource: Resource, name: str) -> bool:
    return await server.client.find(resource, server.namespace, name) is None


def owned_by(owner: Manifest, **more: object) -> Manifest:
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    return {"ownerReferences": [{**reference, "uid": owner["metadata"]["uid"], **more}]}


@pytest.mark.asyncio
async def test_a_deletion_says_what_was_deleted(server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    answer = await delete(server, WIDGET, "w")
    assert (answer.status, answer.body["kind"], answer.body["status"]) == (200, "Status", "Success")
    assert answer.body["details"] == {
        "name": "w",
        "group": "contract.test",
        "kind": "widgets",
        "uid": created["metadata"]["uid"],
    }
    assert (await delete(server, WIDGET, "w")).status == 404


@pytest.mark.asyncio
async def test_a_finalizer_holds_the_object_until_it_is_removed(server: Server) -> None:
    await server.create(WIDGET, "w", metadata={"finalizers": [FINALIZER]}, spec={"weight": 1})
    answer = await delete(server, WIDGET, "w")
    assert (answer.status, answer.body["kind"]) == (200, "Widget")
    meta = answer.body["metadata"]
    assert meta["deletionTimestamp"]
    assert meta["deletionGracePeriodSeconds"] == 0
    assert meta["generation"] == 2
    again = await delete(server, WIDGET, "w")
    assert again.body["metadata"]["deletionTimestamp"] == meta["deletionTimestamp"]

    changed = await server.client.merge(WIDGET, server.namespace, "w", {"spec": {"weight": 2}})
    assert changed["spec"]["weight"] == 2
    last = await server.client.merge(WIDGET, server.namespace, "w", {"metadata": {"finalizers": None}})
    assert last["metadata"]["deletionTimestamp"]
    assert await gone(server, WIDGET, "w")


@pytest.mark.asyncio
async def test_no_finalizer_can_be_added_to_what_is_being_deleted(server: Server) -> None:
    await server.create(WIDGET, "w", metadata={"finalizers": [FINALIZER]}, spec={"weight": 1})
    await delete(server, WIDGET, "w")
    patch = {"metadata": {"finalizers": [FINALIZER, "contract.test/another"]}}
    answer = await server.client.ask(
        "PATCH", server.path(WIDGET, "w"), patch, content_type="application/merge-patch+json"
    )
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted" in (
        answer.message
    )


@pytest.mark.asyncio
async def test_a_deletion_may_insist_on_uid_and_version(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "a")
    meta = created["metadata"]
    answer = await delete(server, CONFIG_MAP, "a", {"preconditions": {"uid": "another"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    answer = await delete(server, CONFIG_MAP, "a", {"preconditions": {"resourceVersion": "1"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    wanted = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    assert (await delete(server, CONFIG_MAP, "a", {"preconditions": wanted})).ok


@pytest.mark.asyncio
async def test_what_an_object_owns_goes_with_it(server: Server) -> None:
    owner = await server.create(CONFIG_MAP, "owner")
    await server.create(CONFIG_MAP, "owned", metadata=owned_by(owner))
    await server.create(CONFIG_MAP, "free")
    answer = await delete(server, CONFIG_MAP, "owner")
    assert answer.body["status"] == "Success"
    assert await gone(server, CONFIG_MAP, "owner")
    await until(lambda: gone(server, CONFIG_MAP, "owned"), "the dependent deleted")
    assert not await gone(server, CONFIG_MAP, "free")


@pytest.mark.asyncio
async def test_what_has_another_living_owner_stays(server: Server) -> None:
    first, second = await server.create(CONFIG_MAP, "first"), await server.create(CONFIG_MAP, "second")
    references = owned_by(first)["ownerReferences"] + owned_by(second)["ownerReferences"]
    await server.create(CONFIG_MAP, "shared", metadata={"ownerReferences": references})
    await delete(server, CONFIG_MAP, "first")

    async def left() -> bool:
        meta = (await server.get(CONFIG_MAP, "shared"))["metadata"]
        return [one["name"] for one in meta["ownerReferences"]] == ["second"]

    await until(left, "the reference to the dead owner removed")


@pytest.mark.asyncio
async def test_what_names_an_owner_that_never_was_is_collected(server: Server) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "never", "uid": "no-such-uid"}}
    await server.create(CONFIG_MAP, "orphan", metadata=owned_by(owner))
    await until(lambda: gone(server, CONFIG_MAP, "orphan"), "the dependent of nobody deleted")


@pytest.mark.asyncio
async def test_orphaning_leaves_dependents_and_takes_the_reference_away(server: Server) -> None:
    owner = await server.create(CONFIG_MAP, "owner")
    await server.create(CONFIG_MAP, "owned", metadata=owned_by(owner))
    await delete(server, CONFIG_MAP, "owner", {"propagationPolicy": "Orphan"})
    await until(lambda: gone(server, CONFIG_MAP, "owner"), "the owner deleted")
    assert "ownerReferences" not in (await server.get(CONFIG_MAP, "owned"))["metadata"]


@pytest.mark.asyncio
async def test_foreground_deletion_waits_for_dependents_that_block_it(server: Server) -> None:
    owner = await server.create(CONFIG_MAP, "owner")
    metadata = {**owned_by(owner, blockOwnerDeletion=True, controller=True), "finalizers": [FINALIZER]}
    await server.create(CONFIG_MAP, "owned", metadata=metadata)
    await delete(server, CONFIG_MAP, "owner", {"propagationPolicy": "Foreground"})

    async def marked() -> bool:
        return "deletionTimestamp" in (await server.get(CONFIG_MAP, "owned"))["metadata"]

    await until(marked, "the dependent marked for deletion")
    held = await server.get(CONFIG_MAP, "owner")
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    await server.client.merge(CONFIG_MAP, server.namespace, "owned", {"metadata": {"finalizers": None}})
    await until(lambda: gone(server, CONFIG_MAP, "owner"), "the owner deleted at last")


@pytest.mark.asyncio
async def test_only_one_owner_can_be_the_controller(server: Server) -> None:
    first, second = await server.create(CONFIG_MAP, "first"), await server.create(CONFIG_MAP, "second")
    references = [
        *owned_by(first, controller=True)["ownerReferences"],
        *owned_by(second, controller=True)["ownerReferences"],
    ]
    answer = await server.refusal(CONFIG_MAP, "a", metadata={"ownerReferences": references})
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "Only one reference can have Controller set to true" in answer.message


@pytest.mark.asyncio
async def test_a_selection_is_deleted_together(server: Server) -> None:
    for name, tier in (("a", "web"), ("b", "web"), ("c", "db")):
        await server.create(CONFIG_MAP, name, metadata={"labels": {"tier": tier}})
    answer = await server.client.ask("DELETE", server.path(CONFIG_MAP), params={"labelSelector": "tier=web"})
    assert {item["metadata"]["name"] for item in answer.items} == {"a", "b"}
    assert [item["metadata"]["name"] for item in await server.client.items(CONFIG_MAP, server.namespace)] == ["c"]


@pytest.mark.asyncio
async def test_a_collection_in_a_dry_run_stays(server: Server) -> None:
    for name in ("a", "b"):
        await server.create(CONFIG_MAP, name, metadata={"labels": {"tier": "web"}})
    params = {"labelSelector": "tier=web", "dryRun": "All"}
    answer = await server.client.ask("DELETE", server.path(CONFIG_MAP), params=params)
    assert {item["metadata"]["name"] for item in answer.items} == {"a", "b"}
    assert not await gone(server, CONFIG_MAP, "a")
    assert not await gone(server, CONFIG_MAP, "b")


@pytest.mark.asyncio
async def test_what_is_held_is_only_marked_when_its_collection_is_deleted(server: Server) -> None:
    await server.create(WIDGET, "free", spec={"weight": 1})
    await server.create(WIDGET, "held", metadata={"finalizers": [FINALIZER]}, spec={"weight": 1})
    await server.client.ask("DELETE", server.path(WIDGET))
    assert await gone(server, WIDGET, "free")
    assert (await server.get(WIDGET, "held"))["metadata"]["deletionTimestamp"]
    await server.client.merge(WIDGET, server.namespace, "held", {"metadata": {"finalizers": None}})


@pytest.mark.asyncio
async def test_what_a_custom_object_owns_goes_with_it(server: Server) -> None:
    """As everything that is made for a Canary."""
    owner = await server.create(WIDGET, "owner", spec={"weight": 1})
    references = owned_by(owner, controller=True, blockOwnerDeletion=True)
    await server.create(CONFIG_MAP, "owned", metadata=references)
    await server.create(WIDGET, "too", metadata=references, spec={"weight": 1})
    await delete(server, WIDGET, "owner")
    for resource, name in ((CONFIG_MAP, "owned"), (WIDGET, "too")):
        await until(partial(gone, server, resource, name), f"{name} deleted", 60.0)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (
            {"propagationPolicy": "Sideways"},
            422,
            'propagationPolicy: Unsupported value: "Sideways": '
            'supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": False},
            422,
            'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
        ),
        ({"dryRun": ["Some"]}, 422, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        (
            {"gracePeriodSeconds": "soon"},
            400,
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        ({"preconditions": {"uid": 5}}, 400, "json: cannot unmarshal number into Go struct field "),
    ],
    ids=str,
)
@pytest.mark.asyncio
async def test_a_deletion_must_be_asked_for_properly(
    server: Server, options: Manifest, status: int, message: str
) -> None:
    await server.create(CONFIG_MAP, "a")
    answer = await delete(server, CONFIG_MAP, "a", options)
    assert answer.status == status, answer.body
    assert message in answer.message
    assert not await gone(server, CONFIG_MAP, "a")


@pytest.mark.asyncio
async def test_a_deployment_takes_its_replica_sets_along(server: Server) -> None:
    replica_sets = Resource("apps", "v1", "replicasets", "ReplicaSet")
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    await server.create(DEPLOYMENT, "d", spec=spec)
    await until(lambda: server.client.items(replica_sets, server.namespace), "a replica set made")

    await delete(server, DEPLOYMENT, "d")

    async def none() -> bool:
        return not await server.client.items(replica_sets, server.namespace)

    await until(none, "the replica set gone")


@pytest.mark.asyncio
async def test_a_namespace_takes_everything_along(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    await server.create(CONFIG_MAP, "a")
    answer = await server.client.ask("DELETE", f"/api/v1/namespaces/{server.namespace}")
    assert answer.body["status"]["phase"] == "Terminating"
    refused = await server.client.ask(
        "POST", server.path(CONFIG_MAP), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    )
    # Forbidden while it goes, NotFound once it has gone.
    assert refused.status in {403, 404}
    if refused.status == 403:
        assert "because it is being terminated" in refused.message
    where = f"/api/v1/namespaces/{server.namespace}"

    async def vanished() -> bool:
        return (await server.client.ask("GET", where)).status == 404

    await until(vanished, "the namespace gone", seconds=30)
    assert await server.client.items(WIDGET, server.namespace) == []
