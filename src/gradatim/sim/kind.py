"""What the API server knows about one resource beside its objects: names, verbs, and the rules a write passes.

`Kind` is the plainest resource: anything goes into it. `builtin` and `crds` make kinds with schemas, defaults and
rules of their own; the store calls the hooks below in the order in which the real server does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.refusals import Cause

if TYPE_CHECKING:
    from gradatim.sim.store import Store

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Kind:
    """One resource of the cluster; `resource` carries the version in which its objects are stored."""

    def __init__(
        self,
        resource: Resource,
        *,
        singular: str = "",
        list_kind: str = "",
        short_names: tuple[str, ...] = (),
        categories: tuple[str, ...] = (),
        subresources: frozenset[str] = frozenset(),
        verbs: tuple[str, ...] = VERBS,
        served: tuple[Resource, ...] = (),
    ) -> None:
        self.resource = resource
        self.singular = singular or resource.kind.lower()
        self.list_kind = list_kind or f"{resource.kind}List"
        self.short_names = short_names
        self.categories = categories
        self.subresources = subresources
        self.verbs = verbs
        self.served = served or (resource,)
        """Every version clients may use, the preferred one first."""

    counts_generations = True
    """Whether `metadata.generation` counts the changes outside metadata and status."""

    needs_version = True
    """Whether an update must say which resourceVersion it replaces."""

    created_by_update = False
    """Whether a PUT to a name that is free creates the object."""

    shows_deleted = False
    """Whether a finished DELETE answers with the object, not with a Status."""

    def names(self, name: str, generated: bool) -> list[str]:
        """What is wrong with a name (or with the beginning of one), in sentences."""
        return []

    def prepare_create(self, new: Manifest) -> None:
        """Fill in defaults and drop what a creator must not set."""
        if "status" in self.subresources:
            new.pop("status", None)

    def prepare_update(self, new: Manifest, old: Manifest, subresource: str) -> None:
        """Fill in defaults and take back what this subresource must not change."""
        if "status" in self.subresources:
            keep_other_half(new, old, subresource)

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Whether the difference counts as a new generation."""
        return any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key not in UNCOUNTED)

    def allocate(self, new: Manifest, old: Manifest | None, store: Store) -> None:
        """Hand out what only the cluster as a whole can: addresses, ports."""

    def validate(self, new: Manifest, old: Manifest | None, subresource: str) -> Iterable[Cause]:
        """What is wrong with the object."""
        return ()

    def grace(self, obj: Manifest, asked: int | None) -> int:
        """How many seconds a deletion leaves the object to somebody who ends it; 0 is at once."""
        return 0

    def held(self, obj: Manifest) -> bool:
        """Whether something other than `metadata.finalizers` keeps an object that is being deleted."""
        return False

    def prepare_delete(self, obj: Manifest) -> None:
        """What else changes in an object that waits for its end."""

    def to_version(self, obj: Manifest, version: str) -> Manifest:
        """The object as another served version shows it; the stored one stays as it is."""
        if version == self.resource.version:
            return obj
        return obj | {"apiVersion": self.version(version).api_version}

    def from_version(self, obj: Manifest, version: str) -> Manifest:
        """The object as it is stored, from what a client of another served version sent."""
        if version == self.resource.version:
            return obj
        return obj | {"apiVersion": self.resource.api_version}

    def version(self, version: str) -> Resource:
        """The resource as this served version names it."""
        return next(one for one in self.served if one.version == version)


UNCOUNTED = frozenset({"metadata", "status", "apiVersion", "kind"})


def keep_other_half(new: Manifest, old: Manifest, subresource: str) -> None:
    """A write to `status` changes nothing else, and any other write leaves status alone."""
    if subresource == "status":
        for key in (new.keys() | old.keys()) - {"status"}:
            if key != "metadata":
                _take(new, old, key)
    else:
        _take(new, old, "status")


def _take(new: Manifest, old: Manifest, key: str) -> None:
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)
