"""OpenAPI v3: what kubectl explains, and by which it learns that the server checks fields.

One document for each group and version, made of the declared types or of what the CRDs say; only the paths and
parameters that clients look for are listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import unknown_path
from gradatim.sim.rest import discovery
from gradatim.sim.rest.messages import JSON, Request, Response
from gradatim.sim.schema import model
from gradatim.sim.schema.model import Schema
from gradatim.sim.store import Store

ROOT = "/openapi/v3"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_REF = "#/components/schemas/"
_SCALARS = {
    "Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "Time": f"{META}.Time",
    "MicroTime": f"{META}.MicroTime",
}
_DEFINED: dict[str, Manifest] = {
    _SCALARS["Quantity"]: {"description": "A number with a unit.", "type": "string"},
    _SCALARS["IntOrString"]: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    _SCALARS["Time"]: {"type": "string", "format": "date-time"},
    _SCALARS["MicroTime"]: {"type": "string", "format": "date-time"},
}
_HEAD: Manifest = {
    "apiVersion": {"type": "string", "description": "The group and version of this object's schema."},
    "kind": {"type": "string", "description": "What kind of object this is."},
}
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


class Documents:
    """The OpenAPI documents of one store, made when first asked for and forgotten when kinds change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[str, bytes] = {}
        self._of: tuple[Kind, ...] = ()

    def answer(self, request: Request) -> Response | None:
        """The index, or the document of a group and version; None if the path is another."""
        if request.path.rstrip("/") == ROOT:
            return _json(self._index())
        if not request.path.startswith(f"{ROOT}/"):
            return None
        name = request.path.removeprefix(f"{ROOT}/")
        if name not in self._names():
            raise unknown_path()
        return _json(self._document(name))

    def _index(self) -> bytes:
        paths = {}
        for name in self._names():
            digest = hashlib.sha256(self._document(name)).hexdigest().upper()
            paths[name] = {"serverRelativeURL": f"{ROOT}/{name}?hash={digest}"}
        return msgspec.json.encode({"paths": paths})

    def _names(self) -> dict[str, list[discovery.Served]]:
        found: dict[str, list[discovery.Served]] = {}
        for kind, one in discovery.served(self._store):
            name = f"apis/{one.group}/{one.version}" if one.group else f"api/{one.version}"
            found.setdefault(name, []).append((kind, one))
        return found

    def _document(self, name: str) -> bytes:
        kinds = tuple(self._store.kinds())
        if kinds != self._of:
            self._made, self._of = {}, kinds
        if name not in self._made:
            self._made[name] = msgspec.json.encode(_document(name, self._names()[name]))
        return self._made[name]


def _json(body: bytes) -> Response:
    return Response(200, {"Content-Type": JSON}, body)


def _document(name: str, kinds: Iterable[discovery.Served]) -> Manifest:
    paths: Manifest = {}
    schemas: Manifest = {}
    for kind, one in kinds:
        paths |= _paths(name, kind, one)
        schemas |= _schemas(kind, one)
    info = {"title": "Kubernetes", "version": "1.37"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _paths(name: str, kind: Kind, one: Resource) -> Manifest:
    scope = "/namespaces/{namespace}" if one.namespaced else ""
    verbs = {"get": "list", "post": "post", "delete": "deletecollection"}
    collection = {verb: _operation(one, action, verb == "post") for verb, action in verbs.items()}
    verbs = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
    item = {verb: _operation(one, action, verb in ("put", "patch")) for verb, action in verbs.items()}
    found: Manifest = {f"/{name}{scope}/{one.plural}": collection, f"/{name}{scope}/{one.plural}/{{name}}": item}
    if one.namespaced:
        found[f"/{name}/{one.plural}"] = {"get": _operation(one, "list", writes=False)}
    for subresource in sorted(kind.subresources):
        operations = {verb: _operation(one, verb, verb != "get") for verb in ("get", "put", "patch")}
        found[f"/{name}{scope}/{one.plural}/{{name}}/{subresource}"] = operations
    return found


def _operation(one: Resource, action: str, writes: bool) -> Manifest:
    named = {"group": one.group, "version": one.version, "kind": one.kind}
    operation: Manifest = {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": named}
    operation["responses"] = {"200": {"description": "OK"}}
    if writes:
        operation["parameters"] = [
            {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for parameter in _WRITE_PARAMETERS
        ]
    return operation


def _schemas(kind: Kind, one: Resource) -> Manifest:
    """The schema of a kind and of everything it is made of."""
    declared, root = kind.published(one), kind.schema(one)
    named = {"group": one.group, "kind": one.kind, "version": one.version}
    if declared is not None:
        return _published(declared, one, named)
    if root is None:
        return {}
    found = dict(_reached(root))
    made = found[_full(root)]
    made["properties"] = {**_HEAD, **made.get("properties", {})}
    made["x-kubernetes-group-version-kind"] = [named]
    return found


def _published(declared: Manifest, one: Resource, named: Manifest) -> Manifest:
    from gradatim.sim.builtin.kind import types  # noqa: PLC0415 - only what is asked for is read

    meta = types()["ObjectMeta"]
    properties = {**_HEAD, **(declared.get("properties") or {})}
    properties["metadata"] = {"allOf": [{"$ref": _REF + _full(meta)}], "description": "Standard metadata."}
    made = {**declared, "properties": properties, "x-kubernetes-group-version-kind": [named]}
    reverse = ".".join([*reversed(one.group.split(".")), one.version, one.kind])
    return {reverse: made, **dict(_reached(meta))}


def _full(schema: Schema) -> str:
    return f"{schema.package}.{schema.name.rpartition('.')[2]}"


def _reached(root: Schema) -> Iterator[tuple[str, Manifest]]:
    """A declared type and every type that it mentions."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        schema = waiting.pop()
        if _full(schema) in seen:
            continue
        seen.add(_full(schema))
        yield _full(schema), _type(schema)
        for one in schema.properties.values():
            inner = one
            while inner.item is not None:
                inner = inner.item
            if inner.kind == model.OBJECT:
                waiting.append(inner)
            elif inner.go in _SCALARS and _SCALARS[inner.go] not in seen:
                seen.add(_SCALARS[inner.go])
                yield _SCALARS[inner.go], dict(_DEFINED[_SCALARS[inner.go]])


def _type(schema: Schema) -> Manifest:
    made: Manifest = {"type": "object"}
    if schema.name in about():
        made["description"] = about()[schema.name]
    if schema.required:
        made["required"] = list(schema.required)
    made["properties"] = {key: _field(schema, key, one) for key, one in schema.properties.items()}
    return made


def _field(owner: Schema, key: str, one: Schema) -> Manifest:
    made = _value(one)
    told = about().get(f"{owner.name}.{key}")
    if told:
        made["description"] = told
    if one.default is not msgspec.UNSET:
        made["default"] = one.default
    if one.enum:
        made["enum"] = sorted(one.enum)
    if one.kind == model.LIST:
        made["x-kubernetes-list-type"] = "map" if one.keys else "set" if one.set else "atomic"
        if one.keys:
            made["x-kubernetes-list-map-keys"] = list(one.keys)
    strategies = (["merge"] if one.merge_key is not None else []) + (["retainKeys"] if one.retain_keys else [])
    if strategies:
        made["x-kubernetes-patch-strategy"] = ",".join(strategies)
    if one.merge_key:
        made["x-kubernetes-patch-merge-key"] = one.merge_key
    return made


def _value(one: Schema, *, inside: bool = False) -> Manifest:
    if one.kind == model.OBJECT or one.go in _SCALARS:
        ref = {"$ref": _REF + (_full(one) if one.kind == model.OBJECT else _SCALARS[one.go])}
        return ref if inside else {"allOf": [ref]}
    if one.kind == model.LIST and one.item is not None:
        return {"type": "array", "items": _value(one.item, inside=True)}
    if one.kind == model.MAP and one.item is not None:
        return {"type": "object", "additionalProperties": _value(one.item, inside=True)}
    made: Manifest = {"type": one.type or "object"}
    return made | ({"format": one.format} if one.format else {})


@lru_cache(1)
def about() -> dict[str, str]:
    """What is said of types and fields, in our own words: `Deployment`, `DeploymentSpec.replicas`."""
    text = (resources.files("gradatim.sim.builtin") / "about.txt").read_text()
    pairs: list[Any] = [line.partition(": ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: sentence for name, _, sentence in pairs}
