"""Contract: what controllers and kubelets make of what was written."""

from __future__ import annotations

import pytest

from cluster.client import POD
from cluster.contract.servers import Server
from cluster.namespaces import until
from gradatim.ports.objects import DAEMON_SET, DEPLOYMENT, ENDPOINT_SLICE, SERVICE, Manifest, Resource

REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
LABELS = {"app": "shop"}


def spec(image: str = "shop:1", **more: object) -> Manifest:
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "shop", "image": image}]}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return {"selector": {"matchLabels": LABELS}, "template": template, **more}


async def rolled_out(server: Server, resource: Resource = DEPLOYMENT, name: str = "shop") -> Manifest | None:
    """The object once its controller has nothing left to do, as `kubectl rollout status` sees it."""
    seen = await server.get(resource, name)
    status = seen.get("status", {})
    if status.get("observedGeneration", 0) < seen["metadata"]["generation"]:
        return None
    if resource is DAEMON_SET:
        wanted = status["desiredNumberScheduled"]
        done = status.get("updatedNumberScheduled", 0) == wanted == status.get("numberAvailable", 0)
        return seen if done else None
    wanted = seen["spec"]["replicas"]
    numbers = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")]
    return seen if numbers == [wanted] * 4 else None


async def set_image(server: Server, image: str, resource: Resource = DEPLOYMENT) -> Manifest:
    containers = [{"name": "shop", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    return await server.client.merge(resource, server.namespace, "shop", patch)


@pytest.mark.asyncio
async def test_a_deployment_says_how_far_it_is(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=2))
    seen = await until(lambda: rolled_out(server), "rolled out")
    assert seen["status"]["observedGeneration"] == seen["metadata"]["generation"] == 1
    conditions = {one["type"]: (one["status"], one["reason"]) for one in seen["status"]["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert "unavailableReplicas" not in seen["status"]
    assert seen["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


@pytest.mark.asyncio
async def test_pods_belong_to_a_replica_set_named_by_the_hash_of_their_template(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=2))
    await until(lambda: rolled_out(server), "rolled out")
    (replica_set,) = await server.client.items(REPLICA_SET, server.namespace)
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"shop-{digest}"
    pods = await server.client.items(POD, server.namespace)
    assert len(pods) == 2
    for pod in pods:
        meta = pod["metadata"]
        assert meta["labels"] == {**LABELS, "pod-template-hash": digest}
        assert meta["ownerReferences"][0]["name"] == replica_set["metadata"]["name"]
        assert meta["name"].startswith(f"shop-{digest}-")
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["podIP"]


@pytest.mark.asyncio
async def test_a_new_template_is_a_new_revision_and_the_old_one_is_kept_at_zero(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=1))
    await until(lambda: rolled_out(server), "rolled out")
    await set_image(server, "shop:2")
    seen = await until(lambda: rolled_out(server), "the second revision rolled out")
    assert seen["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    sets = await server.client.items(REPLICA_SET, server.namespace)
    replicas = {one["spec"]["template"]["spec"]["containers"][0]["image"]: one["spec"]["replicas"] for one in sets}
    assert replicas == {"shop:1": 0, "shop:2": 1}
    # Back to the first template: its replica set is used again.
    await set_image(server, "shop:1")
    await until(lambda: rolled_out(server), "the first template rolled out again")
    assert len(await server.client.items(REPLICA_SET, server.namespace)) == 2


@pytest.mark.asyncio
async def test_scaling_is_not_a_new_revision(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=1))
    await until(lambda: rolled_out(server), "rolled out")
    await server.client.merge(DEPLOYMENT, server.namespace, "shop", {"spec": {"replicas": 0}})
    seen = await until(lambda: rolled_out(server), "scaled to zero")
    assert seen["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert len(await server.client.items(REPLICA_SET, server.namespace)) == 1
    conditions = {one["type"]: one["status"] for one in seen["status"]["conditions"]}
    assert conditions["Available"] == "True"


@pytest.mark.asyncio
async def test_a_deployment_that_never_gets_ready_says_so(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec("broken:1", replicas=1, progressDeadlineSeconds=1))

    async def given_up() -> Manifest | None:
        status = (await server.get(DEPLOYMENT, "shop")).get("status", {})
        conditions = {one["type"]: one for one in status.get("conditions", ())}
        exceeded = conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
        return {**status, "conditions": conditions} if exceeded else None

    status = await until(given_up, "the deadline exceeded")
    progressing = status["conditions"]["Progressing"]
    assert progressing["status"] == "False"
    assert progressing["message"].startswith('ReplicaSet "shop-')
    assert progressing["message"].endswith('" has timed out progressing.')
    assert status["conditions"]["Available"]["status"] == "False"
    assert status["unavailableReplicas"] == 1


@pytest.mark.asyncio
async def test_a_paused_deployment_does_not_roll(server: Server) -> None:
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=1))
    await until(lambda: rolled_out(server), "rolled out")
    await server.client.merge(DEPLOYMENT, server.namespace, "shop", {"spec": {"paused": True}})
    changed = await set_image(server, "shop:2")

    async def observed() -> bool:
        seen = await server.get(DEPLOYMENT, "shop")
        return bool(seen["status"]["observedGeneration"] == changed["metadata"]["generation"])

    await until(observed, "the change seen")
    seen = await server.get(DEPLOYMENT, "shop")
    assert seen["status"].get("updatedReplicas", 0) == 0
    assert len(await server.client.items(REPLICA_SET, server.namespace)) == 1


@pytest.mark.asyncio
async def test_a_service_finds_its_ready_pods(server: Server) -> None:
    await server.create(SERVICE, "shop", spec={"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]})
    await server.create(DEPLOYMENT, "shop", spec=spec(replicas=2))

    async def addresses() -> set[str] | None:
        slices = await server.client.items(
            ENDPOINT_SLICE, server.namespace, labelSelector="kubernetes.io/service-name=shop"
        )
        found = {
            address
            for one in slices
            for endpoint in one.get("endpoints") or ()
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        }
        return found if len(found) == 2 else None

    found = await until(addresses, "two endpoints")
    assert found == {pod["status"]["podIP"] for pod in await server.client.items(POD, server.namespace)}
    (slice_,) = await server.client.items(ENDPOINT_SLICE, server.namespace)
    assert slice_["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Service"

    await server.client.merge(DEPLOYMENT, server.namespace, "shop", {"spec": {"replicas": 0}})

    async def empty() -> bool:
        slices = await server.client.items(ENDPOINT_SLICE, server.namespace)
        return not any(one.get("endpoints") for one in slices)

    await until(empty, "no endpoints")


@pytest.mark.asyncio
async def test_a_daemon_set_has_a_pod_on_every_node_that_fits(server: Server) -> None:
    await server.create(DAEMON_SET, "shop", spec=spec())
    seen = await until(lambda: rolled_out(server, DAEMON_SET), "rolled out")
    wanted = seen["status"]["desiredNumberScheduled"]
    assert wanted > 0
    assert seen["status"]["currentNumberScheduled"] == seen["status"]["numberReady"] == wanted
    assert seen["status"]["numberMisscheduled"] == 0

    await server.client.merge(
        DAEMON_SET, server.namespace, "shop", {"spec": {"template": {"spec": {"nodeSelector": {"no-such": "node"}}}}}
    )

    async def nowhere() -> bool:
        now = await rolled_out(server, DAEMON_SET)
        return now is not None and now["status"]["desiredNumberScheduled"] == 0 == now["status"]["numberReady"]

    await until(nowhere, "no pods wanted")


@pytest.mark.asyncio
async def test_a_daemon_set_rolls_to_a_new_template(server: Server) -> None:
    await server.create(DAEMON_SET, "shop", spec=spec())
    await until(lambda: rolled_out(server, DAEMON_SET), "rolled out")
    await set_image(server, "shop:2", DAEMON_SET)
    await until(lambda: rolled_out(server, DAEMON_SET), "the second template rolled out")
    pods = await server.client.items(POD, server.namespace)
    running = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    assert {pod["spec"]["containers"][0]["image"] for pod in running} == {"shop:2"}
