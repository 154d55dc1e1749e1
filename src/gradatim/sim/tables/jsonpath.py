"""The paths of printer columns and scale subresources: `.status.conditions[?(@.type=="Ready")].status`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

Step: TypeAlias = Callable[[Any], list[Any]]

_PART = re.compile(
    r"""\.?(?:
        \[\?\(@(?P<field>(?:\.[\w-]+)+)\s*(?P<operator>==|!=|=~)\s*(?P<value>"[^"]*"|'[^']*'|[\w.-]+)\)\]
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | (?P<name>(?:\\.|[^.\[\]\\])+)
    )""",
    re.VERBOSE,
)


def find(path: str, obj: Any) -> list[Any]:
    """Everything the path leads to, in order; nothing if it leads nowhere."""
    found = [obj]
    for step in _steps(path):
        found = [deeper for one in found for deeper in step(one)]
    return found


@lru_cache(512)
def _steps(path: str) -> tuple[Step, ...]:
    text, at, steps = path.strip().removeprefix("{").removesuffix("}").removeprefix("$"), 0, []
    while at < len(text):
        match = _PART.match(text, at)
        if not match or match.end() == at:
            raise ValueError(f"cannot read the path {path!r} from {text[at:]!r} on")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["field"]:
        value, negated = match["value"].strip("\"'"), match["operator"] == "!="
        field = match["field"]
        return lambda one: [item for item in _items(one) if (_first(field, item) == value) is not negated]
    if match["index"]:
        index = int(match["index"])
        return lambda one: [one[index]] if isinstance(one, list) and -len(one) <= index < len(one) else []
    if match["all"] or match["name"] == "*":
        return _items
    name = match["quoted"] or re.sub(r"\\(.)", r"\1", match["name"])
    return lambda one: [one[name]] if isinstance(one, dict) and name in one else []


def _items(one: Any) -> list[Any]:
    return list(one.values()) if isinstance(one, dict) else list(one) if isinstance(one, list) else []


def _first(path: str, obj: Any) -> str:
    found = find(path, obj)
    return str(found[0]) if found else ""
