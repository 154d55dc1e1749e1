"""Who owns which field: `managedFields` follows every write, and an apply finds out whom it contradicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.kind import Kind
from gradatim.sim.metadata import timestamp
from gradatim.sim.patches import fieldsets, typed
from gradatim.sim.patches.fieldsets import FieldSet
from gradatim.sim.refusals import Conflict
from gradatim.sim.schema.model import Schema
from gradatim.sim.store import Store, Writer

APPLY, UPDATE = "Apply", "Update"
METADATA: FieldSet = {"f:metadata": {}}
"""The metadata as such, which nobody owns."""
RESET: list[Manifest] = [{}]
"""What a client writes that wants to forget all owners."""

_UNOWNED_META = ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields")
_UNOWNED = frozenset((*_UNOWNED_META, "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"))


class Entry(msgspec.Struct):
    """One manager's fields."""

    manager: str
    operation: str
    version: str
    subresource: str
    fields: FieldSet
    time: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Two entries of the same identity are one; an applier is the same in every version."""
        return (self.manager, self.operation, "" if self.operation == APPLY else self.version, self.subresource)

    @property
    def shown(self) -> str:
        """As a conflict names it."""
        named = f'"{self.manager}"'
        if self.subresource:
            named += f' with subresource "{self.subresource}"'
        return f"{named} using {self.version}" if self.operation == UPDATE else named


def entries(obj: Manifest | None) -> list[Entry]:
    """The owners that an object names; none if what it says makes no sense."""
    found = []
    for one in ((obj or {}).get("metadata") or {}).get("managedFields") or ():
        fields = one.get("fieldsV1")
        if not isinstance(fields, dict) or one.get("operation") not in (APPLY, UPDATE):
            return []
        operation, version = one["operation"], one.get("apiVersion", "")
        named = Entry(one.get("manager", ""), operation, version, one.get("subresource", ""), fields)
        named.time = one.get("time", "")
        found.append(named)
    return found


def write_down(obj: Manifest, owners: Iterable[Entry]) -> None:
    """Make an object name its owners."""
    listed = sorted((one for one in owners if one.fields), key=_order)
    obj["metadata"].pop("managedFields", None)
    if listed:
        obj["metadata"]["managedFields"] = [_encoded(one) for one in listed]


def _order(one: Entry) -> tuple[bool, str, str]:
    return one.operation != APPLY, one.time, one.manager


def _encoded(one: Entry) -> Manifest:
    encoded: Manifest = {"manager": one.manager, "operation": one.operation, "apiVersion": one.version}
    if one.time:
        encoded["time"] = one.time
    encoded |= {"fieldsType": "FieldsV1", "fieldsV1": one.fields}
    return encoded | ({"subresource": one.subresource} if one.subresource else {})


class Tracker:
    """Keeps `managedFields` of everything that is written to one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ownership = self

    def __call__(self, kind: Kind, new: Manifest, old: Manifest | None, writer: Writer, subresource: str) -> None:
        """Note what a create or an update has changed; an apply has done so already."""
        schema = kind.schema(kind.resource)
        if writer.operation == APPLY or schema is None:
            return
        given = new["metadata"].get("managedFields")
        owners = [] if given == RESET else entries(new) or entries(old)
        changes = typed.compare(schema, _ownable(kind.blank if old is None else old), _ownable(new))
        taken = fieldsets.subtract(fieldsets.union(changes.added, changes.modified), METADATA)
        gone = fieldsets.union(taken, changes.removed)
        for one in owners:
            one.fields = fieldsets.subtract(one.fields, gone)
        if taken:
            mine = Entry(writer.manager, UPDATE, writer.version or kind.resource.api_version, subresource, taken)
            mine.time = "" if subresource == "scale" else timestamp(self._store.now())
            owners = _joined(owners, mine)
        write_down(new, owners)


def _joined(owners: list[Entry], mine: Entry) -> list[Entry]:
    for one in owners:
        if one.identity == mine.identity:
            one.fields, one.time = fieldsets.union(one.fields, mine.fields), mine.time
            return owners
    return [*owners, mine]


def _ownable(obj: Manifest) -> Manifest:
    """An object without what nobody owns."""
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _UNOWNED}
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")} | {"metadata": meta}


class Applied(msgspec.Struct):
    """What an apply makes: the object, and who owns it then."""

    object: Manifest
    owners: list[Entry]


def apply(schema: Schema, live: Manifest, config: Manifest, mine: Entry, *, force: bool) -> Applied:
    """Put a configuration on top of a live object; Conflict if others own what it changes."""
    wanted = _ownable(config)
    before = entries(live)
    last = next((one for one in before if one.identity == mine.identity), None)
    others = [one for one in before if one.identity != mine.identity]
    mine.fields = fieldsets.subtract(typed.fields_of(schema, wanted), METADATA)
    if last is not None:
        mine.time = last.time
    merged = typed.merge(schema, live, config)
    if last is not None:
        owned: FieldSet = mine.fields
        for one in others:
            owned = fieldsets.union(owned, one.fields)
        merged = _pruned(schema, merged, last.fields, owned)
    changes = typed.compare(schema, _ownable(live), _ownable(merged))
    taken = fieldsets.union(changes.added, changes.modified)
    contested = [(one, fieldsets.intersect(one.fields, taken)) for one in others]
    if not force:
        _refuse([(one, path) for one, fields in contested for path in fieldsets.paths(fields)])
    gone = fieldsets.union(taken, changes.removed)
    for one in others:
        one.fields = fieldsets.subtract(one.fields, gone)
    return Applied(merged, [*others, mine])


def _pruned(schema: Schema, merged: Manifest, last: FieldSet, owned: FieldSet) -> Manifest:
    """Metadata as such stays, whatever an applier no longer says about it."""
    kept = typed.prune(schema, merged, last, {"f:metadata": {".": {}}, **owned})
    return {**kept, "metadata": {**kept.get("metadata", {}), **_unownable(merged)}}


def _unownable(obj: Manifest) -> dict[str, Any]:
    return {key: value for key, value in obj["metadata"].items() if key in _UNOWNED}


def _refuse(contested: list[tuple[Entry, tuple[str, ...]]]) -> None:
    if not contested:
        return
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {one.shown}", "field": fieldsets.shown(path)}
        for one, path in contested
    ]
    if len(contested) == 1:
        one, path = contested[0]
        message = f"Apply failed with 1 conflict: conflict with {one.shown}: {fieldsets.shown(path)}"
    else:
        lines = []
        for name in sorted({one.shown for one, _ in contested}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {fieldsets.shown(path)}" for one, path in contested if one.shown == name]
        message = f"Apply failed with {len(contested)} conflicts: " + "\n".join(lines)
    raise Conflict(409, "Conflict", message, {"causes": causes})
