"""In which shape a client wants its answer: JSON, YAML, a table for people, or metadata only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
import yaml

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.history import Snapshot
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import Refused
from gradatim.sim.rest.messages import JSON, Request, Response

YAML = "application/yaml"
TABLE, METADATA = "Table", "PartialObjectMetadata"
META_V1 = "meta.k8s.io/v1"


class Accepted(msgspec.Struct, frozen=True):
    """One media type a client takes: `as_` is a transformation, `group` and `version` say whose."""

    media: str = JSON
    as_: str = ""
    group: str = ""
    version: str = ""


@lru_cache(256)
def accepted(header: str) -> tuple[Accepted, ...]:
    """Everything a client takes that the server has, in the client's order."""
    found = []
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        named = dict(one.partition("=")[::2] for one in parameters)
        if media in ("*/*", "application/*", "", JSON):
            found.append(Accepted(JSON, named.get("as", ""), named.get("g", ""), named.get("v", "")))
        elif media == YAML:
            found.append(Accepted(YAML, named.get("as", ""), named.get("g", ""), named.get("v", "")))
    return tuple(found)


def wanted(request: Request) -> Accepted:
    """The first shape a client takes that every resource has; Refused (406) if there is none."""
    for one in accepted(request.headers.get("accept", "")):
        if not one.as_ or (one.group == "meta.k8s.io" and one.version in ("v1", "v1beta1")):
            return one
    have = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    message = f"406: Not Acceptable\n\nAvailable representations: {have}"
    raise Refused(406, "NotAcceptable", message, {})


def encode(shape: Accepted, request: Request, body: Manifest) -> bytes:
    """An answer as bytes."""
    if shape.media == YAML:
        return yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode()
    return prettified(request, msgspec.json.encode(body))


def prettified(request: Request, body: bytes) -> bytes:
    """The same for people, if they ask for it, or use a tool that people use."""
    if "pretty" in request.query:
        pretty = request.flag("pretty")
    else:
        pretty = request.headers.get("user-agent", "").startswith(("curl/", "Wget/", "Mozilla/"))
    return (msgspec.json.format(body, indent=2) if pretty else body) + b"\n"


def respond(request: Request, status: int, body: Manifest, shape: Accepted | None = None) -> Response:
    """An answer with a body."""
    shape = shape or Accepted()
    return Response(status, {"Content-Type": shape.media}, encode(shape, request, body))


def metadata_only(obj: Manifest) -> Manifest:
    """An object without everything but its metadata."""
    return {"kind": METADATA, "apiVersion": META_V1, "metadata": obj["metadata"]}


Render = Callable[[Manifest], Any]


def items(kind: Kind, served: Resource, objects: Iterable[Snapshot]) -> list[Manifest]:
    """Objects as a list carries them: those of built-in kinds leave their kind to the list."""
    shown = [kind.show(one.manifest, served) for one in objects]
    if not kind.bare_items:
        return shown
    return [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in shown]
