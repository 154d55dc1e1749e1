"""Objects as server-side apply sees them: what differs, what is written down, what two of them make together."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.sim.copying import clone_value
from gradatim.sim.patches.fieldsets import Element, FieldSet, field, insert, keyed, sealed, shown, valued
from gradatim.sim.schema import model
from gradatim.sim.schema.model import Schema

FREE = Schema(kind=model.ANY, preserve=True)
"""Of what no schema speaks: objects are taken apart, lists are not."""

_ABSENT = msgspec.UNSET


class Undeclared(Exception):
    """An applied object has a field that its schema does not know, or a list item that cannot be told apart."""


class Changes(msgspec.Struct):
    """What is different in one object from another."""

    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}

    def close(self) -> Changes:
        """The same, ready for use."""
        return Changes(sealed(self.added), sealed(self.modified), sealed(self.removed))

    @property
    def none(self) -> bool:
        """Whether there is no difference."""
        return not (self.added or self.modified or self.removed)


def compare(schema: Schema, old: Any, new: Any) -> Changes:
    """What is added, modified and removed on the way from one object to the other."""
    found = Changes()
    _compare(schema, old, new, (), found)
    return found.close()


def _compare(schema: Schema, old: Any, new: Any, path: tuple[Element, ...], found: Changes) -> None:
    if old is not _ABSENT and type(old) is type(new) and old == new:
        return
    if _is_leaf(schema, old, new):
        if path:
            kind = found.added if old is _ABSENT else found.removed if new is _ABSENT else found.modified
            insert(kind, path)
        return
    if isinstance(old, dict) or isinstance(new, dict):
        before, after = old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}
        for key in before | after:
            child = child_of(schema, key)
            _compare(child, before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, field(key)), found)
    else:
        known, there = items(schema, old), items(schema, new)
        for element in known | there:
            child = schema.item or FREE
            _compare(child, known.get(element, _ABSENT), there.get(element, _ABSENT), (*path, element), found)
    if path and old is _ABSENT:
        insert(found.added, path)
    elif path and new is _ABSENT:
        insert(found.removed, path)


def _is_leaf(schema: Schema, *values: Any) -> bool:
    """Whether a place is one thing: a scalar, an atomic list or object, or nothing but emptiness."""
    if schema.atomic or not any(isinstance(one, dict | list) and one for one in values):
        return True
    return any(isinstance(one, list) for one in values) and not (schema.keys or schema.set)


def child_of(schema: Schema, key: str) -> Schema:
    """The schema of a field; free if nobody speaks of it."""
    return schema.properties.get(key) or (schema.item if schema.kind == model.MAP else None) or FREE


def items(schema: Schema, value: Any) -> dict[Element, Any]:
    """The items of a list by what tells them apart; of doubles the first."""
    found: dict[Element, Any] = {}
    for one in value if isinstance(value, list) else ():
        found.setdefault(_element(schema, one, strict=False), one)
    return found


def _element(schema: Schema, one: Any, *, strict: bool) -> Element:
    if schema.set:
        return valued(one)
    keys: dict[str, Any] = {}
    for key in schema.keys:
        declared = schema.item.properties.get(key) if schema.item else None
        if isinstance(one, dict) and one.get(key) is not None:
            keys[key] = one[key]
        elif declared is not None and declared.default is not msgspec.UNSET:
            keys[key] = declared.default
        elif declared is not None and declared.always and declared.kind == model.STRING:
            keys[key] = ""
        elif strict:
            raise Undeclared(f'element 0: associative list with keys has an element that omits key field "{key}"')
    return keyed(keys)


def fields_of(schema: Schema, value: Any) -> FieldSet:
    """Every place that an applied object speaks of; Undeclared if it speaks of what is not there."""
    found: FieldSet = {}
    _collect(schema, value, (), found)
    return sealed(found)


def _collect(schema: Schema, value: Any, path: tuple[Element, ...], found: FieldSet) -> None:
    _expect(schema, value, path)
    if schema.atomic or not isinstance(value, dict | list):
        if path:
            insert(found, path)
        return
    if isinstance(value, dict):
        for key, one in value.items():
            if not path and key in ("apiVersion", "kind"):
                continue
            declared = key in schema.properties
            if not declared and schema.kind == model.OBJECT and not schema.preserve:
                raise Undeclared(f"{_place(path, key)}: field not declared in schema")
            below = (*path, field(key))
            _collect(child_of(schema, key), one, below, found)
            if not declared or one is None or one == {}:
                insert(found, below)
    elif schema.keys or schema.set:
        seen: set[Element] = set()
        for one in value:
            element = _element(schema, one, strict=True)
            if element in seen:
                raise Undeclared(f"{_place(path)}: duplicate entries for key {element[2:]}")
            seen.add(element)
            _collect(schema.item or FREE, one, (*path, element), found)
            insert(found, (*path, element))
    elif path:
        insert(found, path)


_EXPECTED: dict[str, tuple[type | tuple[type, ...], str]] = {
    model.STRING: (str, "string"),
    model.BOOLEAN: (bool, "boolean"),
    model.INTEGER: ((int, float), "numeric (int or float)"),
    model.NUMBER: ((int, float), "numeric (int or float)"),
    model.LIST: (list, "list"),
    model.OBJECT: (dict, "map"),
    model.MAP: (dict, "map"),
}


def _expect(schema: Schema, value: Any, path: tuple[Element, ...]) -> None:
    wanted, name = _EXPECTED.get(schema.kind, (object, ""))
    if schema.go == "Quantity" or value is None or isinstance(value, wanted):
        return
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    raise Undeclared(f"{_place(path)}: expected {name}, got &value.valueUnstructured{{Value:{text}}}")


def _place(path: tuple[Element, ...], key: str = "") -> str:
    return shown(path) + (f".{key}" if key else "")


def merge(schema: Schema, live: Any, applied: Any) -> Any:
    """A live object with what was applied on top."""
    if applied is _ABSENT:
        return live
    if schema.atomic or live is _ABSENT:
        return clone_value(applied)
    if isinstance(live, dict) and isinstance(applied, dict):
        made = dict(live)
        for key, one in applied.items():
            made[key] = merge(child_of(schema, key), live.get(key, _ABSENT), one)
        return made
    if isinstance(live, list) and isinstance(applied, list) and (schema.keys or schema.set):
        return _merge_lists(schema, live, applied)
    return clone_value(applied)


def _merge_lists(schema: Schema, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items that both have in the order of the applied ones; the rest stay near where they were."""
    known, wanted = items(schema, live), items(schema, applied)
    item = schema.item or FREE
    left, right = list(known), list(wanted)
    made: list[Any] = []
    taken: set[Element] = set()
    while left or right:
        if left and (left[0] in taken):
            left.pop(0)
        elif left and left[0] not in wanted:
            made.append(known[left.pop(0)])
        elif right:
            element = right.pop(0)
            taken.add(element)
            made.append(merge(item, known.get(element, _ABSENT), wanted[element]))
    return made


def prune(schema: Schema, value: Any, last: FieldSet, owned: FieldSet) -> Any:
    """The object without what its applier no longer applies and nobody else owns."""
    if isinstance(value, dict):
        made = dict(value)
        for element, node in last.items():
            name = element[2:]
            if not element.startswith("f:") or name not in made:
                continue
            if element not in owned:
                del made[name]
            elif node:
                made[name] = prune(child_of(schema, name), made[name], node, owned[element])
        return made
    if isinstance(value, list) and (schema.keys or schema.set):
        kept = []
        for one in value:
            element = _element(schema, one, strict=False)
            if element in last and element not in owned:
                continue
            deeper = last.get(element)
            kept.append(prune(schema.item or FREE, one, deeper, owned[element]) if deeper and element in owned else one)
        return kept
    return value
