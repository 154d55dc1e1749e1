"""DaemonSets: one pod on every node that the template's selector fits, replaced node by node.

Revisions are told apart by a hash label only; there are no ControllerRevision objects here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gradatim.ports.objects import DAEMON_SET, Manifest, Ref
from gradatim.sim.builtin.catalogue import NODE, POD
from gradatim.sim.controllers.belonging import (
    available_in,
    concerned_owners,
    is_true,
    labels_of,
    possessions,
    ref_of,
    set_status,
)
from gradatim.sim.controllers.replicasets import pod_from
from gradatim.sim.controllers.revisions import template_hash
from gradatim.sim.controllers.rollout import resolve
from gradatim.sim.controllers.scheduling import fits
from gradatim.sim.history import Event
from gradatim.sim.store import Store

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"


class Spread(msgspec.Struct, frozen=True):
    """A DaemonSet, the nodes it should run on, and its pods by node."""

    daemon_set: Manifest
    mark: str
    nodes: frozenset[str]
    pods: dict[str, list[Manifest]]

    def current(self, node: str) -> list[Manifest]:
        """A node's pods of the present template that are not being deleted."""
        return [pod for pod in self.living(node) if labels_of(pod).get(HASH_LABEL) == self.mark]

    def living(self, node: str) -> list[Manifest]:
        """A node's pods that are not being deleted."""
        return [pod for pod in self.pods.get(node, []) if "deletionTimestamp" not in pod["metadata"]]


class DaemonSets:
    """The DaemonSet controller."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All DaemonSets."""
        return [ref_of(DAEMON_SET, obj) for obj in self.store.scan(DAEMON_SET)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A DaemonSet itself, the owner of a pod, and every one when a node changes."""
        if event.ref.resource.qualified == NODE.qualified:
            yield from self.everything()
        else:
            yield from concerned_owners(event, DAEMON_SET, POD)

    def sync(self, ref: Ref) -> float | None:
        """Place missing pods, remove superfluous ones, replace outdated ones, count."""
        daemon_set = self.store.peek(ref)
        if daemon_set is None:
            return None
        spread = self._look(daemon_set)
        if "deletionTimestamp" not in daemon_set["metadata"]:
            self._place(spread)
            self._replace(self._look(daemon_set))
        return self._report(ref, self._look(daemon_set))

    def _look(self, daemon_set: Manifest) -> Spread:
        pod_spec = daemon_set["spec"]["template"]["spec"]
        nodes = frozenset(node["metadata"]["name"] for node in self.store.scan(NODE) if fits(pod_spec, node))
        pods: dict[str, list[Manifest]] = {}
        for pod in possessions(self.store, DAEMON_SET, daemon_set, POD):
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                pods.setdefault(pod["spec"].get("nodeName") or "", []).append(pod)
        return Spread(daemon_set, template_hash(daemon_set["spec"]["template"]), nodes, pods)

    def _place(self, spread: Spread) -> None:
        for node in sorted(spread.nodes):
            if not spread.pods.get(node):
                self._create(spread, node)
        for node in sorted(spread.pods):
            superfluous = spread.living(node)[1 if node in spread.nodes else 0 :]
            for pod in superfluous:
                self.store.delete(ref_of(POD, pod))

    def _create(self, spread: Spread, node: str) -> None:
        pod = pod_from(DAEMON_SET, spread.daemon_set)
        generation = str(spread.daemon_set["metadata"].get("generation", 1))
        pod["metadata"]["labels"].update({HASH_LABEL: spread.mark, GENERATION_LABEL: generation})
        pod["spec"]["nodeName"] = node
        self.store.create(Ref(POD, spread.daemon_set["metadata"]["namespace"], ""), pod)

    def _replace(self, spread: Spread) -> None:
        """Rolling update: delete outdated pods while few enough are unavailable; not with OnDelete."""
        strategy = spread.daemon_set["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        rolling = strategy.get("rollingUpdate") or {}
        allowed = max(1, resolve(rolling.get("maxUnavailable", 1), len(spread.nodes), up=True))
        missing = [node for node in spread.nodes if not any(is_true(pod, "Ready") for pod in spread.living(node))]
        outdated = [pod for node in sorted(spread.nodes) for pod in spread.living(node) if not spread.current(node)]
        for pod in [pod for pod in outdated if pod["spec"]["nodeName"] in missing]:
            self.store.delete(ref_of(POD, pod))
        serving = [pod for pod in outdated if pod["spec"]["nodeName"] not in missing]
        for pod in serving[: max(0, allowed - len(missing))]:
            self.store.delete(ref_of(POD, pod))

    def _report(self, ref: Ref, spread: Spread) -> float | None:
        min_ready = int(spread.daemon_set["spec"].get("minReadySeconds") or 0)
        now = self.store.now()
        waits = [
            min(
                (w for pod in spread.living(node) if (w := available_in(pod, min_ready, now)) is not None), default=None
            )
            for node in spread.nodes
        ]
        desired, available = len(spread.nodes), sum(wait is not None and wait <= 0 for wait in waits)
        status: Manifest = {
            "currentNumberScheduled": sum(bool(spread.living(node)) for node in spread.nodes),
            "numberMisscheduled": sum(bool(spread.living(node)) for node in spread.pods if node not in spread.nodes),
            "desiredNumberScheduled": desired,
            "numberReady": sum(wait is not None for wait in waits),
            "observedGeneration": spread.daemon_set["metadata"].get("generation", 1),
        }
        optional = {
            "updatedNumberScheduled": sum(bool(spread.current(node)) for node in spread.nodes),
            "numberAvailable": available,
            "numberUnavailable": desired - available,
        }
        status.update({key: number for key, number in optional.items() if number})
        if status != spread.daemon_set.get("status"):
            set_status(self.store, ref, status)
        return min((wait for wait in waits if wait is not None and wait > 0), default=None)
