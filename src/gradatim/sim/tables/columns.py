"""Columns, and the small things that fill them: ages, names of containers, addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.metadata import moment

NONE, UNKNOWN = "<none>", "<unknown>"


class Column(msgspec.Struct, frozen=True):
    """The head of one column; priority 1 shows with `-o wide` only."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


Cells: TypeAlias = list[Any]
Row: TypeAlias = Callable[[Manifest, float], Cells]


class Layout(msgspec.Struct, frozen=True):
    """The columns of a kind, and how an object fills them at a moment."""

    columns: tuple[Column, ...]
    row: Row


def heads(*names: str, wide: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns by their names; `Desired:integer` has a type. The name comes first, in a format of its own."""
    made = []
    for priority, group in ((0, names), (1, wide)):
        for text in group:
            name, _, type_ = text.partition(":")
            made.append(
                Column(name, type_ or "string", "name" if name == "Name" else "", _ABOUT.get(name, ""), priority)
            )
    return tuple(made)


_ABOUT = {
    "Name": "The name of the object, unique in its namespace.",
    "Age": "How long ago the object was created.",
    "Containers": "The names of the containers.",
    "Images": "The images of the containers.",
    "Selector": "Which pods belong to it.",
}


def age(obj: Manifest, now: float) -> str:
    """How old an object is."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def since(timestamp: str | None, now: float) -> str:
    """How long ago something was."""
    return human(now - moment(timestamp)) if timestamp else UNKNOWN


def human(span: float) -> str:
    """A span of time in at most two units, as kubectl shows it."""
    seconds = int(span)
    if seconds < -1:
        return "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def some(items: Iterable[str], most: int, total: int | None = None) -> str:
    """The first few of a list, and how many more there are; nothing is `<unset>` or the like, said by the caller."""
    listed = list(items)
    shown = ",".join(listed[:most])
    more = (len(listed) if total is None else total) - most
    return f"{shown} + {more} more..." if more > 0 else shown


def containers(template_spec: Manifest) -> list[str]:
    """The two cells about containers: names and images."""
    found = template_spec.get("containers") or ()
    return [",".join(one.get("name", "") for one in found), ",".join(one.get("image", "") for one in found)]


def labels(given: dict[str, str] | None) -> str:
    """Labels in one line."""
    return ",".join(f"{key}={value}" for key, value in sorted((given or {}).items())) or NONE
