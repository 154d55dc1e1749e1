"""Private copies of decoded JSON, several times faster than the standard library's."""

from __future__ import annotations

from typing import Any

from gradatim.ports.objects import Manifest


def clone(obj: Manifest) -> Manifest:
    """A private copy of an object."""
    return {key: clone_value(value) if type(value) in _NESTED else value for key, value in obj.items()}


def clone_value(value: Any) -> Any:
    """A private copy of any decoded JSON."""
    if type(value) is dict:
        return clone(value)
    if type(value) is list:
        return [clone_value(item) if type(item) in _NESTED else item for item in value]
    return value


_NESTED = frozenset({dict, list})
