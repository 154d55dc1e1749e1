"""Which resource, object and subresource a path means."""

from __future__ import annotations

import msgspec

from gradatim.ports.objects import Ref, Resource
from gradatim.sim.crds.custom import Custom
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import not_found, unknown_path
from gradatim.sim.store import Store

_OF_NAMESPACES = frozenset(("status", "finalize"))


class Route(msgspec.Struct, frozen=True):
    """Where a request goes. Without a name it means the collection."""

    kind: Kind
    served: Resource
    namespace: str
    name: str
    subresource: str

    @property
    def ref(self) -> Ref:
        """The object."""
        return Ref(self.served, self.namespace, self.name)


class Place(msgspec.Struct, frozen=True):
    """A path taken apart: `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE`."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def take_apart(path: str) -> Place | None:
    """A path below `/api` or `/apis` with at least a version; None for everything else."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 1:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 2:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    plural, name, *deeper = [*rest, "", ""][: max(2, len(rest))]
    return Place(group, version, plural, namespace, name, "/".join(deeper))


def find(store: Store, place: Place) -> Route | None:
    """The route of a place; NotFound if its group knows of no such thing, None if there is not even the group."""
    kind, served = store.serving(place.group, place.version, place.plural) or (None, None)
    if kind is not None and served is not None and _fits(place, served):
        if not place.subresource or place.subresource in kind.subresources:
            return Route(kind, served, place.namespace, place.name, place.subresource)
        if isinstance(kind, Custom):
            raise not_found(served, place.name)
    if any(one.resource.group == place.group and not isinstance(one, Custom) for one in store.kinds()):
        raise unknown_path()
    return None


def _fits(place: Place, served: Resource) -> bool:
    return bool(place.namespace) or not place.name if served.namespaced else not place.namespace
