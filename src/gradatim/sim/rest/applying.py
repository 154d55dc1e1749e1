"""Server-side apply: a client says what it wants, and owns what it has said."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.metadata import timestamp
from gradatim.sim.patches import ownership
from gradatim.sim.patches.typed import FREE, Undeclared
from gradatim.sim.refusals import Refused, bad_request, invalid_object, not_found, required
from gradatim.sim.rest import bodies
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.options import WriteOptions
from gradatim.sim.rest.routes import Route
from gradatim.sim.rest.writing import written
from gradatim.sim.schema.reading import Reading
from gradatim.sim.store import Outcome, Store, Writer

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(store: Store, route: Route, request: Request, asked: WriteOptions) -> Response:
    """PATCH with an apply configuration; creates what is not there."""
    if not request.first("fieldManager"):
        cause = required("fieldManager", "is required for apply patch")
        raise invalid_object("meta.k8s.io", "PatchOptions", "", [cause])
    config = _config(route, request)
    live = store.peek(route.ref)
    if live is None:
        if route.subresource:
            raise not_found(route.served, route.name)
        live = route.kind.blank | _head(route)
    mine = ownership.Entry(asked.manager, ownership.APPLY, route.served.api_version, route.subresource, {})
    try:
        schema = route.kind.schema(route.served) or FREE
        made = ownership.apply(schema, live, config, mine, force=bool(asked.force))
    except Undeclared as error:
        raise _untyped(config, str(error)) from None
    if asked.manager == "kubectl" and LAST_APPLIED in live["metadata"].get("annotations", {}):
        _remember(made.object, config)
    reading = Reading(asked.validation)
    outcome = _write(store, route, asked, made, reading)
    return written(route, request, outcome, reading)


def _remember(obj: Manifest, config: Manifest) -> None:
    """Keep what client-side apply would look at, for those who go back to it."""
    annotations = obj["metadata"]["annotations"] | {
        LAST_APPLIED: msgspec.json.encode(config, order="sorted").decode() + "\n"
    }
    obj["metadata"] = obj["metadata"] | {"annotations": annotations}


def _config(route: Route, request: Request) -> Manifest:
    found: Any = bodies.from_yaml(request.body)
    if not isinstance(found, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    meta = found.get("metadata") or {}
    if (found.get("apiVersion"), found.get("kind")) != (route.served.api_version, route.served.kind):
        raise bad_request(f"invalid object type: {_kind(found)}")
    if meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if meta.get("name", route.name) != route.name:
        told = f"the name of the object ({meta['name']}) does not match the name on the URL ({route.name})"
        raise bad_request(told)
    return _within_reach(route, found)


def _within_reach(route: Route, config: Manifest) -> Manifest:
    """What this subresource can change: the rest of a configuration is not even owned."""
    if "status" not in route.kind.subresources:
        return config
    if route.subresource != "status":
        return {key: value for key, value in config.items() if key != "status"}
    meta = config.get("metadata", {})
    named = {key: meta[key] for key in ("name", "namespace") if key in meta}
    return {key: config[key] for key in ("apiVersion", "kind", "status") if key in config} | {"metadata": named}


def _head(route: Route) -> Manifest:
    named = {"name": route.name} | ({"namespace": route.namespace} if route.namespace else {})
    return {"apiVersion": route.served.api_version, "kind": route.served.kind, "metadata": named}


def _write(
    store: Store,
    route: Route,
    asked: WriteOptions,
    made: ownership.Applied,
    reading: Reading,
) -> Outcome:
    """Write what came out; the time of an owner changes only if something did."""
    writer = Writer(asked.manager, ownership.APPLY)
    before = store.peek(route.ref)
    if before is None:
        _stamp(store, made, asked.manager)
        ownership.write_down(made.object, made.owners)
        return store.insert(route.ref, made.object, writer=writer, reading=reading, dry_run=asked.dry_run)
    known = {one.identity: one.fields for one in ownership.entries(before)}
    if known != {one.identity: one.fields for one in made.owners} or made.object != before:
        _stamp(store, made, asked.manager)
    ownership.write_down(made.object, made.owners)
    return store.replace(
        route.ref, made.object, route.subresource, writer=writer, reading=reading, dry_run=asked.dry_run
    )


def _stamp(store: Store, made: ownership.Applied, manager: str) -> None:
    for one in made.owners:
        if one.manager == manager and one.operation == ownership.APPLY:
            one.time = timestamp(store.now())


def _untyped(config: Manifest, why: str) -> Refused:
    meta = config.get("metadata", {})
    what = f"{meta.get('namespace', '')}/{meta.get('name', '')}; {_kind(config)}"
    return Refused(500, "", f"failed to create typed patch object ({what}): {why}")


def _kind(config: Manifest) -> str:
    group, _, version = str(config.get("apiVersion", "")).rpartition("/")
    return f"{group}/{version}, Kind={config.get('kind', '')}"
