"""Routing objects that carry the apex's name: made new, taken over, given back.

They get the labels and annotations of `service.apex` and the Flux guards; all others stay. Flagger lets the selector
label of the apex Service slip into this set when `service.apex` is present; we do not, and leave it where it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary, CustomMetadata
from gradatim.ports.objects import Manifest, Resource
from gradatim.providers import adoption, manifests


def claimed(resource: Resource, canary: Canary, found: Manifest | None) -> Manifest:
    """A new object, or a copy of the found one with our metadata; the spec is the caller's.

    What somebody else's object was is noted on it the first time.
    """
    labels, annotations = _metadata(canary)
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


def given_back(canary: Canary, found: Manifest | None) -> Iterable[Manifest]:
    """What was there before us, if anything was; what goes with the Canary is left alone."""
    labels, annotations = _metadata(canary)
    wanted = None if found is None else adoption.given_back(found, labels, annotations)
    return () if wanted is None else (wanted,)


def _metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    apex = canary.spec.service.apex or CustomMetadata()
    return dict(apex.labels), apex.annotations | manifests.flux_guard()
