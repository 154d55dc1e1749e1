"""The tables of custom resources, by the printer columns of their definition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.tables.columns import Cells, Column, Layout, age, heads, since
from gradatim.sim.tables.jsonpath import find


def layout(columns: Iterable[Manifest]) -> Layout:
    """The layout of one version; without columns of its own a kind shows its age."""
    declared = list(columns)
    if not declared:
        return Layout(heads("Name", "Age:date"), lambda obj, now: [obj["metadata"]["name"], age(obj, now)])
    made = [_column(one) for one in declared]
    paths = [str(one["jsonPath"]) for one in declared]

    def row(obj: Manifest, now: float) -> Cells:
        return [obj["metadata"]["name"], *(_cell(c, path, obj, now) for c, path in zip(made, paths, strict=True))]

    return Layout((*heads("Name"), *made), row)


def _column(one: Manifest) -> Column:
    about = one.get("description") or f"Custom resource definition column (in JSONPath format): {one['jsonPath']}"
    return Column(one["name"], one["type"], one.get("format", ""), about, one.get("priority", 0))


def _cell(column: Column, path: str, obj: Manifest, now: float) -> Any:
    found = find(path, obj)
    if not found or found[0] is None:
        return None
    value = found[0]
    match column.type:
        case "string":
            return value if isinstance(value, str) else msgspec.json.encode(value).decode()
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _date(value, now)
    return None


def _date(value: Any, now: float) -> str:
    try:
        return since(value, now)
    except (ValueError, TypeError):
        return "<invalid>"
