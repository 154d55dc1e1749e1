"""What else the simulated cluster does by itself: endpoints, DaemonSets, autoscalers, the lives of pods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cluster_in_time import Cluster, cluster, deployment

from gradatim.ports.objects import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    SECRET,
    SERVICE,
    Manifest,
    Ref,
)
from gradatim.sim.builtin.catalogue import ENDPOINTS, NODE, POD
from gradatim.sim.controllers.pod_orders import environment

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]


def service(*ports: Manifest, name: str = "hello", **spec: Any) -> Manifest:
    """A Service for the pods of `hello`."""
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "hello"}, "ports": list(ports), **spec}}


def slices(world: Cluster) -> list[Manifest]:
    """All EndpointSlices."""
    return world.store.list(ENDPOINT_SLICE)


def conditions(world: Cluster) -> list[dict[str, bool]]:
    """The conditions of every endpoint."""
    return [endpoint["conditions"] for each in slices(world) for endpoint in each["endpoints"] or ()]


async def test_a_service_without_pods_has_an_empty_slice() -> None:
    async with cluster() as world:
        world.apply(SERVICE, service({"port": 80, "targetPort": 8080}))
        await asyncio.sleep(1)
        [only] = slices(world)
        assert not only["endpoints"]
        assert only["metadata"]["labels"]["kubernetes.io/service-name"] == "hello"
        assert only["ports"] is None


async def test_endpoints_follow_readiness_and_carry_the_names_of_the_services_ports() -> None:
    async with cluster(ready_after=2.0) as world:
        world.apply(DEPLOYMENT, deployment(replicas=2))
        world.apply(SERVICE, service({"name": "web", "port": 80, "targetPort": 5000}, {"name": "m", "port": 9090}))
        await asyncio.sleep(1)
        assert conditions(world) == [{"ready": False, "serving": False, "terminating": False}] * 2
        assert "notReadyAddresses" in world.store.get(Ref(ENDPOINTS, "test", "hello"))["subsets"][0]
        await asyncio.sleep(2)
        assert conditions(world) == [{"ready": True, "serving": True, "terminating": False}] * 2
        [only] = slices(world)
        assert [(port["name"], port["port"]) for port in only["ports"]] == [("web", 5000), ("m", 9090)]
        addresses = {address for endpoint in only["endpoints"] for address in endpoint["addresses"]}
        assert addresses == {pod["status"]["podIP"] for pod in world.pods()}
        [subset] = world.store.get(Ref(ENDPOINTS, "test", "hello"))["subsets"]
        assert {address["ip"] for address in subset["addresses"]} == addresses


async def test_a_named_target_port_is_looked_up_in_each_pod() -> None:
    """Pods that name it differently come in slices of their own."""
    async with cluster() as world:
        for name, number in (("old", 8080), ("new", 9090)):
            made = deployment(name, replicas=1)
            made["spec"]["selector"]["matchLabels"] = {"app": "hello", "track": name}
            made["spec"]["template"]["metadata"]["labels"] = {"app": "hello", "track": name}
            made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": number}]
            world.apply(DEPLOYMENT, made)
        world.apply(SERVICE, service({"port": 80, "targetPort": "http"}))
        await asyncio.sleep(2)
        assert sorted((each["ports"][0]["port"], len(each["endpoints"])) for each in slices(world)) == [
            (8080, 1),
            (9090, 1),
        ]


async def test_a_pod_that_ends_leaves_its_endpoint_first_and_keeps_its_grace() -> None:
    async with cluster(stop_after=5.0) as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=1))
        world.apply(SERVICE, service({"port": 80}))
        await asyncio.sleep(2)
        world.scale(ref, 0)
        await asyncio.sleep(1)
        assert conditions(world) == [{"ready": False, "serving": False, "terminating": True}]
        assert (
            "subsets" not in world.store.get(Ref(ENDPOINTS, "test", "hello"))
            or not world.store.get(Ref(ENDPOINTS, "test", "hello"))["subsets"]
        )
        assert len(world.pods()) == 1
        await asyncio.sleep(5)
        assert world.pods() == []
        assert conditions(world) == []


async def test_a_grace_period_shorter_than_the_end_takes_cuts_it() -> None:
    async with cluster(stop_after=60.0) as world:
        made = deployment(replicas=1)
        made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 3
        ref = world.apply(DEPLOYMENT, made)
        await asyncio.sleep(2)
        world.scale(ref, 0)
        await asyncio.sleep(2.5)
        assert len(world.pods()) == 1
        await asyncio.sleep(1)
        assert world.pods() == []


async def test_a_service_that_goes_away_takes_its_endpoints_along() -> None:
    async with cluster() as world:
        world.apply(DEPLOYMENT, deployment(replicas=1))
        ref = world.apply(SERVICE, service({"port": 80}))
        await asyncio.sleep(2)
        world.store.delete(ref)
        await asyncio.sleep(1)
        assert slices(world) == []
        assert world.store.list(ENDPOINTS) == []


async def test_a_service_that_selects_others_moves_its_endpoints() -> None:
    """As at a promotion, when the apex Service turns to the primary."""
    async with cluster() as world:
        world.apply(DEPLOYMENT, deployment(replicas=2))
        world.apply(DEPLOYMENT, deployment("hello-primary", replicas=3))
        ref = world.apply(SERVICE, service({"port": 80}))
        await asyncio.sleep(2)
        name = slices(world)[0]["metadata"]["name"]
        world.change(ref, lambda obj: obj["spec"].update(selector={"app": "hello-primary"}))
        await asyncio.sleep(1)
        [only] = slices(world)
        assert len(only["endpoints"]) == 3
        assert only["metadata"]["name"] == name, "the slice is changed, not replaced"


async def test_a_daemon_set_runs_one_pod_on_each_fitting_node_and_replaces_them_one_by_one() -> None:
    async with cluster() as world:
        made = deployment("agent")
        ref = world.apply(
            DAEMON_SET, {"metadata": {"name": "agent"}, "spec": {k: made["spec"][k] for k in ("selector", "template")}}
        )
        await asyncio.sleep(2)
        assert sorted(pod["spec"]["nodeName"] for pod in world.pods()) == ["node-1", "node-2"]
        assert world.status(ref) == {
            "currentNumberScheduled": 2, "numberMisscheduled": 0, "desiredNumberScheduled": 2, "numberReady": 2,
            "observedGeneration": 1, "updatedNumberScheduled": 2, "numberAvailable": 2,
        }  # fmt: skip
        world.set_image(ref, "hello:v2")
        fewest = 2
        for _ in range(40):
            await asyncio.sleep(0.1)
            fewest = min(fewest, world.status(ref)["numberReady"])
        assert fewest == 1
        assert {pod["spec"]["containers"][0]["image"] for pod in world.pods()} == {"hello:v2"}
        assert world.status(ref)["updatedNumberScheduled"] == 2


async def test_a_daemon_set_whose_selector_fits_no_node_has_no_pods() -> None:
    """The way a DaemonSet is scaled to zero."""
    async with cluster() as world:
        made = deployment("agent")
        ref = world.apply(
            DAEMON_SET, {"metadata": {"name": "agent"}, "spec": {k: made["spec"][k] for k in ("selector", "template")}}
        )
        await asyncio.sleep(2)
        world.change(ref, lambda obj: obj["spec"]["template"]["spec"].update(nodeSelector={"nobody": "true"}))
        await asyncio.sleep(2)
        assert world.pods() == []
        assert world.status(ref)["desiredNumberScheduled"] == 0
        world.change(ref, lambda obj: obj["spec"]["template"]["spec"].pop("nodeSelector"))
        await asyncio.sleep(2)
        assert len(world.pods()) == 2


async def test_a_node_that_is_added_gets_its_share() -> None:
    async with cluster() as world:
        made = deployment("agent")
        world.apply(
            DAEMON_SET, {"metadata": {"name": "agent"}, "spec": {k: made["spec"][k] for k in ("selector", "template")}}
        )
        await asyncio.sleep(2)
        world.apply(NODE, {"metadata": {"name": "node-3"}, "spec": {}})
        await asyncio.sleep(2)
        assert len(world.pods()) == 3


async def test_an_autoscaler_keeps_its_target_within_bounds_and_rests_at_zero() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=1))
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello"}
        spec = {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": target}
        scaler = world.apply(HORIZONTAL_POD_AUTOSCALER, {"metadata": {"name": "hello"}, "spec": spec})
        await asyncio.sleep(2)
        assert world.status(ref)["replicas"] == 2
        assert (world.status(scaler)["currentReplicas"], world.status(scaler)["desiredReplicas"]) == (2, 2)
        world.scale(ref, 9)
        await asyncio.sleep(2)
        assert world.status(ref)["replicas"] == 4
        world.scale(ref, 0)
        await asyncio.sleep(2)
        assert world.pods() == []
        assert world.conditions(scaler)["ScalingActive"] == ("False", "ScalingDisabled")


async def test_a_pods_environment_is_put_together_from_everywhere() -> None:
    async with cluster() as world:
        world.apply(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {"COLOR": "red", "SIZE": "9"}})
        world.apply(SECRET, {"metadata": {"name": "secrets"}, "data": {"TOKEN": "YWJj"}})
        made = deployment(replicas=1)
        container = made["spec"]["template"]["spec"]["containers"][0]
        container["envFrom"] = [
            {"configMapRef": {"name": "settings"}, "prefix": "APP_"},
            {"secretRef": {"name": "secrets"}},
            {"configMapRef": {"name": "nowhere", "optional": True}},
        ]
        container["env"] = [
            {"name": "TOKEN", "value": "mine"},
            {"name": "SIZE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "SIZE"}}},
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ]
        world.apply(DEPLOYMENT, made)
        await asyncio.sleep(2)
        [pod] = world.pods()
        assert environment(world.store, pod, pod["spec"]["containers"][0], "10.0.0.9") == {
            "APP_COLOR": "red", "APP_SIZE": "9", "TOKEN": "mine", "SIZE": "9", "ADDRESS": "10.0.0.9", "APP": "hello",
        }  # fmt: skip


async def test_a_pod_waits_for_its_config_map_and_says_so() -> None:
    async with cluster() as world:
        made = deployment(replicas=1)
        made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
        ref = world.apply(DEPLOYMENT, made)
        await asyncio.sleep(2)
        [pod] = world.pods()
        waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
        world.apply(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {}})
        await asyncio.sleep(2)
        assert world.status(ref)["availableReplicas"] == 1


async def test_a_bare_pod_runs_and_ends() -> None:
    async with cluster() as world:
        containers = [{"name": "app", "image": "hello:v1"}]
        ref = world.apply(POD, {"metadata": {"name": "lonely", "labels": {}}, "spec": {"containers": containers}})
        await asyncio.sleep(2)
        status = world.status(ref)
        assert status["phase"] == "Running"
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True",
            "ContainersReady": "True", "PodScheduled": "True",
        }  # fmt: skip
        world.store.delete(ref)
        await asyncio.sleep(2)
        assert world.store.find(ref) is None
