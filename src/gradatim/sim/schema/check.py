"""Whether a custom resource is what its schema says, in the server's own sentences.

On an update a part that stays as it was is not looked at again, so that a stricter schema does not lock old objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gradatim.sim.refusals import Cause, duplicate, invalid, required, too_long, too_many, unsupported, wrong_type
from gradatim.sim.schema import formats, model
from gradatim.sim.schema.model import Schema

NOWHERE = "<nil>"
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_INT_LIMITS = {"int32": 2**31, "int64": 2**63, "": 2**63}


def check(schema: Schema, value: Any, path: str, old: Any = None, *, updating: bool = False) -> Iterator[Cause]:
    """What is wrong with a value; with `updating`, `old` is what stood in its place."""
    if updating and type(value) is type(old) and value == old:
        return
    kinds = ("integer", "string") if schema.int_or_string else (schema.type,) if schema.type else ()
    if value is None:
        if kinds and not schema.nullable:
            yield _mistyped(path, "null", kinds)
        return
    if kinds and not _is_of(value, kinds):
        yield _mistyped(path, _TYPES[type(value)], kinds)
    yield from _combined(schema, value, path)
    if schema.enum and not any(_equal(value, one) for one in schema.enum):
        yield unsupported(path, value, (one if isinstance(one, str) else _json(one) for one in schema.enum))
    if isinstance(value, str):
        yield from _string(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, path)
    elif isinstance(value, list):
        yield from _list(schema, value, path, old, updating=updating)
    elif isinstance(value, dict):
        yield from _object(schema, value, path, old, updating=updating)


def _is_of(value: Any, kinds: tuple[str, ...]) -> bool:
    kind = _TYPES[type(value)]
    if kind in kinds or (kind == "integer" and "number" in kinds):
        return True
    return kind == "number" and "integer" in kinds and float(value).is_integer()


def _mistyped(path: str, found: str, kinds: tuple[str, ...]) -> Cause:
    return wrong_type(path or NOWHERE, found, f'{path} in body must be of type {",".join(kinds)}: "{found}"')


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if schema.any_of:
        outcomes = [list(check(one, value, path)) for one in schema.any_of]
        if all(outcomes):
            yield invalid(NOWHERE, "", f'"{path}" must validate at least one schema (anyOf)')
            yield from _closest(outcomes)
    if schema.one_of:
        outcomes = [list(check(one, value, path)) for one in schema.one_of]
        fitting = sum(1 for outcome in outcomes if not outcome)
        if fitting != 1:
            told = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
            yield invalid(NOWHERE, "", f'"{path}" must validate one and only one schema (oneOf). {told}')
            if not fitting:
                yield from _closest(outcomes)
    if schema.all_of:
        outcomes = [list(check(one, value, path)) for one in schema.all_of]
        yield from (cause for outcome in outcomes for cause in outcome)
        if any(outcomes):
            none = ". None validated" if all(outcomes) else ""
            yield invalid(NOWHERE, "", f'"{path}" must validate all the schemas (allOf){none}')
    if schema.none_of is not None and not list(check(schema.none_of, value, path)):
        yield invalid(NOWHERE, "", f'"{path}" must not validate the schema (not)')


def _closest(outcomes: list[list[Cause]]) -> list[Cause]:
    """The complaints of the alternative that fits best; of several, the first."""
    return min(outcomes, key=len)


def _string(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    limits = schema.limits
    if "maxLength" in limits and len(value) > limits["maxLength"]:
        yield too_long(path, limits["maxLength"])
    elif "minLength" in limits and len(value) < limits["minLength"]:
        yield invalid(path, value, f"{path} in body should be at least {limits['minLength']} chars long")
    elif schema.pattern is not None and not schema.pattern.search(value):
        yield invalid(path, value, f"{path} in body should match '{limits['pattern']}'")
    if schema.format and not schema.int_or_string and not formats.fits(schema.format, value):
        yield wrong_type(path, value, f'{path} in body must be of type {schema.format}: "{value}"')


def _number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    limits = schema.limits
    if schema.type == "integer":
        bound = _INT_LIMITS.get(schema.format, 2**63)
        if not (float(value).is_integer() and -bound <= value < bound):
            kind = f"with format {schema.format}" if schema.format in ("int32", "int64") else "(default format)"
            yield invalid(NOWHERE, "", f"Checked value must be of type integer {kind} in {path}")
    if "multipleOf" in limits and not (value / limits["multipleOf"]).is_integer():
        yield invalid(path, value, f"{path} in body should be a multiple of {_go(limits['multipleOf'])}")
    if "maximum" in limits:
        exclusive = limits.get("exclusiveMaximum")
        if value > limits["maximum"] or (exclusive and value == limits["maximum"]):
            word = "less than" if exclusive else "less than or equal to"
            yield invalid(path, value, f"{path} in body should be {word} {_go(limits['maximum'])}")
    if "minimum" in limits:
        exclusive = limits.get("exclusiveMinimum")
        if value < limits["minimum"] or (exclusive and value == limits["minimum"]):
            word = "greater than" if exclusive else "greater than or equal to"
            yield invalid(path, value, f"{path} in body should be {word} {_go(limits['minimum'])}")


def _go(number: float) -> str:
    """A number as Go prints it."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e21 else repr(float(number))


def _list(schema: Schema, value: list[Any], path: str, old: Any, *, updating: bool) -> Iterator[Cause]:
    limits = schema.limits
    if schema.item is not None:
        known = _by_key(schema, old) if updating and isinstance(old, list) else {}
        for index, one in enumerate(value):
            before = known.get(_key(schema, one))
            yield from check(schema.item, one, f"{path}[{index}]", before, updating=before is not None)
    if "minItems" in limits and len(value) < limits["minItems"]:
        yield invalid(path, len(value), f"{path} in body should have at least {limits['minItems']} items")
    if "maxItems" in limits and len(value) > limits["maxItems"]:
        yield too_many(path, len(value), limits["maxItems"])
    if limits.get("uniqueItems") and any(one in value[:index] for index, one in enumerate(value)):
        yield invalid(path, "", f"{path} in body shouldn't contain duplicates")


def _by_key(schema: Schema, old: list[Any]) -> dict[Any, Any]:
    return {_key(schema, one): one for one in old if _key(schema, one) is not None}


def _key(schema: Schema, one: Any) -> Any:
    if not schema.keys or not isinstance(one, dict):
        return None
    return tuple(_json(one.get(key)) for key in schema.keys)


def _object(schema: Schema, value: dict[str, Any], path: str, old: Any, *, updating: bool) -> Iterator[Cause]:
    limits, before = schema.limits, old if updating and isinstance(old, dict) else {}
    if "minProperties" in limits and len(value) < limits["minProperties"]:
        yield invalid(path, len(value), f"{path} in body should have at least {limits['minProperties']} properties")
    if "maxProperties" in limits and len(value) > limits["maxProperties"]:
        yield too_many(path, len(value), limits["maxProperties"])
    for key, one in value.items():
        field = schema.properties.get(key) or (schema.item if schema.kind != model.LIST else None)
        if field is not None:
            deeper = f"{path}.{key}" if path else key
            yield from check(field, one, deeper, before.get(key), updating=updating and key in before)
    for key in schema.required:
        if key not in value:
            yield required(f"{path}.{key}" if path else key)


def check_lists(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Items that occur twice where each may occur once, and items that are nothing one could tell apart."""
    if isinstance(value, dict):
        for key, one in value.items():
            if field := schema.child(key):
                named = key in schema.properties
                yield from check_lists(field, one, (f"{path}.{key}" if path else key) if named else f"{path}[{key}]")
    elif isinstance(value, list):
        yield from _check_keys(schema, value, path)
        if schema.item is not None:
            for index, one in enumerate(value):
                yield from check_lists(schema.item, one, f"{path}[{index}]")


def _check_keys(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    if schema.keys:
        for index, one in enumerate(value):
            if not isinstance(one, dict) and one is not None:
                yield invalid(f"{path}[{index}]", one, "must be an object for an array of list-type map")
                return
    elif not schema.set:
        return
    times: dict[str, int] = {}
    for index, one in enumerate(value):
        shown = {key: one[key] for key in schema.keys if key in (one or {})} if schema.keys else one
        times[_json(shown)] = times.get(_json(shown), 0) + 1
        if times[_json(shown)] == 2:
            yield duplicate(f"{path}[{index}]", shown)


def _equal(one: Any, other: Any) -> bool:
    return (isinstance(one, bool) is isinstance(other, bool)) and bool(one == other)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


__all__ = ["NOWHERE", "check", "check_lists"]
