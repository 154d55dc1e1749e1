"""Whether an expression speaks only of fields that a schema has. What cannot be followed is not complained of."""

from __future__ import annotations

from gradatim.ports.objects import Manifest
from gradatim.sim.cel.functions import MACROS
from gradatim.sim.cel.syntax import Call, Index, ListOf, MapOf, Name, Node, Select

Known = dict[str, Manifest]
_KEPT = ("filter",)
_META = ("apiVersion", "kind", "metadata")


def undefined(node: Node, schema: Manifest) -> str:
    """The first field that `self` or `oldSelf` cannot have; empty if there is none."""
    found: list[str] = []
    _follow(node, {"self": schema, "oldSelf": schema}, found)
    return found[0] if found else ""


def _follow(node: Node, known: Known, found: list[str]) -> Manifest | None:
    """The schema of what an expression gives, as far as it can be told."""
    match node:
        case Name(name):
            return known.get(name)
        case Select(of, field):
            return _field(_follow(of, known, found), field, found)
        case Index(of, at):
            _follow(at, known, found)
            return _item(_follow(of, known, found))
        case Call():
            return _call(node, known, found)
        case ListOf(items):
            for one in items:
                _follow(one, known, found)
        case MapOf(pairs):
            for key, value in pairs:
                _follow(key, known, found)
                _follow(value, known, found)
    return None


def _call(node: Call, known: Known, found: list[str]) -> Manifest | None:
    on = _follow(node.on, known, found) if node.on is not None else None
    first = node.arguments[0] if node.arguments else None
    if node.on is not None and node.function in MACROS and isinstance(first, Name):
        inner = {key: value for key, value in known.items() if key != first.name}
        item = _item(on)
        if item is not None and on is not None and on.get("type") == "array":
            inner[first.name] = item
        for one in node.arguments[1:]:
            _follow(one, inner, found)
        return on if node.function in _KEPT else None
    for one in node.arguments:
        _follow(one, known, found)
    return None


def _field(schema: Manifest | None, field: str, found: list[str]) -> Manifest | None:
    if schema is None:
        return None
    properties = schema.get("properties") or {}
    known = _item(schema) if schema.get("additionalProperties") else properties.get(field)
    open_ended = schema.get("additionalProperties") or schema.get("x-kubernetes-preserve-unknown-fields")
    if known is None and not open_ended and schema.get("type") == "object" and field not in _META:
        found.append(field)
    return known


def _item(schema: Manifest | None) -> Manifest | None:
    inner = (schema or {}).get("items") or (schema or {}).get("additionalProperties")
    return inner if isinstance(inner, dict) else None
