"""Sets of fields, in the form of `managedFields`: a tree whose keys are path elements.

`f:name` is a field, `k:{"name":"a"}` an item of a list by its keys, `v:"x"` an item of a set by its value. A node
without children is in the set; one with children only if it also has `.`. Sets are never changed, only made.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

FieldSet: TypeAlias = dict[str, Any]
Element: TypeAlias = str

SELF = "."


def holds(node: FieldSet) -> bool:
    """Whether the place of this node itself is in the set."""
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in either."""
    if not one or not other:
        return one or other
    made = dict(one)
    for key, node in other.items():
        if key not in made:
            made[key] = node
        elif key != SELF:
            made[key] = _join(made[key], node)
    return made


def _join(one: FieldSet, other: FieldSet) -> FieldSet:
    made = union(one, other)
    return made if not made or not (holds(one) or holds(other)) else {SELF: {}, **made}


def subtract(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in the first and not in the second."""
    made: FieldSet = {}
    for key, node in one.items():
        if key not in other:
            made[key] = node
        elif key != SELF:
            left = _without(node, other[key])
            if left is not None:
                made[key] = left
    return made


def _without(node: FieldSet, other: FieldSet) -> FieldSet | None:
    """A node without what another holds; None if nothing is left."""
    kept = holds(node) and not holds(other)
    children = subtract({key: one for key, one in node.items() if key != SELF}, other)
    if not kept:
        return children or None
    return {SELF: {}, **children} if children else {}


def intersect(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both."""
    made: FieldSet = {}
    for key, node in one.items():
        if key in other and key != SELF:
            there = other[key]
            children = intersect(node, there)
            if holds(node) and holds(there):
                made[key] = {SELF: {}, **children} if children else {}
            elif children:
                made[key] = children
    return made


def insert(tree: FieldSet, path: tuple[Element, ...]) -> None:
    """Put one place into a set that is still being made."""
    *above, last = path
    for element in above:
        node = tree.get(element)
        if node is None:
            node = tree[element] = _Open()
        elif type(node) is dict:
            node = tree[element] = _Open({SELF: {}})
        tree = node
    if last not in tree:
        tree[last] = {}
    elif type(tree[last]) is _Open:
        tree[last][SELF] = {}


class _Open(dict[str, Any]):
    """A node that is only passed through."""

    __slots__ = ()


def sealed(tree: FieldSet) -> FieldSet:
    """A set that was made by `insert`, ready for use: sorted, of plain dictionaries."""
    return {key: sealed(tree[key]) for key in sorted(tree)}


def paths(tree: FieldSet, before: tuple[Element, ...] = ()) -> Iterator[tuple[Element, ...]]:
    """Every place in the set."""
    for key in sorted(tree):
        if key == SELF:
            continue
        here = (*before, key)
        if holds(tree[key]):
            yield here
        yield from paths(tree[key], here)


def shown(path: tuple[Element, ...]) -> str:
    """A place for people: `.spec.containers[name="a"].image`."""
    return "".join(_shown(element) for element in path)


@lru_cache(4096)
def _shown(element: Element) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    value = msgspec.json.decode(rest)
    if kind == "k":
        named = (f"{key}={msgspec.json.encode(one).decode()}" for key, one in sorted(value.items()))
        return f"[{','.join(named)}]"
    return f"[={msgspec.json.encode(value).decode()}]" if kind == "v" else f"[{value}]"


@lru_cache(4096)
def field(name: str) -> Element:
    """The element of a field."""
    return f"f:{name}"


def keyed(keys: dict[str, Any]) -> Element:
    """The element of a list's item by its keys."""
    return f"k:{msgspec.json.encode(keys, order='sorted').decode()}"


def valued(value: Any) -> Element:
    """The element of a set's item by its value."""
    return f"v:{msgspec.json.encode(value, order='sorted').decode()}"
