"""What the API server knows about one resource beside its objects: names, verbs, and the rules a write passes.

`Kind` is the plainest resource: anything goes into it. `builtin` and `crds` make kinds with schemas, defaults and
rules of their own; the store calls the hooks below in the order in which the real server does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.copying import clone
from gradatim.sim.refusals import Cause, Refused, bad_request
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.reading import Reading
from gradatim.sim.selection import field_text

if TYPE_CHECKING:
    from gradatim.sim.store import Store
    from gradatim.sim.tables.columns import Layout

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class ScalePaths(msgspec.Struct, frozen=True):
    """Where the `scale` subresource finds its numbers; `selector` is a path to a string or to a label selector."""

    spec: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")


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
        scale: ScalePaths | None = None,
        verbs: tuple[str, ...] = VERBS,
        served: tuple[Resource, ...] = (),
    ) -> None:
        self.resource = resource
        self.singular = singular or resource.kind.lower()
        self.list_kind = list_kind or f"{resource.kind}List"
        self.short_names = short_names
        self.categories = categories
        self.subresources = subresources | ({"scale"} if scale else set())
        self.scale = scale
        self.verbs = verbs
        self.served = served or (resource,)
        """Every version (or other name) by which clients may use it, the preferred one first."""

    bare_items = False
    """Whether items of a list come without kind and version, as those of built-in kinds do."""

    passing = False
    """Whether its objects are questions, answered at once and never stored."""

    merges_strategically = False
    """Whether strategic merge patches are understood, as they are for built-in kinds."""

    plain_finalizers = True
    """Whether its finalizers may be words without a domain of their own."""

    selectable: tuple[str, ...] = ()
    """The fields beside name and namespace that a field selector can name."""

    counts_its_deletion = True
    """Whether the beginning of a deletion is a new generation."""

    counts_generations = True
    """Whether `metadata.generation` counts the changes outside metadata and status."""

    needs_version = True
    """Whether an update must say which resourceVersion it replaces."""

    created_by_update = False
    """Whether a PUT to a name that is free creates the object."""

    shows_deleted = False
    """Whether a finished DELETE answers with the object, not with a Status."""

    @property
    def listed_subresources(self) -> list[str]:
        """The subresources in the order in which discovery tells them."""
        return sorted(self.subresources)

    @property
    def blank(self) -> Manifest:
        """An object that nobody has written anything into: what a creator owns is what is not in here."""
        return {}

    def deprecation(self, served: Resource) -> str:
        """What everybody is told who uses it as that resource."""
        return ""

    def schema(self, served: Resource) -> Schema | None:
        """What its objects look like as one of the served resources; None if anything goes."""
        return None

    def identify(self, obj: Manifest, served: Resource) -> None:
        """Refuse what says that it is something else."""
        version, kind = obj.get("apiVersion") or served.api_version, obj.get("kind") or served.kind
        if kind != served.kind:
            short = str(version).rpartition("/")[2]
            group = served.group.partition(".")[0] or "core"
            why = f"converting ({short}.{kind}) to ({group}.{served.kind}): unknown conversion"
            raise bad_request(f'{kind} in version "{short}" cannot be handled as a {served.kind}: {why}')
        if version != served.api_version:
            raise other_version(str(version), served)

    def read(self, obj: Manifest, served: Resource, reading: Reading) -> Manifest:
        """A fresh copy in the stored version of what somebody wrote as `served`: pruned, completed, defaulted."""
        return clone(obj) | {"apiVersion": self.resource.api_version, "kind": self.resource.kind}

    def names(self, name: str, generated: bool) -> list[str]:
        """What is wrong with a name (or with the beginning of one), in sentences."""
        return []

    def restrict(self, new: Manifest, old: Manifest | None, subresource: str) -> None:
        """Take back what a creator, or a writer to this subresource, must not set. Nobody comes to own that."""
        if "status" not in self.subresources:
            return
        if old is None:
            new.pop("status", None)
        else:
            keep_other_half(new, old, subresource)

    def prepare_create(self, new: Manifest) -> None:
        """Add what the server does of its own; nobody owns it."""

    def prepare_update(self, new: Manifest, old: Manifest, subresource: str) -> None:
        """Change what the server does of its own; nobody owns it."""

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Whether the difference counts as a new generation."""
        return any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key not in UNCOUNTED)

    def allocate(self, new: Manifest, old: Manifest | None, store: Store) -> None:
        """Hand out what only the cluster as a whole can: addresses, ports."""

    def validate(self, new: Manifest, old: Manifest | None, subresource: str) -> Iterable[Cause]:
        """What is wrong with the object."""
        return ()

    def remarks(self, new: Manifest, old: Manifest | None) -> Iterable[str]:
        """What its writer should think about, although nothing is wrong."""
        return ()

    def grace(self, obj: Manifest, asked: int | None) -> int:
        """How many seconds a deletion leaves the object to somebody who ends it; 0 is at once."""
        return 0

    def held(self, obj: Manifest) -> bool:
        """Whether something other than `metadata.finalizers` keeps an object that is being deleted."""
        return False

    def prepare_delete(self, obj: Manifest) -> None:
        """What else changes in an object that waits for its end."""

    def show(self, obj: Manifest, served: Resource) -> Manifest:
        """A stored object as one of the served resources; what is stored stays as it is."""
        if served.version == self.resource.version:
            return obj
        return obj | {"apiVersion": served.api_version}

    def field(self, obj: Manifest, name: str) -> str:
        """A field's value as field selectors compare it."""
        return field_text(obj, name)

    def published(self, served: Resource) -> Manifest | None:
        """Its schema for people and programs, if it is not made of declared types."""
        return None

    def layout(self, served: Resource) -> Layout | None:
        """The columns that its definition brings; None if `sim.tables` knows them."""
        return None

    def shows_as_stored(self, served: Resource) -> bool:
        """Whether `show` has nothing to do."""
        return served == self.resource


UNCOUNTED = frozenset({"metadata", "status", "apiVersion", "kind"})


def other_version(version: str, served: Resource) -> Refused:
    """The object says that it is of another version than the path."""
    told = f"the API version in the data ({version}) does not match the expected API version ({served.api_version})"
    return bad_request(told)


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
