"""Horizontal pod autoscalers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest
from gradatim.sim.builtin.kind import Counted
from gradatim.sim.copying import clone_value
from gradatim.sim.refusals import Cause, forbidden_field, invalid, required, unsupported

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
_SOURCES = {
    "Resource": "resource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
    "ContainerResource": "containerResource",
}


class HorizontalPodAutoscaler(Counted):
    """A HorizontalPodAutoscaler."""

    def default(self, obj: Manifest) -> None:
        """By the processor, if nothing is said; a behaviour is whole or absent."""
        spec = obj["spec"]
        if not spec.get("metrics"):
            spec["metrics"] = [clone_value(_CPU)]
        behaviour = spec.get("behavior")
        if behaviour is not None:
            for key, whole in (("scaleUp", _UP), ("scaleDown", _DOWN)):
                behaviour[key] = clone_value(whole) | behaviour.get(key, {})

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Numbers in order, a target with a group, metrics with their source."""
        spec = new["spec"]
        if spec["maxReplicas"] < spec["minReplicas"]:
            yield invalid("spec.maxReplicas", spec["maxReplicas"], "must be greater than or equal to `minReplicas`")
        target = spec["scaleTargetRef"]
        if not target.get("apiVersion") and target.get("kind") != "ReplicationController":
            yield invalid("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group")
        if spec["minReplicas"] < 0:
            yield invalid("spec.minReplicas", spec["minReplicas"], "must be greater than or equal to 0")
        types = {metric.get("type") for metric in spec["metrics"]}
        if spec["minReplicas"] == 0 and not types & {"Object", "External"}:
            detail = "must specify at least one Object or External metric to support scaling to zero replicas"
            yield forbidden_field("spec.metrics", detail)
        for index, metric in enumerate(spec["metrics"]):
            yield from _check_metric(metric, f"spec.metrics[{index}]")
        for key, rules in (spec.get("behavior") or {}).items():
            if not rules.get("policies"):
                yield required(f"spec.behavior.{key}.policies", "must specify at least one Policy")
        if not spec["maxReplicas"]:
            yield required("spec.maxReplicas")


def _check_metric(metric: Manifest, path: str) -> Iterator[Cause]:
    source = _SOURCES.get(metric["type"])
    if source is None:
        yield unsupported(f"{path}.type", metric["type"], sorted(_SOURCES))
        return
    if metric.get(source) is None:
        yield required(f"{path}.{source}", "must populate information for the given metric source")
        return
    target = metric[source].get("target") or {}
    if metric["type"] in ("Resource", "ContainerResource") and not (
        target.get("averageUtilization") or target.get("averageValue")
    ):
        detail = "must set either a target raw value or a target utilization"
        yield required(f"{path}.{source}.target.averageUtilization", detail)
