"""A built-in kind: a declared type, and hooks for what a table cannot say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim import names
from gradatim.sim.kind import Kind, ScalePaths
from gradatim.sim.refusals import Cause
from gradatim.sim.schema import model
from gradatim.sim.schema.declared import ZEROS, Types, read
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.reading import Mismatch, Reading, unreadable


@lru_cache(1)
def types() -> Types:
    """Every declared type, read once."""
    folder = resources.files("gradatim.sim.builtin") / "types"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return Types(file.read_text() for file in files if file.name.endswith(".txt"))


class Builtin(Kind):
    """A kind whose objects have a declared type; subclasses add defaults and rules."""

    bare_items = True
    merges_strategically = True
    needs_version = False
    plain_finalizers = False
    counts_generations = False
    status_keeps: tuple[str, ...] = ()
    """Metadata that a write to `status` cannot change; most kinds let it change all of it."""

    def __init__(
        self,
        resource: Resource,
        *,
        type_name: str = "",
        short_names: tuple[str, ...] = (),
        categories: tuple[str, ...] = (),
        status: bool = False,
        scale: ScalePaths | None = None,
        also: Iterable[str] = (),
        served: tuple[Resource, ...] = (),
    ) -> None:
        subresources = frozenset(("status",) if status else ()) | frozenset(also)
        super().__init__(
            resource,
            short_names=short_names,
            categories=categories,
            subresources=subresources,
            scale=scale,
            served=served,
        )
        self.type = types()[type_name or resource.kind]
        self._no_status = self._empty_status()
        self._blank = empty(self.type)

    @property
    def blank(self) -> Manifest:
        """The zero value of its type."""
        return self._blank

    def schema(self, served: Resource) -> Schema | None:
        """The declared type."""
        return self.type

    def read(self, obj: Manifest, served: Resource, reading: Reading) -> Manifest:
        """Read as the declared type, then fill in what depends on other fields."""
        try:
            made = read(self.type, obj, reading)
        except Mismatch as error:
            raise unreadable(self.resource.api_version, self.resource.kind, error.why) from None
        made["apiVersion"], made["kind"] = self.resource.api_version, self.resource.kind
        self.default(made)
        return made

    def default(self, obj: Manifest) -> None:
        """Fill in what depends on other fields."""

    def names(self, name: str, generated: bool) -> list[str]:
        """Most names are DNS names; the beginning of one may end in a dash."""
        return list(names.subdomain(masked(name) if generated else name))

    def restrict(self, new: Manifest, old: Manifest | None, subresource: str) -> None:
        """Status and the rest each have their own door; a creator says nothing about status."""
        super().restrict(new, old, subresource)
        if old is None and "status" in self.subresources and self._no_status is not None:
            new["status"] = self._no_status
        if old is not None and subresource == "status":
            for key in self.status_keeps:
                _keep(new["metadata"], old["metadata"], key)

    def validate(self, new: Manifest, old: Manifest | None, subresource: str) -> Iterable[Cause]:
        """What is wrong with the object."""
        if subresource == "status":
            return self.check_status(new, old or {})
        return self.check(new, old)

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """What is wrong with everything but the status."""
        return ()

    def check_status(self, new: Manifest, old: Manifest) -> Iterable[Cause]:
        """What is wrong with the status."""
        return ()

    def _empty_status(self) -> Any:
        status = self.type.properties.get("status")
        if status is None or status.pointer:
            return None
        return read(self.type, {}, Reading()).get("status")


def empty(schema: Schema) -> Manifest:
    """What an empty Go struct of this type is as JSON: structs, and fields that are always written."""
    made: Manifest = {}
    for key, one in schema.properties.items():
        if one.kind == model.OBJECT and not one.pointer:
            made[key] = empty(one)
        elif one.always:
            made[key] = None if one.pointer else ZEROS.get(one.kind)
        elif one.go in ("Time", "MicroTime") and not one.pointer and not one.omitted_when_zero:
            made[key] = None
    return made


class Counted(Builtin):
    """A built-in kind whose `metadata.generation` counts changes of its spec."""

    counts_generations = True


def masked(prefix: str) -> str:
    """The beginning of a name, as it would look in a whole one."""
    return f"{prefix[:-1]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _keep(new: Manifest, old: Manifest, key: str) -> None:
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)
