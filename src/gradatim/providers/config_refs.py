"""Which ConfigMaps and Secrets a pod template refers to, and the same template referring to copies.

One walk over the places serves both, so that what is found is what is renamed. What is copied, and how the copies look,
is the part of `config_copies`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

import msgspec

from gradatim.ports.objects import CONFIG_MAP, SECRET, Manifest, Ref, Resource
from gradatim.providers.manifests import copy_of, items, mapping, text

SUFFIX = "-primary"
BEFORE = "-previous"
"""What is appended to the name of a copy for what it held before the last promotion that changed it."""


class ConfigRef(msgspec.Struct, frozen=True, order=True):
    """A ConfigMap or Secret of the Canary's namespace."""

    resource: Resource
    name: str

    @property
    def word(self) -> str:
        """`configmap` or `secret`."""
        return self.resource.kind.lower()

    @property
    def key(self) -> str:
        """The key in `status.trackedConfigs`."""
        return f"{self.word}/{self.name}"

    def source(self, namespace: str) -> Ref:
        """The object itself."""
        return Ref(self.resource, namespace, self.name)

    def copy(self, namespace: str) -> Ref:
        """The primary's copy of it."""
        return Ref(self.resource, namespace, self.name + SUFFIX)

    def previous(self, namespace: str) -> Ref:
        """What that copy held before."""
        return Ref(self.resource, namespace, self.name + SUFFIX + BEFORE)


def references(pod_spec: Manifest) -> dict[ConfigRef, bool]:
    """What the pods refer to, and whether they need it; of several references to one object the last decides."""
    return {place.ref: not place.optional for place in _places(pod_spec)}


def with_copies(pod_spec: Manifest, copied: Container[ConfigRef]) -> Manifest:
    """The same with the names of copies where an object is copied."""
    changed = copy_of(pod_spec)
    for place in _places(changed):
        if place.ref in copied:
            place.holder[place.key] = place.ref.name + SUFFIX
    return changed


class _Place(NamedTuple):
    holder: Manifest
    key: str
    ref: ConfigRef
    optional: bool


def _places(pod_spec: Manifest) -> Iterator[_Place]:
    """Every place that names a config: volumes first, then containers, then init containers."""
    for volume in items(pod_spec, "volumes"):
        yield from _place(volume, "configMap", CONFIG_MAP)
        yield from _place(volume, "secret", SECRET, key="secretName")
        for source in items(volume, "projected", "sources"):
            yield from _place(source, "configMap", CONFIG_MAP)
            yield from _place(source, "secret", SECRET)
    for container in items(pod_spec, "containers") + items(pod_spec, "initContainers"):
        for variable in items(container, "env"):
            origin = mapping(variable, "valueFrom")
            yield from _place(origin, "configMapKeyRef", CONFIG_MAP)
            yield from _place(origin, "secretKeyRef", SECRET)
        for origin in items(container, "envFrom"):
            yield from _place(origin, "configMapRef", CONFIG_MAP)
            yield from _place(origin, "secretRef", SECRET)


def _place(parent: Manifest, member: str, resource: Resource, key: str = "name") -> Iterator[_Place]:
    holder = mapping(parent, member)
    if name := text(holder, key):
        yield _Place(holder, key, ConfigRef(resource, name), bool(holder.get("optional")))
