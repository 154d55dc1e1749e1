"""HorizontalPodAutoscalers without measurements: they keep a target within its bounds and write their status.

What real autoscalers also do, following CPU or other metrics, does not happen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradatim.ports.objects import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Manifest, Ref
from gradatim.sim import metadata
from gradatim.sim.controllers.belonging import condition, ref_of, set_status
from gradatim.sim.controllers.rollout import counted, replicas_of
from gradatim.sim.history import Event
from gradatim.sim.store import Store


class Autoscalers:
    """The HorizontalPodAutoscaler controller, for Deployments."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All autoscalers."""
        return [ref_of(HORIZONTAL_POD_AUTOSCALER, obj) for obj in self.store.scan(HORIZONTAL_POD_AUTOSCALER)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """An autoscaler itself, and those of a Deployment."""
        if event.ref.resource.qualified == HORIZONTAL_POD_AUTOSCALER.qualified:
            yield Ref(HORIZONTAL_POD_AUTOSCALER, event.ref.namespace, event.ref.name)
        elif event.ref.resource.qualified == DEPLOYMENT.qualified:
            for obj in self.store.scan(HORIZONTAL_POD_AUTOSCALER, event.ref.namespace):
                target = obj["spec"]["scaleTargetRef"]
                if (target["kind"], target["name"]) == ("Deployment", event.ref.name):
                    yield ref_of(HORIZONTAL_POD_AUTOSCALER, obj)

    def sync(self, ref: Ref) -> float | None:
        """Scale the target into the bounds, unless it is switched off by zero replicas."""
        scaler = self.store.peek(ref)
        if scaler is None or "deletionTimestamp" in scaler["metadata"]:
            return None
        target = Ref(DEPLOYMENT, ref.namespace, scaler["spec"]["scaleTargetRef"]["name"])
        deployment = self.store.peek(target)
        if deployment is None or scaler["spec"]["scaleTargetRef"]["kind"] != "Deployment":
            self._report(ref, scaler, 0, 0, ("False", "FailedGetScale", "the target could not be found"))
            return None
        present = replicas_of(deployment)
        if present == 0:
            off = "scaling is disabled since the replica count of the target is zero"
            self._report(ref, scaler, counted(deployment, "replicas"), 0, ("False", "ScalingDisabled", off))
            return None
        least, most = int(scaler["spec"].get("minReplicas") or 1), int(scaler["spec"]["maxReplicas"])
        wanted = max(least, min(present, most))
        if wanted != present:
            self.store.mutate(target, lambda obj: obj["spec"].update(replicas=wanted))
        bounds = ("True", "ValidMetricFound", "the replica count is kept within its bounds")
        self._report(ref, scaler, counted(deployment, "replicas"), wanted, bounds)
        return None

    def _report(self, ref: Ref, scaler: Manifest, current: int, desired: int, active: tuple[str, str, str]) -> None:
        value, reason, message = active
        before = condition(scaler, "ScalingActive")
        same = before is not None and before["status"] == value
        since = before["lastTransitionTime"] if before and same else metadata.timestamp(self.store.now())
        scaling = {"type": "ScalingActive", "status": value, "reason": reason, "message": message}
        status = {
            "observedGeneration": scaler["metadata"].get("generation", 1),
            "currentReplicas": current,
            "desiredReplicas": desired,
            "currentMetrics": None,
            "conditions": [{**scaling, "lastTransitionTime": since}],
        }
        if status != scaler.get("status"):
            set_status(self.store, ref, status)
