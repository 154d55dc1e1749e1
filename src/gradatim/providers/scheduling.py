"""Scheduling rules that name the target's pods, changed to name the primary's.

A Deployment that keeps its pods apart by their own label would otherwise keep the primary's pods away from the canary's
and let them crowd on one node. Only rules by which pods avoid their like are changed; `podAffinity` looks for other
pods and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradatim.ports.objects import Manifest
from gradatim.ports.scene import Scene
from gradatim.providers.manifests import copy_of, items, mapping


def for_primary(pod_spec: Manifest, scene: Scene, pod_labels: Mapping[str, str]) -> Manifest:
    """The same with the selectors of anti-affinity and topology spread matching pods with the primary's `pod_labels`.

    Only keys that can be selector labels are looked at, and of these only values that are the target's name or its
    label's value. A rule that matches the primary's pods as it stands (a second label, which the primary shares with
    the target) is left alone: changed, it would match nothing.
    """
    changed = copy_of(pod_spec)
    names = {scene.canary.target, scene.value} - {""}

    def renamed(key: str, value: object) -> object:
        ours = key in {*scene.settings.selector_labels, scene.label} and value in names
        return f"{value}-primary" if ours and pod_labels.get(key) != value else value

    for selector in _selectors(changed):
        labels = mapping(selector, "matchLabels")
        for key, value in labels.items():
            labels[key] = renamed(key, value)
        for expression in items(selector, "matchExpressions"):
            if values := items(expression, "values"):
                expression["values"] = [renamed(expression.get("key", ""), value) for value in values]
    return changed


def _selectors(pod_spec: Manifest) -> Iterator[Manifest]:
    for constraint in items(pod_spec, "topologySpreadConstraints"):
        yield mapping(constraint, "labelSelector")
    apart = mapping(pod_spec, "affinity", "podAntiAffinity")
    for preferred in items(apart, "preferredDuringSchedulingIgnoredDuringExecution"):
        yield mapping(preferred, "podAffinityTerm", "labelSelector")
    for required in items(apart, "requiredDuringSchedulingIgnoredDuringExecution"):
        yield mapping(required, "labelSelector")
