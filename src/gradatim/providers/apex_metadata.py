"""Routing objects that carry the apex's name: made new, taken over, given back.

They get the labels and annotations of `service.apex` and the Flux guards, and where `service.apex` is present the
selector label of the apex Service, which slips into this set with Flagger; all others stay.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.ports.objects import Manifest, Resource
from gradatim.ports.scene import Scene
from gradatim.providers import adoption, manifests


def claimed(resource: Resource, scene: Scene, found: Manifest | None) -> Manifest:
    """A new object, or a copy of the found one with our metadata; the spec is the caller's.

    What somebody else's object was is noted on it the first time.
    """
    canary = scene.canary
    labels, annotations = _metadata(scene)
    if found is None:
        return manifests.new_object(
            resource, canary.namespace, canary.apex, canary, labels=labels, annotations=annotations
        )
    wanted = manifests.copy_of(found)
    if adoption.taking_over(found, canary):
        adoption.mark(wanted, found, manifests.mapping(found, "spec"), labels, annotations)
    for kind, ours in (("labels", labels), ("annotations", annotations)):
        for key, value in ours.items():
            manifests.put(wanted, value, "metadata", kind, key)
    return wanted


def given_back(scene: Scene, found: Manifest | None) -> Iterable[Manifest]:
    """What was there before us, if anything was; what goes with the Canary is left alone."""
    labels, annotations = _metadata(scene)
    wanted = None if found is None else adoption.given_back(found, labels, annotations)
    return () if wanted is None else (wanted,)


def _metadata(scene: Scene) -> tuple[dict[str, str], dict[str, str]]:
    apex = scene.canary.spec.service.apex
    if apex is None:
        return {}, manifests.flux_guard()
    labels = apex.labels | ({scene.label: scene.canary.apex} if scene.label else {})
    return labels, apex.annotations | manifests.flux_guard()
