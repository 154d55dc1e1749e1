"""Deployments of the simulated cluster move as the real controller's do, on virtual time."""

from __future__ import annotations

import asyncio

import pytest
from cluster_in_time import Cluster, cluster, deployment, rolling

from gradatim.ports.objects import DEPLOYMENT, Ref
from gradatim.sim.builtin.catalogue import POD, REPLICA_SET
from gradatim.sim.history import Event

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]


class Watcher:
    """Remembers how bad it got: most pods at once, fewest ready ones, and every reason of Progressing."""

    def __init__(self, world: Cluster, ref: Ref) -> None:
        self.world, self.ref = world, ref
        self.most, self.least = 0, 10**6
        self.reasons: list[tuple[str, str]] = []
        world.store.subscribe(self.notice)

    def notice(self, event: Event) -> None:
        if event.ref.resource.qualified in (POD.qualified, REPLICA_SET.qualified):
            pods = [pod for pod in self.world.pods() if "deletionTimestamp" not in pod["metadata"]]
            conditions = [c for pod in pods for c in pod.get("status", {}).get("conditions", ())]
            ready = sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            self.most, self.least = max(self.most, len(pods)), min(self.least, ready)
        progressing = self.world.conditions(self.ref).get("Progressing") if event.ref == self.ref else None
        if progressing and (not self.reasons or self.reasons[-1] != progressing):
            self.reasons.append(progressing)


async def test_a_new_deployment_gets_its_pods_and_tells_how_it_got_on() -> None:
    async with cluster(ready_after=0.5) as world:
        ref = Ref(DEPLOYMENT, "test", "hello")
        reasons: list[str] = []

        def note(event: Event) -> None:
            if event.ref == ref:
                found = [c["reason"] for c in event.object.get("status", {}).get("conditions", ())]
                reasons.extend(reason for reason in found if reason not in reasons)

        world.store.subscribe(note)
        world.apply(DEPLOYMENT, deployment(replicas=3))
        await asyncio.sleep(0.4)
        status = world.status(ref)
        assert (status["replicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (3, 3, 3)
        assert "readyReplicas" not in status
        assert world.conditions(ref)["Available"] == ("False", "MinimumReplicasUnavailable")
        await asyncio.sleep(0.2)
        status = world.status(ref)
        assert {key: value for key, value in status.items() if key != "conditions"} == {
            "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "terminatingReplicas": 0,
        }  # fmt: skip
        assert world.conditions(ref) == {
            "Progressing": ("True", "NewReplicaSetAvailable"),
            "Available": ("True", "MinimumReplicasAvailable"),
        }
        assert reasons == [
            "NewReplicaSetCreated", "MinimumReplicasUnavailable", "ReplicaSetUpdated",
            "MinimumReplicasAvailable", "NewReplicaSetAvailable",
        ]  # fmt: skip
        [replica_set] = world.store.list(REPLICA_SET)
        mark = replica_set["metadata"]["labels"]["pod-template-hash"]
        assert replica_set["metadata"]["name"] == f"hello-{mark}"
        assert replica_set["metadata"]["annotations"] == {
            "example.com/team": "a",
            "deployment.kubernetes.io/revision": "1",
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        }
        assert world.store.get(ref)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        assert {pod["metadata"]["labels"]["pod-template-hash"] for pod in world.pods(app="hello")} == {mark}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        (3, 1, 0, 4, 3),
        (4, "25%", "25%", 5, 3),
        (4, 0, 1, 4, 3),
        (2, 0, "25%", 2, 1),
        (10, "50%", 0, 15, 10),
        (1, 1, 0, 2, 1),
    ],
)
async def test_a_rolling_update_keeps_within_surge_and_unavailable(
    replicas: int, surge: int | str, unavailable: int | str, most: int, least: int
) -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=replicas, strategy=rolling(surge, unavailable)))
        await asyncio.sleep(5)
        watcher = Watcher(world, ref)
        world.set_image(ref, "hello:v2")
        await asyncio.sleep(30)
        assert (watcher.most, watcher.least) == (most, least)
        assert world.sizes() == [0, replicas]
        assert {pod["spec"]["containers"][0]["image"] for pod in world.pods()} == {"hello:v2"}
        assert [reason for _, reason in watcher.reasons] == [
            "NewReplicaSetAvailable", "NewReplicaSetCreated", "ReplicaSetUpdated", "NewReplicaSetAvailable",
        ]  # fmt: skip


async def test_recreate_ends_all_old_pods_before_the_first_new_one() -> None:
    async with cluster(stop_after=3.0) as world:
        ref = world.apply(DEPLOYMENT, deployment(strategy={"type": "Recreate"}))
        await asyncio.sleep(2)
        world.set_image(ref, "hello:v2")
        await asyncio.sleep(2)
        assert len(world.pods()) == 3
        assert all("deletionTimestamp" in pod["metadata"] for pod in world.pods())
        await asyncio.sleep(3)
        assert {pod["spec"]["containers"][0]["image"] for pod in world.pods()} == {"hello:v2"}
        assert world.sizes() == [0, 3]
        assert world.conditions(ref)["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_a_revision_that_never_gets_ready_runs_out_of_time_and_hurts_nobody() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(progressDeadlineSeconds=60))
        await asyncio.sleep(2)
        world.set_image(ref, "registry.example.com/broken:2")
        await asyncio.sleep(59)
        assert world.conditions(ref)["Progressing"] == ("True", "ReplicaSetUpdated")
        await asyncio.sleep(5)
        assert world.conditions(ref) == {
            "Progressing": ("False", "ProgressDeadlineExceeded"),
            "Available": ("True", "MinimumReplicasAvailable"),
        }
        assert world.status(ref)["availableReplicas"] == 3
        message = next(c["message"] for c in world.status(ref)["conditions"] if c["type"] == "Progressing")
        assert message.endswith("has timed out progressing.")
        world.set_image(ref, "hello:v1")
        await asyncio.sleep(2)
        assert world.conditions(ref)["Progressing"] == ("True", "NewReplicaSetAvailable")
        assert world.sizes() == [0, 3], "the first ReplicaSet is taken again, as the newest revision"
        newest = max(world.store.list(REPLICA_SET), key=lambda each: each["spec"]["replicas"])
        assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_min_ready_seconds_delay_availability_not_readiness() -> None:
    async with cluster(ready_after=1.0) as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=2, minReadySeconds=10))
        await asyncio.sleep(5)
        assert world.status(ref)["readyReplicas"] == 2
        assert "availableReplicas" not in world.status(ref)
        await asyncio.sleep(7)
        assert world.status(ref)["availableReplicas"] == 2


async def test_scaling_to_zero_and_back_is_no_rollout() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment())
        await asyncio.sleep(2)
        world.scale(ref, 0)
        await asyncio.sleep(2)
        assert world.pods() == []
        status = world.status(ref)
        assert {key: value for key, value in status.items() if key != "conditions"} == {
            "observedGeneration": 2, "terminatingReplicas": 0,
        }  # fmt: skip
        assert world.conditions(ref)["Available"] == ("True", "MinimumReplicasAvailable")
        world.scale(ref, 2)
        await asyncio.sleep(2)
        assert world.status(ref)["availableReplicas"] == 2
        assert world.sizes() == [2]
        assert world.store.get(ref)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


async def test_scaling_in_the_middle_of_an_update_spreads_over_both_revisions() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=10, strategy=rolling(3, 2)))
        await asyncio.sleep(2)
        world.set_image(ref, "broken:2")
        await asyncio.sleep(5)
        assert world.sizes() == [8, 5]
        world.scale(ref, 15)
        await asyncio.sleep(5)
        assert world.sizes() == [11, 7]
        assert sum(world.sizes()) == 15 + 3


async def test_a_paused_deployment_waits_but_can_be_scaled() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment())
        await asyncio.sleep(2)
        world.change(ref, lambda obj: obj["spec"].update(paused=True))
        world.set_image(ref, "hello:v2")
        world.scale(ref, 5)
        await asyncio.sleep(2)
        assert world.sizes() == [5]
        assert world.conditions(ref)["Progressing"] == ("Unknown", "DeploymentPaused")
        world.change(ref, lambda obj: obj["spec"].update(paused=False))
        await asyncio.sleep(10)
        assert world.sizes() == [0, 5]
        assert world.conditions(ref)["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_old_replica_sets_are_kept_up_to_the_history_limit() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=1, revisionHistoryLimit=2))
        for version in range(2, 7):
            await asyncio.sleep(5)
            world.set_image(ref, f"hello:v{version}")
        await asyncio.sleep(5)
        revisions = {
            int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
            for each in world.store.list(REPLICA_SET)
        }
        assert revisions == {4, 5, 6}


async def test_a_pod_that_is_deleted_is_replaced() -> None:
    async with cluster() as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=2))
        await asyncio.sleep(2)
        victim = world.pods()[0]["metadata"]["name"]
        world.store.delete(Ref(POD, "test", victim))
        await asyncio.sleep(2)
        assert len(world.pods()) == 2
        assert victim not in {pod["metadata"]["name"] for pod in world.pods()}
        assert world.status(ref)["availableReplicas"] == 2


async def test_deleting_a_deployment_ends_its_pods_and_orphans_are_adopted() -> None:
    async with cluster(stop_after=2.0) as world:
        ref = world.apply(DEPLOYMENT, deployment(replicas=2))
        await asyncio.sleep(2)
        names = {pod["metadata"]["name"] for pod in world.pods()}
        world.store.delete(ref, policy="Orphan")
        await asyncio.sleep(2)
        assert world.store.find(ref) is None
        assert {pod["metadata"]["name"] for pod in world.pods()} == names
        world.apply(DEPLOYMENT, deployment(replicas=2))
        await asyncio.sleep(2)
        assert {pod["metadata"]["name"] for pod in world.pods()} == names, "taken over, not made anew"
        world.store.delete(ref)
        await asyncio.sleep(1)
        assert all("deletionTimestamp" in pod["metadata"] for pod in world.pods())
        await asyncio.sleep(2)
        assert world.pods() == []
        assert world.store.list(REPLICA_SET) == []


async def test_pods_are_spread_over_the_nodes_and_those_nobody_fits_say_so() -> None:
    async with cluster() as world:
        world.apply(DEPLOYMENT, deployment(replicas=4))
        picky = deployment("picky", replicas=1)
        picky["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
        world.apply(DEPLOYMENT, picky)
        await asyncio.sleep(2)
        nodes = sorted(pod["spec"]["nodeName"] for pod in world.pods(app="hello"))
        assert nodes == ["node-1", "node-1", "node-2", "node-2"]
        [pod] = world.pods(app="picky")
        assert pod["status"]["phase"] == "Pending"
        assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"


async def test_the_same_events_give_the_same_history() -> None:
    """Two runs on virtual time write the same objects in the same order."""

    async def run() -> list[str]:
        async with cluster() as world:
            written: list[str] = []
            world.store.subscribe(lambda event: written.append(f"{event.type} {event.ref}"))
            ref = world.apply(DEPLOYMENT, deployment())
            await asyncio.sleep(3)
            world.set_image(ref, "hello:v2")
            await asyncio.sleep(10)
            return written

    assert await run() == await run()
