"""The types of built-in kinds, declared in text files, and how an object of such a type is read.

A declaration names a type and, indented, its fields:

    DeploymentSpec
      replicas *int32 = 1
      selector! *LabelSelector always
      conditions [DeploymentCondition] keys(type) merge(type)

`!` is OpenAPI's required, `*` says that an explicit zero is kept, `= JSON` is the default. `always`: written even when
empty; `must`: empty is refused; `keys`, `set`, `atomic`: how server-side apply owns it; `merge`, `retainKeys`: how a
strategic merge patch treats it; `enum`: the values there are; `#3`: its number in protobuf.

Reading does what decoding into a Go struct and encoding it again does: unknown fields and nulls go, empty values go
unless they mean something, structs come into being, numbers are checked, quantities and times take their usual form.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.copying import clone_value
from gradatim.sim.refusals import required, unsupported
from gradatim.sim.schema import model
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.quantity import NoQuantity, canonical
from gradatim.sim.schema.reading import Mismatch, Path, Reading, shown

INT_LIMITS = {"int32": 2**31, "int64": 2**63}

_SCALARS = {
    "string": (model.STRING, ""),
    "bool": (model.BOOLEAN, ""),
    "int32": (model.INTEGER, "int32"),
    "int64": (model.INTEGER, "int64"),
    "double": (model.NUMBER, "double"),
    "Quantity": (model.STRING, ""),
    "IntOrString": (model.ANY, "int-or-string"),
    "Time": (model.STRING, "date-time"),
    "MicroTime": (model.STRING, "date-time"),
    "bytes": (model.STRING, "byte"),
}
_FREE = {"Raw", "JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrStringArray"}
_FIELD = re.compile(r"  (\S+?)(!?) (\S+)((?: [^= ]\S*)*)(?: = (.*))?")
_MICROSECONDS = re.compile(r".{19}\.\d{6}(?!\d)")
_FLAG = re.compile(r"(\w+|#)(?:\((.*)\)|([0-9.]+))?")


class MapKey(str):
    """A key of a map in a path: part of a field's place, but not of a Go field's name."""

    __slots__ = ()


class Types:
    """Every declared type by its name."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._types: dict[str, Schema] = {}
        bodies: list[tuple[Schema, list[str]]] = []
        for text in texts:
            bodies += self._heads(text)
        for schema, lines in bodies:
            for line in lines:
                self._declare(schema, line)
        for schema in self._types.values():
            schema.completions.extend(_completions(schema))

    def __getitem__(self, name: str) -> Schema:
        """The type of that name; KeyError if nobody declared it."""
        return self._types[name]

    def __iter__(self) -> Iterable[Schema]:
        """All types."""
        return iter(self._types.values())

    def _heads(self, text: str) -> list[tuple[Schema, list[str]]]:
        head, *blocks = re.split(r"\n{2,}", text.strip())
        package = head.removeprefix("package ")
        found = []
        for block in blocks:
            first, *lines = block.split("\n")
            name, *flags = first.split()
            needed = tuple(match[1] for line in lines if (match := _FIELD.fullmatch(line)) and match[2])
            schema = Schema(kind=model.OBJECT, type="object", name=name, package=package, required=needed)
            schema.reader = _struct
            schema.go = f"v1.{name.rpartition('.')[2]}"
            schema.atomic = "atomic" in flags
            self._types[name] = schema
            found.append((schema, lines))
        return found

    def _declare(self, owner: Schema, line: str) -> None:
        match = _FIELD.fullmatch(line)
        if not match:
            raise ValueError(f"{owner.name}: cannot read the declaration {line!r}")
        name, _, shape, flags, default = match.groups()
        schema = self._shape(shape.removeprefix("*"))
        schema.pointer = shape.startswith("*")
        for flag in flags.split():
            found = _FLAG.fullmatch(flag)
            if not found:
                raise ValueError(f"{owner.name}.{name}: cannot read the flag {flag!r}")
            _set_flag(schema, found[1], found[2] or found[3])
        if default is not None:
            schema.default = msgspec.json.decode(default)
        schema.kept_empty = schema.pointer or schema.always or schema.kind in (model.OBJECT, model.ANY)
        owner.properties[name] = schema

    def _shape(self, shape: str) -> Schema:
        if shape.startswith("["):
            item = self._shape(shape[1:-1])
            return Schema(kind=model.LIST, type="array", item=item, go=f"[]{item.go}", reader=_list)
        if shape.startswith("{"):
            item = self._shape(shape[1:-1])
            return Schema(kind=model.MAP, type="object", item=item, go=f"map[string]{item.go}", reader=_map)
        if shape in _SCALARS:
            kind, format_ = _SCALARS[shape]
            schema = Schema(
                kind=kind, type="" if kind == model.ANY else kind, format=format_, go=shape, reader=_READERS[shape]
            )
            schema.int_or_string = shape == "IntOrString"
            return schema
        if shape in _FREE:
            return Schema(kind=model.ANY, go=shape, preserve=True, atomic=True, reader=_free)
        return copy.copy(self._types[shape])


def _set_flag(schema: Schema, name: str, argument: str | None) -> None:
    match name:
        case "#":
            schema.number = tuple(int(one) for one in (argument or "").split("."))
        case "always":
            schema.always = True
        case "omitzero":
            schema.omitted_when_zero = True
        case "granular":
            pass  # what maps are anyway
        case "must":
            schema.must = True
        case "atomic":
            schema.atomic = True
        case "set":
            schema.set = True
        case "keys":
            schema.keys = tuple((argument or "").split(","))
        case "merge":
            schema.merge_key = argument or ""
        case "retainKeys":
            schema.retain_keys = True
        case "enum":
            schema.enum = tuple((argument or "").split("|"))
        case _:
            raise ValueError(f"nobody knows the flag {name}")


def read(schema: Schema, obj: Manifest, reading: Reading) -> Manifest:
    """A fresh copy of an object, made as its type says; Mismatch if it cannot be."""
    return _struct(schema, obj, None, "", reading, root=True)


def _struct(schema: Schema, value: Any, path: Path, owner: str, reading: Reading, *, root: bool = False) -> Manifest:
    if type(value) is not dict:
        raise _mismatch(schema, value, path, owner)
    properties, name = schema.properties, schema.name
    out: Manifest = {}
    for key, item in value.items():
        field = properties.get(key)
        if field is None:
            if root and key in ("apiVersion", "kind"):
                out[key] = item
            else:
                reading.unknown.append(shown((path, key)))
            continue
        if item is None:
            continue
        made = field.reader(field, item, (path, key), name, reading)
        if made or field.kept_empty:
            out[key] = None if field.always and made == [] else made
    for key, make, must in schema.completions:
        if make is not None and key not in out:
            out[key] = make(path, reading)
        if must and out.get(key) in (None, "", 0):
            reading.causes.append(required(shown((path, key))))
    return out


_Make = Callable[[Path, Reading], Any]


def _completions(schema: Schema) -> Iterable[tuple[str, _Make | None, bool]]:
    """The fields of a type that a Go struct has also when nobody wrote them, or that must not be empty."""
    for key, field in schema.properties.items():
        make = _maker(key, field, schema.name)
        if make is not None or field.must:
            yield key, make, field.must


def _maker(key: str, field: Schema, owner: str) -> _Make | None:
    default = field.default
    if default is not msgspec.UNSET:
        if isinstance(default, dict):
            return lambda path, reading: _struct(field, default, (path, key), owner, reading)
        return lambda _path, _reading: default
    if field.kind == model.OBJECT and not field.pointer:
        return lambda path, reading: _struct(field, {}, (path, key), owner, reading)
    if field.go in ("Time", "MicroTime") and not field.pointer and not field.omitted_when_zero:
        return lambda _path, _reading: None
    if field.always:
        zero = None if field.pointer else ZEROS.get(field.kind)
        return lambda _path, _reading: zero
    return None


ZEROS = {model.STRING: "", model.INTEGER: 0, model.NUMBER: 0, model.BOOLEAN: False}


def _list(schema: Schema, value: Any, path: Path, owner: str, reading: Reading) -> Any:
    if type(value) is not list:
        raise _mismatch(schema, value, path, owner)
    item = cast(Schema, schema.item)
    return [
        item.reader(item, _zero(item) if one is None else one, (path, index), owner, reading)
        for index, one in enumerate(value)
    ]


def _zero(schema: Schema) -> Any:
    return {model.OBJECT: {}, model.LIST: [], model.MAP: {}}.get(schema.kind, ZEROS.get(schema.kind))


def _map(schema: Schema, value: Any, path: Path, owner: str, reading: Reading) -> Any:
    if type(value) is not dict:
        raise _mismatch(schema, value, path, owner)
    item = cast(Schema, schema.item)
    if item.go == "string":
        for one in value.values():
            if type(one) is not str and one is not None:
                raise _mismatch(item, one, path, owner)
        return {key: one or "" for key, one in value.items()}
    return {
        key: item.reader(item, _zero(item) if one is None else one, (path, MapKey(key)), owner, reading)
        for key, one in value.items()
    }


def _string(schema: Schema, value: Any, path: Path, owner: str, reading: Reading) -> Any:
    if type(value) is not str:
        raise _mismatch(schema, value, path, owner)
    if schema.enum and value not in schema.enum and (value or schema.pointer):
        reading.causes.append(unsupported(shown(path), value, schema.enum))
    return value


def _bool(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) is not bool:
        raise _mismatch(schema, value, path, owner)
    return value


def _int(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) is not int:
        raise _mismatch(schema, value, path, owner)
    if not -INT_LIMITS[schema.go] <= value < INT_LIMITS[schema.go]:
        raise _mismatch(schema, value, path, owner, said=f"number {value}")
    return value


def _double(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) not in (int, float):
        raise _mismatch(schema, value, path, owner)
    return value


def _free(_schema: Schema, value: Any, _path: Path, _owner: str, _reading: Reading) -> Any:
    return clone_value(value)


def _int_or_string(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) not in (int, str):
        raise _mismatch(schema, value, path, owner)
    return value


def _quantity(_schema: Schema, value: Any, path: Path, _owner: str, _reading: Reading) -> Any:
    try:
        return canonical(value if isinstance(value, str) else str(value))
    except NoQuantity as error:
        raise Mismatch(path, str(error)) from None


def _time(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) is not str:
        raise _mismatch(schema, value, path, owner)
    micro = schema.go == "MicroTime"
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
        if "T" not in value:
            raise ValueError
    except ValueError:
        raise Mismatch(path, f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"') from None
    if micro and not _MICROSECONDS.match(value):
        raise Mismatch(path, f'parsing time "{value}" as "{layout}": cannot parse "{value[19:]}" as ".000000"')
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if schema.go == "MicroTime" else "%Y-%m-%dT%H:%M:%SZ")


def _bytes(schema: Schema, value: Any, path: Path, owner: str, _reading: Reading) -> Any:
    if type(value) is not str:
        raise _mismatch(schema, value, path, owner)
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        odd = re.search(r"[^A-Za-z0-9+/]", value)
        raise Mismatch(
            path, f"illegal base64 data at input byte {odd.start() if odd else len(value) // 4 * 4}"
        ) from None
    return value


_READERS: dict[str, Callable[[Schema, Any, Path, str, Reading], Any]] = {
    "string": _string,
    "bool": _bool,
    "int32": _int,
    "int64": _int,
    "double": _double,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Time": _time,
    "MicroTime": _time,
    "bytes": _bytes,
}


def _mismatch(schema: Schema, value: Any, path: Path, owner: str, said: str = "") -> Mismatch:
    names: list[str] = []
    at = path
    while at is not None:
        at, key = at
        if isinstance(key, str) and not isinstance(key, MapKey):
            names.append(key)
    field = ".".join([owner, *reversed(names)])
    said = said or _said(schema, value)
    return Mismatch(path, f"json: cannot unmarshal {said} into Go struct field {field} of type {schema.go}")


def _said(schema: Schema, value: Any) -> str:
    if isinstance(value, float) and schema.kind == model.INTEGER:
        return f"number {value}"
    names = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "value")
