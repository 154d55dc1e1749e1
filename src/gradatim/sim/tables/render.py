"""A list of objects as a Table."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import msgspec

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.kind import Kind
from gradatim.sim.tables.builtin import LAYOUTS, PLAIN
from gradatim.sim.tables.columns import Layout

_META = "meta.k8s.io/v1"


def table(
    kind: Kind, served: Resource, objects: Iterable[Manifest], meta: Manifest, now: float, *, include: str = ""
) -> Manifest:
    """The table of some objects; `include` is how much of each object goes along: Metadata, Object or None."""
    layout = _layout(kind, served)
    rows = []
    for obj in objects:
        row: Manifest = {"cells": layout.row(obj, now)}
        if include == "Object":
            row["object"] = obj
        elif include == "None":
            row["object"] = None
        else:
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}
        rows.append(row)
    head = {"kind": "Table", "apiVersion": _META, "metadata": meta}
    return head | {"columnDefinitions": list(_heads(layout.columns)), "rows": rows}


def _layout(kind: Kind, served: Resource) -> Layout:
    return kind.layout(served) or LAYOUTS.get(served.qualified, PLAIN)


@functools.lru_cache(256)
def _heads(columns: tuple[object, ...]) -> tuple[Manifest, ...]:
    return tuple(msgspec.to_builtins(column) for column in columns)
