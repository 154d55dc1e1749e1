"""Nodes, and which pod runs on which: the emptiest one that fits, by name among equals.

Taints, affinity and resources are not weighed; what people of this cluster ask of nodes are labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest, Ref
from gradatim.sim import metadata
from gradatim.sim.builtin.catalogue import NODE, POD
from gradatim.sim.controllers.belonging import labels_of, ref_of
from gradatim.sim.history import Event
from gradatim.sim.store import Store

CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def fits(pod_spec: Manifest, node: Manifest) -> bool:
    """Does a node have every label that the pod's `nodeSelector` asks for?"""
    wanted = pod_spec.get("nodeSelector") or {}
    return not (node["spec"].get("unschedulable")) and wanted.items() <= labels_of(node).items()


def make_node(store: Store, name: str, address: str) -> None:
    """Add a ready node, unless there is one of that name."""
    ref = Ref(NODE, "", name)
    if store.peek(ref) is not None:
        return
    node: Manifest = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
    }
    created = store.create(ref, node)
    stamp = metadata.timestamp(store.now())
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    created["status"] = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "capacity": dict(CAPACITY),
        "allocatable": dict(CAPACITY),
        "conditions": [{**ready, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}],
        "nodeInfo": {
            "kubeletVersion": "v1.37.0",
            "operatingSystem": "linux",
            "containerRuntimeVersion": "gradatim://1",
        },
    }
    store.update(ref, created, "status")


class Scheduler:
    """Gives every pod without a node one."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All pods without a node."""
        return [ref_of(POD, pod) for pod in self.store.scan(POD) if not pod["spec"].get("nodeName")]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A pod without a node, and all of those when a node changes."""
        if event.ref.resource.qualified == NODE.qualified:
            yield from self.everything()
        elif event.ref.resource.qualified == POD.qualified and not event.object["spec"].get("nodeName"):
            yield event.ref

    def sync(self, ref: Ref) -> float | None:
        """Place one pod, or say why that cannot be."""
        pod = self.store.peek(ref)
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            return None
        fitting = [node["metadata"]["name"] for node in self.store.scan(NODE) if fits(pod["spec"], node)]
        if not fitting:
            self._refuse(ref, pod)
            return None
        load = Counter(other["spec"].get("nodeName") for other in self.store.scan(POD))
        chosen = min(fitting, key=lambda name: (load[name], name))

        def bind(obj: Manifest) -> None:
            obj["spec"]["nodeName"] = chosen

        self.store.mutate(ref, bind, "binding")
        return None

    def _refuse(self, ref: Ref, pod: Manifest) -> None:
        count = sum(1 for _ in self.store.scan(NODE))
        message = f"0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector."
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

        def explain(obj: Manifest) -> None:
            obj["status"] = {"phase": "Pending", **(obj.get("status") or {}), "conditions": [scheduled]}

        if (pod.get("status") or {}).get("conditions") != [scheduled]:
            self.store.mutate(ref, explain, "status")
