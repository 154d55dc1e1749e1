"""What workloads and scalers write is what a real API server takes, and gives back without a difference."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
import vector_objects as vectors

from cluster.client import Client, path
from gradatim.api.canary import Canary
from gradatim.api.decode import decode_canary
from gradatim.core.readiness import Ready
from gradatim.core.settings import Settings
from gradatim.engine.differences import merge_patch
from gradatim.ports.objects import (
    CANARY,
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    KNATIVE_REVISION,
    KNATIVE_SERVICE,
    SECRET,
    SERVICE,
    Manifest,
    Ref,
    Resource,
)
from gradatim.ports.scene import Scene
from gradatim.ports.workload import Patch, Workload
from gradatim.providers.scalers import hpa
from gradatim.providers.workloads import daemonset, deployment, knative, service

POD_SPEC: Manifest = {
    "terminationGracePeriodSeconds": 0,
    "containers": [
        {"name": "shop", "image": "shop:1", "envFrom": [{"configMapRef": {"name": "shop-config"}}]},
    ],
    "volumes": [{"name": "secret", "secret": {"secretName": "shop-secret"}}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "shop"}}}
            ]
        }
    },
}
PORTS = [
    {"name": "http", "port": 80, "targetPort": 8080},
    {"name": "dns", "port": 53, "protocol": "UDP"},
    {"name": "dns-tcp", "port": 53},
]
Begin = Callable[..., Awaitable["World"]]

SERVICES: dict[str, Manifest] = {
    "inside": {"ports": PORTS, "selector": {"app": "shop"}},
    "headless": {"ports": PORTS, "clusterIP": "None", "selector": {"app": "shop"}},
    "on nodes": {"ports": PORTS, "type": "NodePort", "externalIPs": ["192.0.2.1"], "selector": {"app": "shop"}},
    "balanced": {
        "ports": PORTS,
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "loadBalancerIP": "192.0.2.2",
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "selector": {"app": "shop"},
    },
    "elsewhere": {"type": "ExternalName", "externalName": "example.com"},
}


class World:
    """One provider at work in one namespace of a real cluster."""

    def __init__(self, admin: Client, namespace: str, canary: Canary) -> None:
        self.admin, self.namespace, self.canary = admin, namespace, canary

    async def see(self, refs: Iterable[Ref]) -> dict[Ref, Manifest | None]:
        return {ref: await self.admin.find(ref.resource, ref.namespace, ref.name) for ref in refs}

    async def look(self, workload: Workload) -> tuple[Scene, dict[Ref, Manifest | None]]:
        seen: dict[Ref, Manifest | None] = {}
        while new := set(workload.reads(self.canary, Settings(), seen)) - seen.keys():
            seen |= await self.see(new)
        facts = workload.facts(self.canary, Settings(), seen)
        return Scene(self.canary, Settings(), facts.label, facts.value), seen

    async def write(self, manifests: Iterable[Manifest]) -> None:
        """Create what has no version yet, replace what has; the server's refusal fails the test."""
        for manifest in manifests:
            resource = vectors.ref(manifest).resource
            if manifest["metadata"].pop("resourceVersion", None):  # a controller may have written since
                where = path(resource, self.namespace, manifest["metadata"]["name"])
                await self.admin.must("PUT", where, manifest)
            else:
                await self.admin.create(resource, self.namespace, manifest)

    async def patch(self, patch: Patch | None) -> None:
        assert patch is not None
        await self.admin.merge(patch.ref.resource, self.namespace, patch.ref.name, patch.body)

    async def make(self, resource: Resource, name: str, **parts: Any) -> None:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, **parts}
        await self.admin.create(resource, self.namespace, body)


@pytest.fixture
def begin(admin: Client, namespace: str) -> Begin:
    """Makes a Canary with a target of a kind, so that the garbage collector finds the owner of what is written.

    Where Canaries are not defined (404), it does not look for one.
    """

    async def canary(kind: str, version: str = "", **leaves: Any) -> World:
        version = version or ("v1" if kind == "Service" else "apps/v1")
        manifest = vectors.canary_manifest(kind, version, {"metadata.namespace": namespace, **leaves})
        del manifest["metadata"]["uid"]
        made = await admin.ask("POST", path(CANARY, namespace), manifest)
        assert made.ok or made.status == 404, made.message
        live = made.body if made.ok else vectors.changed(manifest, {"metadata.uid": "2f6d3f4e"})
        return World(admin, namespace, decode_canary(live))

    return canary


@pytest.mark.asyncio
@pytest.mark.parametrize("sort", SERVICES)
async def test_clones_of_every_sort_of_service_are_taken(sort: str, begin: Begin) -> None:
    """Created, found to be right, brought up to date, promoted: each step by a write that the server accepts."""
    world, workload = await begin("Service"), service.KINDS[0].workload
    await world.make(SERVICE, "shop", spec=copy.deepcopy(SERVICES[sort]))

    scene, seen = await world.look(workload)
    await world.write(workload.create(scene, seen, vectors.TOKEN))
    scene, seen = await world.look(workload)
    assert list(workload.create(scene, seen, vectors.TOKEN)) == []

    await world.admin.merge(SERVICE, world.namespace, "shop", {"spec": {"selector": {"app": "shop", "version": "2"}}})
    scene, seen = await world.look(workload)
    (refreshed,) = workload.create(scene, seen, vectors.TOKEN)
    await world.write([refreshed])
    await world.write(workload.promote(scene, seen, vectors.TOKEN))

    scene, seen = await world.look(workload)
    assert list(workload.create(scene, seen, vectors.TOKEN)) == []
    (again,) = workload.promote(scene, seen, vectors.TOKEN)
    assert again == seen[vectors.ref(again)]


@pytest.mark.asyncio
async def test_clones_follow_a_service_that_changes_its_type(begin: Begin) -> None:
    """From a load balancer to an inner one: what was allotted for the old type is given back."""
    world, workload = await begin("Service"), service.KINDS[0].workload
    await world.make(SERVICE, "shop", spec=copy.deepcopy(SERVICES["balanced"]))
    await world.write(workload.create(*await world.look(workload), vectors.TOKEN))
    inside = {
        "type": "ClusterIP",
        "externalTrafficPolicy": None,
        "loadBalancerClass": None,
        "loadBalancerIP": None,
        "loadBalancerSourceRanges": None,
        "allocateLoadBalancerNodePorts": None,
        "ports": PORTS,
    }
    await world.admin.merge(SERVICE, world.namespace, "shop", {"spec": inside})
    scene, seen = await world.look(workload)
    await world.write(workload.create(scene, seen, vectors.TOKEN))
    await world.write(workload.promote(scene, seen, vectors.TOKEN))
    scene, seen = await world.look(workload)
    assert list(workload.create(scene, seen, vectors.TOKEN)) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("resource", [DEPLOYMENT, DAEMON_SET], ids=lambda resource: resource.kind)
async def test_a_primary_is_taken_and_its_promotion_changes_the_rollout_id_only(
    resource: Resource, begin: Begin
) -> None:
    """What the server fills in is the same in the target and in the primary, so nothing else differs."""
    world = await begin(resource.kind)
    workload = (deployment if resource == DEPLOYMENT else daemonset).KINDS[0].workload
    await _stock(world, resource)
    await world.write(workload.create(*await world.look(workload), "first"))

    scene, seen = await world.look(workload)
    assert list(workload.create(scene, seen, "second")) == []
    (promoted,) = workload.promote(scene, seen, "second")
    live = copy.deepcopy(seen[vectors.ref(promoted)])
    assert live is not None
    assert promoted == vectors.changed(live, {"spec.template.metadata.annotations[flagger-id]": "second"})
    await world.write([promoted])


@pytest.mark.asyncio
@pytest.mark.parametrize("resource", [DEPLOYMENT, DAEMON_SET], ids=lambda resource: resource.kind)
async def test_stopping_and_starting_a_target_is_no_new_revision(resource: Resource, begin: Begin) -> None:
    """Only the one field of ours comes and goes."""
    world = await begin(resource.kind)
    workload = (deployment if resource == DEPLOYMENT else daemonset).KINDS[0].workload
    await _stock(world, resource)
    scene, seen = await world.look(workload)
    before = workload.facts(world.canary, Settings(), seen)

    await world.patch(workload.stop(scene, seen))
    scene, seen = await world.look(workload)
    stopped = workload.facts(world.canary, Settings(), seen)
    assert (stopped.revision, stopped.running) == (before.revision, False)
    assert workload.stop(scene, seen) is None

    await world.patch(workload.start(scene, seen, None))
    scene, seen = await world.look(workload)
    assert workload.facts(world.canary, Settings(), seen) == before
    assert workload.start(scene, seen, None) is None


@pytest.mark.asyncio
async def test_a_copy_that_the_server_would_not_change_is_not_sent(begin: Begin) -> None:
    """An immutable copy whose source was made anew is refused with the way out, which works."""
    world, workload = await begin("Deployment"), deployment.KINDS[0].workload
    admin, namespace = world.admin, world.namespace
    await _stock(world, DEPLOYMENT, immutable=True)
    await world.write(workload.create(*await world.look(workload), "first"))
    await admin.delete(CONFIG_MAP, namespace, "shop-config")
    await world.make(CONFIG_MAP, "shop-config", data={"greeting": "hi"}, immutable=True)
    scene, seen = await world.look(workload)
    with pytest.raises(Exception, match=r"is immutable and cannot follow .* delete shop-config-primary"):
        list(workload.promote(scene, seen, "second"))
    await admin.delete(CONFIG_MAP, namespace, "shop-config-primary")
    await world.write(workload.promote(*await world.look(workload), "second"))
    assert (await admin.get(CONFIG_MAP, namespace, "shop-config-primary"))["data"] == {"greeting": "hi"}


@pytest.mark.asyncio
async def test_the_primarys_scaler_is_taken_and_settles(begin: Begin) -> None:
    """What the server fills in does not look like a change of the user's scaler."""
    reference = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "name": "shop",
        "primaryScalerReplicas": {"maxReplicas": 9},
    }
    world = await begin("Deployment", **{"spec.autoscalerRef": reference})
    admin, namespace = world.admin, world.namespace
    scaler, resource = hpa.KINDS[0].scaler, hpa.KINDS[0].writes[0]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    await world.make(resource, "shop", spec={"scaleTargetRef": target, "maxReplicas": 3})
    scene = Scene(world.canary, Settings(), "app", "shop")
    await world.write(scaler.ensure(scene, await world.see(scaler.reads(world.canary)), update=False))
    assert list(scaler.ensure(scene, await world.see(scaler.reads(world.canary)), update=True)) == []
    await admin.merge(resource, namespace, "shop", {"spec": {"minReplicas": 2}})
    await world.write(scaler.ensure(scene, await world.see(scaler.reads(world.canary)), update=True))
    assert (await admin.get(resource, namespace, "shop-primary"))["spec"]["minReplicas"] == 2


@pytest.mark.asyncio
async def test_a_knative_service_is_taken_over_and_promoted(crds: Callable[..., None], begin: Begin) -> None:
    """By Knative's own schema; here the test is the controller that names revisions and says that they are ready."""
    crds("own", "knative")
    world = await begin("Service", KNATIVE_SERVICE.api_version, **{"spec.provider": "knative"})
    workload = knative.KINDS[0].workload
    await world.make(KNATIVE_SERVICE, "shop", spec={"template": {"spec": {"containers": [{"image": "shop:1"}]}}})

    async def created(revision: str) -> None:
        await world.make(KNATIVE_REVISION, revision, spec={"containers": [{"image": "shop:1"}]})
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        await world.admin.merge(KNATIVE_REVISION, world.namespace, revision, {"status": ready}, "status")
        latest = {"latestCreatedRevisionName": revision}
        await world.admin.merge(KNATIVE_SERVICE, world.namespace, "shop", {"status": latest}, "status")

    async def write(wanted: Callable[..., Iterable[Manifest]]) -> None:
        scene, seen = await world.look(workload)
        (manifest,) = wanted(scene, seen, vectors.TOKEN)
        patch = merge_patch(seen[workload.target(world.canary)] or {}, manifest)
        await world.admin.merge(KNATIVE_SERVICE, world.namespace, "shop", patch)

    async def primary_and_traffic() -> tuple[str, list[Manifest]]:
        live = await world.admin.get(KNATIVE_SERVICE, world.namespace, "shop")
        return live["metadata"]["annotations"]["flagger.app/primary-revision"], live["spec"]["traffic"]

    await created("shop-00001")
    await write(workload.create)
    traffic = [{"latestRevision": True, "percent": 0}, {"percent": 100, "revisionName": "shop-00001"}]
    assert await primary_and_traffic() == ("shop-00001", traffic)
    assert list(workload.create(*await world.look(workload), vectors.TOKEN)) == []
    assert isinstance(workload.ready(*await world.look(workload), primary=True, now=0.0, since=0.0), Ready)

    await created("shop-00002")
    await write(workload.promote)
    assert await primary_and_traffic() == ("shop-00002", traffic)


async def _stock(world: World, resource: Resource, *, immutable: bool = False) -> None:
    """A target and the configs it refers to."""
    data = {"greeting": "hello"}
    await world.make(CONFIG_MAP, "shop-config", data=data, binaryData={"logo": "AAEC"}, immutable=immutable)
    await world.make(SECRET, "shop-secret", stringData={"token": "abc"})
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": copy.deepcopy(POD_SPEC)}
    await world.make(resource, "shop", spec={"selector": {"matchLabels": {"app": "shop"}}, "template": template})
