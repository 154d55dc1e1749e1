"""ReplicaSets: as many pods as asked for, and a status that counts them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim.builtin.catalogue import POD, REPLICA_SET
from gradatim.sim.controllers.belonging import (
    available_in,
    concerned_owners,
    condition,
    is_active,
    is_terminating,
    is_true,
    labels_of,
    owner_reference,
    possessions,
    ref_of,
    set_status,
)
from gradatim.sim.controllers.rollout import replicas_of
from gradatim.sim.history import Event
from gradatim.sim.store import Store


class ReplicaSets:
    """The ReplicaSet controller."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All ReplicaSets."""
        return [ref_of(REPLICA_SET, obj) for obj in self.store.scan(REPLICA_SET)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A ReplicaSet itself, or the owner of a pod."""
        return concerned_owners(event, REPLICA_SET, POD)

    def sync(self, ref: Ref) -> float | None:
        """Make or delete pods, then count."""
        replica_set = self.store.peek(ref)
        if replica_set is None:
            return None
        pods = possessions(self.store, REPLICA_SET, replica_set, POD)
        active = [pod for pod in pods if is_active(pod)]
        if "deletionTimestamp" not in replica_set["metadata"] and len(active) != replicas_of(replica_set):
            self._adjust(replica_set, active)
            pods = possessions(self.store, REPLICA_SET, replica_set, POD)
        return self._report(ref, replica_set, pods)

    def _adjust(self, replica_set: Manifest, active: Sequence[Manifest]) -> None:
        missing = replicas_of(replica_set) - len(active)
        for _ in range(missing):
            pod = pod_from(REPLICA_SET, replica_set)
            self.store.create(Ref(POD, replica_set["metadata"]["namespace"], ""), pod)
        for pod in sorted(active, key=deletion_order)[: max(0, -missing)]:
            self.store.delete(ref_of(POD, pod))

    def _report(self, ref: Ref, replica_set: Manifest, pods: Sequence[Manifest]) -> float | None:
        active = [pod for pod in pods if is_active(pod)]
        min_ready = int(replica_set["spec"].get("minReadySeconds") or 0)
        waits = [available_in(pod, min_ready, self.store.now()) for pod in active]
        template = replica_set["spec"]["template"].get("metadata") or {}
        wanted_labels = (template.get("labels") or {}).items()
        status: Manifest = {
            "replicas": len(active),
            "observedGeneration": replica_set["metadata"].get("generation", 1),
            "terminatingReplicas": sum(is_terminating(pod) for pod in pods),
        }
        numbers = {
            "fullyLabeledReplicas": sum(wanted_labels <= labels_of(pod).items() for pod in active),
            "readyReplicas": sum(wait is not None for wait in waits),
            "availableReplicas": sum(wait is not None and wait <= 0 for wait in waits),
        }
        status.update({key: number for key, number in numbers.items() if number})
        if status != replica_set.get("status"):
            set_status(self.store, ref, status)
        return min((wait for wait in waits if wait is not None and wait > 0), default=None)


def pod_from(resource: Resource, owner: Manifest) -> Manifest:
    """A pod of the owner's template; the store makes up the end of its name."""
    template = copy.deepcopy(owner["spec"]["template"])
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "finalizers": list(meta.get("finalizers") or ()),
            "ownerReferences": [owner_reference(resource, owner)],
        },
        "spec": template["spec"],
    }


def deletion_order(pod: Manifest) -> tuple[bool, bool, bool, int, str, str]:
    """Which pods go first: those not placed, not running, not ready; then the cheap; then the youngest."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    cost = (meta.get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost", "0")
    ready = condition(pod, "Ready") or {}
    since = ready.get("lastTransitionTime") or meta["creationTimestamp"]
    return (
        bool(pod["spec"].get("nodeName")),
        status.get("phase") == "Running",
        is_true(pod, "Ready"),
        int(cost) if cost.lstrip("-").isdigit() else 0,
        _later_first(since),
        meta["name"],
    )


def _later_first(stamp: str) -> str:
    """Turns the order of timestamps round."""
    return "".join(chr(0x7F - ord(character)) for character in stamp)
