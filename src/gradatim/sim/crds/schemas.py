"""Which schemas a definition may bring: structural ones, with a type for every value and defaults that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradatim.ports.objects import Manifest
from gradatim.sim import cel
from gradatim.sim.refusals import Cause, forbidden_field, invalid, required, unsupported
from gradatim.sim.schema import check as checking
from gradatim.sim.schema import formats, structural
from gradatim.sim.schema.reading import Reading

TYPES = ("array", "boolean", "integer", "number", "object", "string")
FORMATS = {
    "integer": frozenset(("int32", "int64")),
    "number": frozenset(("float", "double")),
    "string": formats.KNOWN,
}

_UNKNOWN_KEYS = ("$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
_BRANCHES = ("allOf", "anyOf", "oneOf")
_LIST_TYPE, _LIST_KEYS, _MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
_PRESERVE, _EMBEDDED, _RULES = (
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-validations",
)
_INT_OR_STRING = "x-kubernetes-int-or-string"
_NOT_IN_BRANCHES = {
    "type": "empty",
    "title": "empty",
    "description": "empty",
    "additionalProperties": "undefined",
    "default": "undefined",
    "nullable": "false",
    _PRESERVE: "false",
    _EMBEDDED: "false",
    _INT_OR_STRING: "false",
}
_EITHER = [{"type": "integer"}, {"type": "string"}]
_NO_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def check(schema: Manifest, path: str) -> Iterator[Cause]:
    """Everything that is wrong with the schema of a version."""
    yield from _check_node(schema, path, "root")
    if schema.get("type") not in (None, "", "object"):
        yield invalid(f"{path}.type", schema["type"], "must be object at the root")
    named = (schema.get("properties") or {}).get("metadata")
    if named is not None:
        if named.get("type") != "object":
            yield invalid(f"{path}.properties[metadata].type", named.get("type", ""), "must be object")
        if set(named.get("properties") or ()) - {"name", "generateName"}:
            detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden_field(f"{path}.properties[metadata]", detail)


def has_defaults(schema: Manifest) -> bool:
    """Whether anything in it has a default."""
    return "default" in schema or any(has_defaults(one) for _, one, _ in _children(schema, ""))


def unknown_formats(schema: Manifest) -> Iterator[str]:
    """Formats that no server knows."""
    if schema.get("format") and schema["format"] not in FORMATS.get(schema.get("type", ""), ()):
        yield schema["format"]
    for _, one, _ in _children(schema, ""):
        yield from unknown_formats(one)


def leads_somewhere(schema: Manifest, path: str) -> bool:
    """Whether a simple JSON path names a field of the schema."""
    for key in path.removeprefix(".").split("."):
        found = (schema.get("properties") or {}).get(key)
        if found is None:
            return False
        schema = found
    return True


def _children(schema: Manifest, path: str) -> Iterator[tuple[str, Manifest, str]]:
    """Every value below, with its path and with what it is to this one."""
    for key, one in (schema.get("properties") or {}).items():
        yield f"{path}.properties[{key}]", one, "field"
    if isinstance(schema.get("items"), dict):
        yield f"{path}.items", schema["items"], "item"
    if isinstance(schema.get("additionalProperties"), dict):
        yield f"{path}.additionalProperties", schema["additionalProperties"], "field"


def _check_node(schema: Manifest, path: str, place: str) -> Iterator[Cause]:
    yield from _check_keywords(schema, path)
    yield from _check_type(schema, path, place)
    yield from _check_shape(schema, path)
    yield from _check_list(schema, path)
    yield from _check_branches(schema, path)
    yield from _check_rules(schema, path)
    if "default" in schema and place != "root":
        yield from _check_default(schema, path)
    for where, one, what in _children(schema, path):
        yield from _check_node(one, where, what)


def _check_keywords(schema: Manifest, path: str) -> Iterator[Cause]:
    for key in _UNKNOWN_KEYS:
        if schema.get(key):
            yield forbidden_field(f"{path}.{key}", f"{key} is not supported")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden_field(f"{path}.uniqueItems", detail)
    if schema.get(_PRESERVE) is False:
        yield invalid(f"{path}.{_PRESERVE}", False, "must be true or undefined")
    if schema.get("pattern"):
        try:
            re.compile(schema["pattern"])
        except re.error as error:
            told = f"must be a valid regular expression, but isn't: error parsing regexp: {_go_error(error)}"
            yield invalid(f"{path}.pattern", schema["pattern"], told)


def _go_error(error: re.error) -> str:
    if "missing )" in error.msg:
        return f"missing closing ): `{error.pattern!s}`"
    return f"{error.msg}: `{error.pattern!s}`"


def _check_type(schema: Manifest, path: str, place: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    if kind and kind not in TYPES:
        yield unsupported(f"{path}.type", kind, TYPES)
    if not kind and not schema.get(_INT_OR_STRING) and not schema.get(_PRESERVE):
        yield required(f"{path}.type", _NO_TYPE[place])


def _check_shape(schema: Manifest, path: str) -> Iterator[Cause]:
    if schema.get("properties") and schema.get("additionalProperties"):
        detail = "additionalProperties and properties are mutual exclusive"
        yield forbidden_field(f"{path}.additionalProperties", detail)
    items = schema.get("items")
    if isinstance(items, list):
        yield forbidden_field(f"{path}.items", "items must be a schema object and not an array")
    elif schema.get("type") == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if schema.get(_EMBEDDED):
        if schema.get("type") != "object":
            detail = "must be object if x-kubernetes-embedded-resource is true"
            yield invalid(f"{path}.type", schema.get("type", ""), detail)
        if not schema.get("properties") and not schema.get(_PRESERVE):
            detail = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
            yield required(f"{path}.properties", detail)
    map_type = schema.get(_MAP_TYPE)
    if map_type is not None and map_type not in ("atomic", "granular"):
        yield unsupported(f"{path}.{_MAP_TYPE}", map_type, ("atomic", "granular"))
    elif map_type is not None and schema.get("type") != "object":
        yield invalid(f"{path}.type", schema.get("type", ""), f"must be object if {_MAP_TYPE} is specified")


def _check_list(schema: Manifest, path: str) -> Iterator[Cause]:
    list_type, keys = schema.get(_LIST_TYPE), schema.get(_LIST_KEYS) or []
    items = schema["items"] if isinstance(schema.get("items"), dict) else {}
    if keys and list_type != "map":
        yield required(f"{path}.{_LIST_TYPE}", f"must be map if {_LIST_KEYS} is non-empty")
    if list_type is None:
        return
    if list_type not in ("atomic", "set", "map"):
        yield unsupported(f"{path}.{_LIST_TYPE}", list_type, ("atomic", "set", "map"))
    elif schema.get("type") != "array":
        yield invalid(f"{path}.type", schema.get("type", ""), f"must be array if {_LIST_TYPE} is specified")
    elif list_type == "map":
        yield from _check_map_list(items, keys, path)
    elif list_type == "set":
        yield from _check_set(items, path)


def _check_map_list(items: Manifest, keys: list[str], path: str) -> Iterator[Cause]:
    if items.get("type") != "object":
        detail = f"must be object if parent array's {_LIST_TYPE} is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), detail)
    if not keys:
        yield required(f"{path}.{_LIST_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
    fields = items.get("properties") or {}
    if [key for key in keys if key not in fields]:
        yield invalid(f"{path}.{_LIST_KEYS}", keys, "entries must all be names of item properties")
    for key in keys:
        if key in fields and key not in (items.get("required") or ()) and "default" not in fields[key]:
            detail = f"this property is in {_LIST_KEYS}, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", detail)


def _check_set(items: Manifest, path: str) -> Iterator[Cause]:
    if items.get("nullable"):
        yield forbidden_field(f"{path}.items.nullable", f"cannot be nullable when {_LIST_TYPE} is set")
    needed = {"object": _MAP_TYPE, "array": _LIST_TYPE}.get(items.get("type", ""))
    if needed and items.get(needed) != "atomic":
        detail = f"must be atomic as item of a list with {_LIST_TYPE}=set"
        yield invalid(f"{path}.items.{needed}", items.get(needed), detail)


def _check_branches(schema: Manifest, path: str) -> Iterator[Cause]:
    for key in _BRANCHES:
        for index, one in enumerate(schema.get(key) or ()):
            allowed = schema.get(_INT_OR_STRING) and schema.get("anyOf") == _EITHER and key == "anyOf"
            if not allowed and not (key == "allOf" and index == 0 and one == {"anyOf": _EITHER}):
                yield from _check_branch(one, f"{path}.{key}[{index}]")
    if schema.get("not"):
        yield from _check_branch(schema["not"], f"{path}.not")


def _check_branch(branch: Manifest, path: str) -> Iterator[Cause]:
    for key, wanted in _NOT_IN_BRANCHES.items():
        if branch.get(key) not in (None, "", False):
            yield forbidden_field(f"{path}.{key}", f"must be {wanted} to be structural")
    for where, one, _ in _children(branch, path):
        yield from _check_branch(one, where)
    yield from _check_branches(branch, path)


def _check_rules(schema: Manifest, path: str) -> Iterator[Cause]:
    for index, one in enumerate(schema.get(_RULES) or ()):
        rule, where = one.get("rule", ""), f"{path}.{_RULES}[{index}].rule"
        if not rule.strip():
            yield required(where, "rule is not specified")
            continue
        try:
            unknown = cel.undefined(cel.parse(rule), schema)
        except cel.Misspelt as error:
            yield invalid(where, _spelt(one), f"compilation failed: ERROR: <input>:1:1: Syntax error: {error}")
            continue
        if unknown:
            column = rule.index(f".{unknown}") if f".{unknown}" in rule else 0
            told = f"ERROR: <input>:1:{column + 1}: undefined field '{unknown}'\n | {rule}\n | {'.' * column}^"
            yield invalid(where, _spelt(one), f"compilation failed: {told}")


def _spelt(rule: Manifest) -> Manifest:
    """A rule as the server's own sentence spells it."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _check_default(schema: Manifest, path: str) -> Iterator[Cause]:
    value, where = schema["default"], f"{path}.default"
    if _invalid_below(schema):
        return
    parsed, reading = structural.parse(schema), Reading("Warn")
    if isinstance(value, dict):
        structural.read(parsed, value, reading)
    if reading.unknown:
        yield invalid(where, value, "must not have unknown fields")
    for cause in checking.check(parsed, value, "", None, updating=False):
        field = where if cause.field in ("", checking.NOWHERE) else f"{where}.{cause.field}"
        yield Cause(cause.type, field, cause.message)


def _invalid_below(schema: Manifest) -> bool:
    """Whether the schema cannot even be read; that is told elsewhere."""
    bare = {key: value for key, value in schema.items() if key != "default"}
    return any(True for _ in _check_node(bare, "", "field"))
