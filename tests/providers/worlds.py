"""A small world for provider tests: a Canary from YAML, and objects that are written as a server stores them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from server_defaults import filled

from gradatim.api.canary import Canary
from gradatim.api.decode import decode_canary
from gradatim.core.settings import Settings
from gradatim.ports.objects import INGRESS, SERVICE, TRAEFIK_SERVICE, Manifest, Ref, Resource
from gradatim.ports.scene import Port, Scene
from gradatim.providers import registry

FIXTURE = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
    "service": {"port": 8080, "targetPort": 9000},
    "analysis": {"interval": "30s", "threshold": 3, "stepWeight": 10, "maxWeight": 50},
}
Change = Mapping[str, Any]


def canary(*changes: Change, status: Change | None = None) -> Canary:
    """Canary `cart` in namespace `shop`: the fixture of the specification with some merge patches on its spec."""
    spec: Any = FIXTURE
    for change in changes:
        spec = patched(spec, change)
    metadata = {"name": "cart", "namespace": "shop", "uid": "uid-of-cart", "generation": 1}
    return decode_canary({"metadata": metadata, "spec": spec, "status": dict(status or {})})


def scene(of: Canary, settings: Change | None = None, ports: Iterable[Port] = ()) -> Scene:
    """What a provider is told about that Canary, whose target selects its pods by `app: cart`."""
    return Scene(of, Settings(**(settings or {})), "app", "cart", tuple(ports))


class World:
    """Objects as the API server keeps them."""

    def __init__(self, manifests: Iterable[Manifest] = ()) -> None:
        self.objects: dict[Ref, Manifest] = {}
        for manifest in manifests:
            self.write(manifest)

    def write(self, manifest: Manifest) -> None:
        """Store an object as the server would."""
        self.objects[ref_of(manifest)] = filled(manifest)

    def seen(self, reads: Callable[[dict[Ref, Manifest | None]], Iterable[Ref]]) -> dict[Ref, Manifest | None]:
        """What `reads` names, asked until it names nothing new."""
        seen: dict[Ref, Manifest | None] = {}
        while new := [ref for ref in reads(seen) if ref not in seen]:
            seen |= {ref: copy.deepcopy(self.objects.get(ref)) for ref in new}
        return seen

    def changed(self, wanted: Iterable[Manifest]) -> list[Manifest]:
        """The wanted objects that are not there just so."""
        return [manifest for manifest in wanted if self.objects.get(ref_of(manifest)) != manifest]

    def patch(self, change: Change) -> None:
        """Somebody else's hand: a merge patch on the object of that kind and name."""
        ref = ref_of({**change, "metadata": {"namespace": "shop", **change["metadata"]}})
        self.objects[ref] = patched(self.objects[ref], change)


def ref_of(manifest: Manifest) -> Ref:
    """The name of an object whose kind is known to some provider."""
    metadata = manifest["metadata"]
    resource = _resources()[manifest["apiVersion"], manifest["kind"]]
    return Ref(resource, metadata["namespace"], metadata["name"])


def patched(old: Any, change: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(change, Mapping):
        return copy.deepcopy(change)
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = patched(merged.get(key), value)
    return merged


def difference(old: Any, new: Any) -> Any:
    """The JSON merge patch that leads from one object to another."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return copy.deepcopy(new)
    gone = {key: None for key in old if key not in new}
    return gone | {key: difference(old.get(key), value) for key, value in new.items() if old.get(key) != value}


def scribble(value: object) -> None:
    """Change everything that can be changed in place."""
    match value:
        case dict():
            for child in value.values():
                scribble(child)
            value["scribbled"] = True
        case list():
            for child in value:
                scribble(child)
            value.append("scribbled")


@cache
def _resources() -> dict[tuple[str, str], Resource]:
    listed = [resource for mesh in registry.meshes() for resource in (*mesh.reads, *mesh.writes)]
    return {(found.api_version, found.kind): found for found in (*listed, SERVICE, INGRESS, TRAEFIK_SERVICE)}
