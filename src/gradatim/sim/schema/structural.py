"""The schemas that CustomResourceDefinitions bring: how they are read, and how objects are read by them.

Reading prunes what the schema does not know, drops nulls where none belong, and fills in defaults. Nothing is refused
here; `schema.check` does that.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.copying import clone_value
from gradatim.sim.schema import model
from gradatim.sim.schema.declared import MapKey
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.reading import Path, Reading, shown

META = ("apiVersion", "kind", "metadata")

_LIMITS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)


class Rule(msgspec.Struct, frozen=True):
    """One of `x-kubernetes-validations`: an expression in CEL that must be true."""

    rule: str
    message: str = ""
    message_expression: str = ""
    reason: str = ""
    field_path: str = ""
    optional_old_self: bool = False


def parse(given: Manifest) -> Schema:
    """A schema from `openAPIV3Schema`."""
    made = Schema(kind=_kind(given), type=given.get("type", ""), format=given.get("format", ""))
    made.description = given.get("description", "")
    made.properties = {key: parse(one) for key, one in (given.get("properties") or {}).items()}
    made.item = _item(given)
    made.required = tuple(given.get("required") or ())
    made.nullable = bool(given.get("nullable"))
    made.preserve = bool(given.get("x-kubernetes-preserve-unknown-fields"))
    made.int_or_string = bool(given.get("x-kubernetes-int-or-string"))
    made.embedded = bool(given.get("x-kubernetes-embedded-resource"))
    made.enum = tuple(given.get("enum") or ())
    made.pattern = re.compile(_python_pattern(given["pattern"])) if given.get("pattern") else None
    made.limits = {key: given[key] for key in _LIMITS if given.get(key) is not None and given[key] is not False}
    made.limits |= {"pattern": given["pattern"]} if given.get("pattern") else {}
    if given.get("default") is not None:
        made.default = given["default"]
    made.all_of, made.any_of, made.one_of = (
        tuple(parse(one) for one in given.get(key) or ()) for key in ("allOf", "anyOf", "oneOf")
    )
    made.none_of = parse(given["not"]) if given.get("not") else None
    made.rules = tuple(_rule(one) for one in given.get("x-kubernetes-validations") or ())
    _ownership(made, given)
    return made


def _kind(given: Manifest) -> str:
    declared = given.get("type", "")
    if declared == "object":
        return model.OBJECT if given.get("properties") or not given.get("additionalProperties") else model.MAP
    kinds = {"array": model.LIST, "string": model.STRING, "integer": model.INTEGER}
    return (kinds | {"number": model.NUMBER, "boolean": model.BOOLEAN}).get(declared, model.ANY)


def _item(given: Manifest) -> Schema | None:
    if given.get("items"):
        return parse(given["items"])
    additional = given.get("additionalProperties")
    if isinstance(additional, dict):
        return parse(additional)
    return Schema(preserve=True) if additional is True else None


def _rule(given: Manifest) -> Rule:
    return Rule(
        given["rule"],
        given.get("message", ""),
        given.get("messageExpression", ""),
        given.get("reason", ""),
        given.get("fieldPath", ""),
        bool(given.get("optionalOldSelf")),
    )


def _ownership(made: Schema, given: Manifest) -> None:
    list_type, map_type = given.get("x-kubernetes-list-type", ""), given.get("x-kubernetes-map-type", "")
    made.set = list_type == "set"
    made.keys = tuple(given.get("x-kubernetes-list-map-keys") or ()) if list_type == "map" else ()
    made.atomic = map_type == "atomic" or (made.kind == model.LIST and not made.set and not made.keys)


@functools.lru_cache(1024)
def _python_pattern(pattern: str) -> str:
    """A Go regular expression as Python reads it."""
    return pattern.replace(r"\z", r"\Z").replace("[[:alnum:]]", "[0-9A-Za-z]")


def read(schema: Schema, obj: Manifest, reading: Reading) -> Manifest:
    """A fresh copy of an object without its metadata: pruned, without stray nulls, with defaults."""
    body = {key: value for key, value in obj.items() if key != "metadata"}
    unknown: list[str] = []
    made: Manifest = _object(schema, body, None, unknown, root=True)
    reading.unknown += sorted(unknown)
    return made


def _value(schema: Schema | None, value: Any, path: Path, unknown: list[str]) -> Any:
    kind = type(value)
    if kind is dict:
        if schema is None:
            return clone_value(value)
        return _object(schema, value, path, unknown, root=False)
    if kind is list:
        item = schema.item if schema is not None else None
        if schema is None or (item is None and schema.preserve):
            return clone_value(value)
        made = []
        for index, one in enumerate(value):
            if one is None and item is not None and not item.nullable and item.default is not msgspec.UNSET:
                one = clone_value(item.default)  # noqa: PLW2901 - a null that stands for its default
            made.append(_value(item or _NOTHING, one, (path, index), unknown))
        return made
    return int(value) if kind is float and value.is_integer() else value


_NOTHING = Schema()


def _object(schema: Schema, value: Manifest, path: Path, unknown: list[str], *, root: bool) -> Manifest:
    made: Manifest = {}
    item = schema.item if schema.kind != model.LIST else None
    for key, one in value.items():
        if (root or schema.embedded) and key in META:
            made[key] = one if root else clone_value(one)
            continue
        field = schema.properties.get(key)
        if field is None:
            if item is not None:
                if one is not None or item.nullable or item.preserve:
                    made[key] = _value(item, one, (path, MapKey(key)), unknown)
                elif item.default is not msgspec.UNSET:
                    made[key] = clone_value(item.default)
            elif schema.preserve:
                made[key] = clone_value(one)
            else:
                unknown.append(shown((path, key)))
        elif one is not None or field.nullable:
            made[key] = _value(field, one, (path, key), unknown)
    for key, field in schema.properties.items():
        if key not in made and field.default is not msgspec.UNSET:
            made[key] = _value(field, clone_value(field.default), (path, key), [])
    return made
