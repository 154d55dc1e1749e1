"""The functions and methods that expressions may call."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Failed(Exception):
    """An expression that has no value for this object: a field that is not there, types that do not fit."""


class Duration(float):
    """A span of time, in seconds."""

    __slots__ = ()


class Optional:
    """A value that may not be there."""

    __slots__ = ("there", "value")

    def __init__(self, value: Any = None, *, there: bool = False) -> None:
        self.value = value
        self.there = there


def no_overload() -> Failed:
    """The arguments are not what the function takes."""
    return Failed("no such overload")


def duration(text: str) -> Duration:
    """`1h30m` in seconds."""
    sign = -1 if text.startswith("-") else 1
    plain = text.lstrip("+-")
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", plain)
    if plain != "0" and ("".join(number + unit for number, unit in parts) != plain or not parts):
        raise Failed(f"invalid duration argument: {text}")
    return Duration(sign * sum(float(number) * _UNITS[unit] for number, unit in parts))


def _size(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise no_overload()
    return len(value)


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Failed(f"cannot convert {value!r} to int") from None


def _double(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Failed(f"cannot convert {value!r} to double") from None


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _timestamp(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Failed(f"invalid timestamp: {text}") from None


def _type(value: Any) -> str:
    names = {
        bool: "bool",
        int: "int",
        float: "double",
        str: "string",
        list: "list",
        dict: "map",
        type(None): "null_type",
    }
    return names.get(type(value), "dyn")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": _size,
    "int": _int,
    "uint": _int,
    "double": _double,
    "string": _string,
    "duration": duration,
    "timestamp": _timestamp,
    "dyn": lambda value: value,
    "type": _type,
    "isIP": _is_ip,
    "isCIDR": _is_cidr,
    "isURL": _is_url,
    "url": urlsplit,
}
"""Called by themselves."""


def _text(method: Callable[..., Any]) -> Callable[..., Any]:
    def called(on: Any, *arguments: Any) -> Any:
        if not isinstance(on, str):
            raise no_overload()
        return method(on, *arguments)

    return called


def _matches(text: str, pattern: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise Failed(f"error parsing regexp: {error}") from None


def _or_value(on: Any, other: Any) -> Any:
    if not isinstance(on, Optional):
        raise no_overload()
    return on.value if on.there else other


METHODS: dict[str, Callable[..., Any]] = {
    "size": _size,
    "matches": _text(_matches),
    "startsWith": _text(str.startswith),
    "endsWith": _text(str.endswith),
    "contains": _text(lambda text, part: part in text),
    "lowerAscii": _text(str.lower),
    "upperAscii": _text(str.upper),
    "trim": _text(str.strip),
    "split": _text(lambda text, separator, *most: text.split(separator, *(one - 1 for one in most))),
    "replace": _text(str.replace),
    "indexOf": _text(str.find),
    "lastIndexOf": _text(str.rfind),
    "substring": _text(lambda text, start, *end: text[start : end[0] if end else None]),
    "join": lambda items, *separator: (separator[0] if separator else "").join(items),
    "sum": sum,
    "min": min,
    "max": max,
    "isSorted": lambda items: items == sorted(items),
    "getSeconds": int,
    "getHostname": lambda parts: parts.hostname or "",
    "getScheme": lambda parts: parts.scheme,
    "hasValue": lambda one: one.there,
    "value": lambda one: one.value,
    "orValue": _or_value,
}
"""Called on something."""

MACROS = frozenset(("all", "exists", "exists_one", "existsOne", "map", "filter"))
"""Called on a list with a name and an expression."""
