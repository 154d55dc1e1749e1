"""What clients send: decoded, looked through for double keys, refused if it is no object."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import yaml

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import Refused, bad_request
from gradatim.sim.rest.messages import JSON, Request
from gradatim.sim.schema import protobuf
from gradatim.sim.schema.reading import IGNORE, Reading, shown

_EXCERPT = 50
_KNOWN = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def media_type(request: Request) -> str:
    """What the body is said to be; JSON if nothing is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip() or JSON


def unsupported_media() -> Refused:
    """Nobody here reads that."""
    message = f"the body of the request was in an unknown format - accepted media types include: {_KNOWN}"
    return Refused(415, "UnsupportedMediaType", message)


def decode(request: Request, kind: Kind, served: Resource, reading: Reading) -> Manifest:
    """The object in a request's body."""
    media = media_type(request)
    if media == JSON:
        found = from_json(request.body, served, reading)
    elif media == "application/yaml":
        found = from_yaml(request.body)
    elif media == protobuf.MEDIA and kind.schema(served) is not None and kind.published(served) is None:
        found = from_protobuf(request.body, kind, served)
    else:
        raise unsupported_media()
    if not isinstance(found, dict):
        raise _unrecognised(served, f"{_no_object(found)} ({request.body[:_EXCERPT].hex()})")
    kind.identify(found, served)
    return found


def from_json(body: bytes, served: Resource, reading: Reading) -> Any:
    """Decoded JSON; keys that occur twice are noted unless nobody wants to know."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _unrecognised(served, str(error)) from None
    if reading.mode != IGNORE:
        reading.duplicates += double_keys(body)
    return found


def from_protobuf(body: bytes, kind: Kind, served: Resource) -> Manifest:
    """A decoded protobuf message."""
    schema = kind.schema(served)
    try:
        envelope = protobuf.open_envelope(body)
        made = protobuf.decode(schema, envelope.raw) if schema else {}
    except (protobuf.Malformed, ValueError) as error:
        told = f"the object provided is unrecognized (must be of type {served.kind})"
        raise bad_request(f"{told}: {error} ({body[:10].hex()})") from None
    return {"apiVersion": envelope.api_version, "kind": envelope.kind, **made}


def from_yaml(body: bytes) -> Any:
    """Decoded YAML, or JSON, which is YAML."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        pass
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def double_keys(body: bytes) -> list[str]:
    """The paths of keys that occur twice in one object."""
    doubled = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubled
        found = dict(pairs)
        doubled = doubled or len(found) != len(pairs)
        return found

    json.loads(body, object_pairs_hook=look)
    return list(_paths(json.loads(body, object_pairs_hook=_Pairs), None)) if doubled else []


class _Pairs(list[tuple[str, Any]]):
    """An object with every key it was written with."""


def _paths(value: Any, path: Any) -> list[str]:
    found: list[str] = []
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            if key in seen:
                found.append(shown((path, key)))
            seen.add(key)
            found += _paths(item, (path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (path, index))
    return found


def _no_object(found: Any) -> str:
    found_type = {list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(found), "number")
    wanted = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
    return f"json: cannot unmarshal {found_type} into Go value of type {wanted}"


def _unrecognised(served: Resource, why: str) -> Refused:
    told = f"the object provided is unrecognized (must be of type {served.kind})"
    return bad_request(f"{told}: couldn't get version/kind; json parse error: {why}")
