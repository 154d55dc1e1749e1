"""Objects of declared types as protobuf, which kubectl and client-go prefer to send. Only read, never written:
every client that sends protobuf takes JSON for an answer.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.schema import model
from gradatim.sim.schema.model import Schema

MEDIA = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Tree: TypeAlias = "dict[int, tuple[str, Schema] | Tree]"
"""The fields of a message by number; nested trees are messages that JSON does not show."""


class Malformed(ValueError):
    """Not a protobuf message, or not one of this type."""


class Envelope(msgspec.Struct, frozen=True):
    """What stands around every object: which type it says it is, and its bytes."""

    api_version: str
    kind: str
    raw: bytes


def open_envelope(body: bytes) -> Envelope:
    """Take the envelope apart; Malformed if there is none."""
    if not body.startswith(MAGIC):
        raise Malformed(f"provided data does not appear to be a protobuf message, expected prefix {list(MAGIC)}")
    parts = dict(_fields(body[len(MAGIC) :]))
    named = dict(_fields(parts.get(1, b"")))
    return Envelope(named.get(1, b"").decode(), named.get(2, b"").decode(), parts.get(2, b""))


def decode(schema: Schema, raw: bytes) -> Manifest:
    """The object as it would be in JSON."""
    return _message(tree_of(schema), raw, {})


def tree_of(schema: Schema) -> Tree:
    """The fields of a type by their numbers."""
    made: Tree = {}
    for name, field in schema.properties.items():
        at: Any = made
        for number in field.number[:-1]:
            at = at.setdefault(number, {})
        if field.number:
            at[field.number[-1]] = (name, field)
    return made


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message as they stand there."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == _VARINT:
            value, at = _varint(raw, at)
        elif wire == _BYTES:
            length, at = _varint(raw, at)
            value, at = raw[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, at = raw[at : at + size], at + size
        else:
            raise Malformed(f"illegal wire type {wire}")
        if at > len(raw):
            raise Malformed("unexpected EOF")
        yield number, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if at >= len(raw):
            raise Malformed("unexpected EOF")
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _message(tree: Tree, raw: bytes, out: Manifest) -> Manifest:
    for number, value in _fields(raw):
        found = tree.get(number)
        if isinstance(found, dict):
            _message(found, value, out)
        elif found is not None:
            _put(out, *found, value)
    return out


def _put(out: Manifest, name: str, field: Schema, value: Any) -> None:
    item = field.item
    if field.kind == model.LIST and item is not None:
        out.setdefault(name, []).append(_value(item, value))
    elif field.kind == model.MAP and item is not None:
        entry = dict(_fields(value))
        out.setdefault(name, {})[entry.get(1, b"").decode()] = _mapped(item, entry.get(2))
    else:
        out[name] = _value(field, value)


def _mapped(item: Schema, value: Any) -> Any:
    if item.kind == model.LIST and item.item is not None:
        return [_value(item.item, one) for _, one in _fields(value or b"")]
    return _value(item, b"" if value is None else value)


def _value(schema: Schema, value: Any) -> Any:
    if schema.kind == model.OBJECT:
        return _message(tree_of(schema), value, {})
    match schema.go:
        case "string":
            return bytes(value).decode()
        case "bytes":
            return base64.b64encode(value).decode()
        case "bool":
            return bool(value)
        case "int32" | "int64":
            return value - (1 << 64) if value >> 63 else value
        case "double":
            return struct.unpack("<d", value)[0]
        case "Quantity":
            return dict(_fields(value)).get(1, b"0").decode() or "0"
        case "IntOrString":
            return _int_or_string(dict(_fields(value)))
        case "Time" | "MicroTime":
            return _time(dict(_fields(value)))
    found = dict(_fields(value)).get(1, b"")
    return msgspec.json.decode(found) if found else None


def _int_or_string(parts: dict[int, Any]) -> int | str:
    if parts.get(1):
        return str(parts.get(3, b"").decode())
    number = int(parts.get(2, 0))
    return number - (1 << 64) if number >> 63 else number


def _time(parts: dict[int, Any]) -> str | None:
    seconds, nanos = int(parts.get(1, 0)), int(parts.get(2, 0))
    seconds = seconds - (1 << 64) if seconds >> 63 else seconds
    if not seconds and not nanos:
        return None
    return (_EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)).isoformat().replace("+00:00", "Z")
