"""The values that query templates work with, and what Go makes of them: types, truth, comparison, length.

A Go text is bytes; here it is a `str` in which bytes that are no UTF-8 are lone surrogates. Raises ValueError with what
is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias


class Byte(int):
    """What indexing a text yields: Go's uint8."""


Value: TypeAlias = str | bool | int | float | Mapping[str, str] | None


def type_name(value: Value) -> str:
    """The name of a value's type in Go."""
    match value:
        case None:
            return "nil"
        case str():
            return "string"
        case bool():
            return "bool"
        case Byte():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
    return "map[string]string"


def to_bytes(text: str) -> bytes:
    """The bytes of a Go text."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The Go text of some bytes."""
    return data.decode("utf-8", "surrogateescape")


def equal(left: Value, right: Value) -> bool:
    """Go's `eq` for two values: different types cannot be compared, but everything can with nil."""
    if left is None or right is None:
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        raise ValueError("maps cannot be compared")
    _require_same_kind(left, right)
    return left == right


def less(left: Value, right: Value) -> bool:
    """Go's `lt` for two values: numbers of one kind, or texts by their bytes."""
    if isinstance(left, bool | Mapping | None) or isinstance(right, bool | Mapping | None):
        raise ValueError("invalid type for comparison")
    _require_same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return to_bytes(left) < to_bytes(right)
    return left < right  # type: ignore[operator]  # both are numbers of one kind


def _require_same_kind(left: Value, right: Value) -> None:
    if _kind(left) is not _kind(right):
        raise ValueError(f"incompatible types for comparison: {type_name(left)} and {type_name(right)}")


def _kind(value: Value) -> type:
    return int if isinstance(value, Byte) else type(value)


def length(value: Value) -> int:
    """Go's `len`: bytes of a text, entries of a map."""
    if isinstance(value, str):
        return len(to_bytes(value))
    if isinstance(value, Mapping):
        return len(value)
    raise ValueError(f"len of type {type_name(value)}")


def element(value: Value, index: Value) -> Value:
    """Go's `index` for one index: an entry of a map (empty where there is none), or one byte of a text."""
    if isinstance(value, Mapping):
        if index is None:
            raise ValueError("value is nil; should be of type string")
        if not isinstance(index, str):
            raise ValueError(f"value has type {type_name(index)}; should be string")
        return value.get(index, "")
    if isinstance(value, str):
        data = to_bytes(value)
        at = _position(index, len(data))
        if at == len(data):
            raise ValueError(f"index out of range: {at}")
        return Byte(data[at])
    raise ValueError(f"can't index item of type {type_name(value)}")


def part(value: Value, indexes: tuple[Value, ...]) -> str:
    """Go's `slice` of a text, by bytes."""
    if not isinstance(value, str):
        raise ValueError("slice of untyped nil" if value is None else f"can't slice item of type {type_name(value)}")
    if len(indexes) > 2:
        raise ValueError("cannot 3-index slice a string" if len(indexes) == 3 else "too many slice indexes")
    data = to_bytes(value)
    start, end = [*(_position(index, len(data)) for index in indexes), *(0, len(data))[len(indexes) :]]
    if start > end:
        raise ValueError(f"invalid slice index: {start} > {end}")
    return from_bytes(data[start:end])


def _position(index: Value, most: int) -> int:
    if isinstance(index, bool) or not isinstance(index, int):
        raise ValueError(f"cannot index slice/array with {'nil' if index is None else f'type {type_name(index)}'}")
    if not 0 <= index <= most:
        raise ValueError(f"index out of range: {index}")
    return int(index)
