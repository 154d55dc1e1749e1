"""Strategic merge patch: a merge patch that knows which lists are sets of named things.

Containers are found by their names, ports by their numbers; `$patch: delete` removes one, `$setElementOrder/…` orders
them, `$deleteFromPrimitiveList/…` removes plain values, `$retainKeys` says what may remain of an object.
"""

from __future__ import annotations

from typing import Any

from gradatim.sim.copying import clone_value
from gradatim.sim.schema.model import Schema

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"


class Unmergeable(Exception):
    """The patch does not fit the type."""


def apply(document: Any, patch: Any, schema: Schema | None) -> Any:
    """A changed copy of an object."""
    if not isinstance(patch, dict):
        return clone_value(patch)
    directive = patch.get(PATCH)
    if directive == "replace":
        return {key: clone_value(value) for key, value in patch.items() if key != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise Unmergeable(f"unrecognized patch directive type: {directive}")
    made = dict(document) if isinstance(document, dict) else {}
    retained = patch.get(RETAIN)
    if retained is not None:
        made = {key: value for key, value in made.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(DELETE):
            name = key.removeprefix(DELETE)
            made[name] = [one for one in made.get(name) or () if one not in value]
        elif not key.startswith("$"):
            _merge_field(made, key, value, schema.child(key) if schema else None)
    for key, order in patch.items():
        name = key.removeprefix(ORDER)
        field = schema.child(name) if schema else None
        if key.startswith(ORDER) and isinstance(made.get(name), list) and field and field.merge_key is not None:
            before = document.get(name) if isinstance(document, dict) else None
            made[name] = _ordered(made[name], order, before or [], field.merge_key)
    return made


def _merge_field(made: dict[str, Any], key: str, value: Any, schema: Schema | None) -> None:
    if value is None:
        made.pop(key, None)
    elif isinstance(value, list):
        made[key] = _merge_list(made.get(key), value, schema)
    elif isinstance(value, dict):
        made[key] = apply(made.get(key), value, schema)
    else:
        made[key] = value


def _merge_list(current: Any, patch: list[Any], schema: Schema | None) -> list[Any]:
    if schema is None or schema.merge_key is None:
        return _stripped(patch)
    before = list(current or ())
    if not schema.merge_key:
        return _ordered([*before, *(one for one in patch if one not in before)], patch, before, "")
    if any(isinstance(one, dict) and one.get(PATCH) == "replace" and len(one) == 1 for one in patch):
        return [clone_value(one) for one in patch if one.get(PATCH) != "replace"]
    made = list(before)
    for one in patch:
        if not isinstance(one, dict) or schema.merge_key not in one:
            raise Unmergeable(f"map: {go_map(one)} does not contain declared merge key: {schema.merge_key}")
        places = [at for at, item in enumerate(made) if item.get(schema.merge_key) == one[schema.merge_key]]
        if one.get(PATCH) == "delete":
            made = [item for at, item in enumerate(made) if at not in places]
        elif places:
            made[places[0]] = apply(made[places[0]], one, schema.item)
        else:
            made.append(apply({}, one, schema.item))
    named = [one for one in patch if one.get(PATCH) != "delete"]
    return _ordered(made, named, before, schema.merge_key)


def go_map(value: Any) -> str:
    """A decoded object as Go prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_map(one)}' for key, one in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_map(one) for one in value)}]"
    if value is None or isinstance(value, bool):
        return "<nil>" if value is None else str(value).lower()
    return str(value)


def _stripped(patch: list[Any]) -> list[Any]:
    """A list that replaces: without what only steers the patch."""
    return [apply({}, one, None) if isinstance(one, dict) else clone_value(one) for one in patch]


def _ordered(made: list[Any], order: list[Any], before: list[Any], key: str) -> list[Any]:
    """Items that the client knows in its order; those only the server knows stay before what they stood before."""

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted, stood = [name(one) for one in order], [name(one) for one in before]
    known = sorted((item for item in made if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    others = [item for item in made if name(item) not in wanted]
    result: list[Any] = []
    while known and others:
        first, second = name(others[0]), name(known[0])
        earlier = first in stood and second in stood and stood.index(first) < stood.index(second)
        result.append(others.pop(0) if earlier else known.pop(0))
    return [*result, *known, *others]
