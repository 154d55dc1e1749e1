"""The kinds that definitions describe: what their objects are read, checked and shown by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim import metadata, names
from gradatim.sim.builtin.kind import masked, types
from gradatim.sim.copying import clone_value
from gradatim.sim.kind import Kind, ScalePaths, other_version
from gradatim.sim.refusals import Cause, bad_request, invalid, invalid_object
from gradatim.sim.schema import cel, check, structural
from gradatim.sim.schema.declared import read
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.reading import Mismatch, Reading, unreadable
from gradatim.sim.tables import custom
from gradatim.sim.tables.columns import Layout

BLOCKING = frozenset(
    ("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class Version(msgspec.Struct, frozen=True):
    """One version of a custom resource."""

    resource: Resource
    declared: Manifest
    """The schema as the definition spells it."""
    schema: Schema
    status_schema: Schema | None
    layout: Layout
    scale: ScalePaths | None
    selectable: tuple[str, ...]
    rules: cel.Rules
    deprecation: str


class Custom(Kind):
    """A kind that a definition describes."""

    def __init__(self, definition: Manifest) -> None:
        spec = definition["spec"]
        named = spec["names"]
        self.parsed = {one["name"]: _version(spec, one) for one in spec["versions"]}
        stored = next(one for one in spec["versions"] if one.get("storage"))
        current = self.parsed[stored["name"]]
        served = [self.parsed[one["name"]].resource for one in spec["versions"] if one.get("served")]
        has_status = "status" in (stored.get("subresources") or {})
        super().__init__(
            current.resource,
            singular=named.get("singular") or named["kind"].lower(),
            list_kind=named.get("listKind") or f"{named['kind']}List",
            short_names=tuple(named.get("shortNames") or ()),
            categories=tuple(named.get("categories") or ()),
            subresources=frozenset(("status",) if has_status else ()),
            scale=current.scale,
            verbs=CUSTOM_VERBS,
            served=tuple(served),
        )
        self.selectable = current.selectable

    @property
    def listed_subresources(self) -> list[str]:
        """Here `status` comes first."""
        return sorted(self.subresources, reverse=True)

    def deprecation(self, served: Resource) -> str:
        """A deprecated version says so, in its own words if it has any."""
        return self.parsed[served.version].deprecation

    def schema(self, served: Resource) -> Schema | None:
        """The schema of that version."""
        return self.parsed[served.version].schema

    def published(self, served: Resource) -> Manifest | None:
        """The schema of that version as its definition spells it."""
        return self.parsed[served.version].declared

    def layout(self, served: Resource) -> Layout | None:
        """The printer columns of that version."""
        return self.parsed[served.version].layout

    def names(self, name: str, generated: bool) -> list[str]:
        """A custom resource's name is a DNS name."""
        return list(names.subdomain(masked(name) if generated else name))

    def read(self, obj: Manifest, served: Resource, reading: Reading) -> Manifest:
        """Pruned and defaulted by the schema of the version it came in."""
        version = self.parsed[served.version]
        try:
            meta = read(types()["ObjectMeta"], obj.get("metadata") or {}, inner := Reading(reading.mode))
        except Mismatch as error:
            raise unreadable(served.api_version, served.kind, error.why) from None
        reading.unknown += [f"metadata.{name}" for name in inner.unknown]
        made = structural.read(version.schema, obj, reading)
        if served.version != self.resource.version:
            made = structural.read(self.parsed[self.resource.version].schema, made, Reading(reading.mode))
        head = {"apiVersion": self.resource.api_version, "kind": self.resource.kind, "metadata": meta}
        return head | {key: value for key, value in made.items() if key not in head}

    def identify(self, obj: Manifest, served: Resource) -> None:
        """A custom resource must say what it is."""
        if not obj.get("kind"):
            text = msgspec.json.encode(obj).decode()
            excerpt = f"{text[:30]} ..." if len(text) > 30 else text
            told = f"the object provided is unrecognized (must be of type {served.kind}): Object 'Kind' is missing in"
            raise bad_request(f"{told} '{text}' ({excerpt})")
        if obj.get("apiVersion") != served.api_version:
            raise other_version(str(obj.get("apiVersion", "")), served)
        if obj["kind"] != served.kind:
            name = str((obj.get("metadata") or {}).get("name", ""))
            cause = invalid("kind", obj["kind"], f"must be {served.kind}")
            raise invalid_object(served.group, obj["kind"], name, [cause])

    def remarks(self, new: Manifest, old: Manifest | None) -> Iterator[str]:
        """A finalizer without a path may be somebody else's tomorrow."""
        known = set(old["metadata"].get("finalizers", ()) if old else ())
        for name in new["metadata"].get("finalizers", ()):
            if name not in known and "/" not in name and name not in metadata.STANDARD_FINALIZERS:
                path = " including a path (/)" if "." in name else ""
                advice = f"prefer a domain-qualified finalizer name{path} to avoid accidental conflicts"
                yield f'metadata.finalizers: "{name}": {advice} with other finalizer writers'

    def restrict(self, new: Manifest, old: Manifest | None, subresource: str) -> None:
        """A write to `status` changes nothing else, not even metadata."""
        super().restrict(new, old, subresource)
        if old is not None and subresource == "status":
            mine = new["metadata"].get("managedFields")
            new["metadata"] = clone_value(old["metadata"])
            new["metadata"].pop("resourceVersion", None)
            if mine:
                new["metadata"]["managedFields"] = mine

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Without a status of its own, a change of status is a change like any other."""
        if "status" not in self.subresources and new.get("status") != old.get("status"):
            return True
        return super().changed(new, old)

    def validate(self, new: Manifest, old: Manifest | None, subresource: str) -> Iterable[Cause]:
        """By the schema, by the lists that are maps, and by rules if nothing else is wrong."""
        version = self.parsed[self.resource.version]
        body = {key: value for key, value in new.items() if key not in structural.META}
        before = {key: value for key, value in (old or {}).items() if key not in structural.META}
        causes: list[Cause] = []
        if subresource == "status":
            if version.status_schema is not None and "status" in body:
                former = before.get("status")
                found = check.check(version.status_schema, body["status"], "", former, updating="status" in before)
                causes += (_below_status(cause) for cause in found)
        else:
            causes += check.check(version.schema, body, "", before, updating=old is not None)
        causes += check.check_lists(version.schema, body, "")
        if version.rules:
            if any(cause.type in BLOCKING for cause in causes):
                causes.append(invalid(check.NOWHERE, None, UNCHECKED))
            else:
                causes += version.rules.check(new, old)
        return causes


def _below_status(cause: Cause) -> Cause:
    field = "status" if cause.field == check.NOWHERE else f"status.{cause.field}"
    return Cause(cause.type, field, cause.message)


def _version(spec: Manifest, given: Manifest) -> Version:
    named, scale = spec["names"], (given.get("subresources") or {}).get("scale")
    resource = Resource(
        spec["group"], given["name"], named["plural"], named["kind"], spec.get("scope", "Namespaced") == "Namespaced"
    )
    declared = (given.get("schema") or {}).get("openAPIV3Schema") or {}
    schema = structural.parse(declared)
    schema.properties["metadata"] = types()["ObjectMeta"]
    schema.required = tuple(name for name in schema.required if name not in structural.META)  # which nothing lacks
    paths = None
    if scale:
        selector = scale.get("labelSelectorPath")
        paths = ScalePaths(
            _path(scale["specReplicasPath"]), _path(scale["statusReplicasPath"]), _path(selector) if selector else ()
        )
    selectable = tuple(one["jsonPath"].removeprefix(".") for one in given.get("selectableFields") or ())
    layout = custom.layout(given.get("additionalPrinterColumns") or ())
    told = f"{resource.api_version} {resource.kind} is deprecated"
    return Version(
        resource,
        declared,
        schema,
        schema.properties.get("status"),
        layout,
        paths,
        selectable,
        cel.Rules.of(schema),
        (given.get("deprecationWarning") or told) if given.get("deprecated") else "",
    )


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix(".").split("."))
