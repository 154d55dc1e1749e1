"""`scale`, a pod's `log`, and reviews: requests whose answer is no object of the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim import selection
from gradatim.sim.builtin.reviews import Review
from gradatim.sim.copying import clone
from gradatim.sim.kind import Kind, ScalePaths
from gradatim.sim.patches import json_patch, merge_patch
from gradatim.sim.refusals import Refused, invalid, invalid_object
from gradatim.sim.rest import bodies, options, shapes
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.rest.writing import not_allowed
from gradatim.sim.schema.reading import Reading
from gradatim.sim.store import Store, Writer

UNTRACKED = "Apply"
"""A custom resource's scale changes without anybody coming to own the number."""

SCALE = Resource("autoscaling", "v1", "scales", "Scale")

Logs: TypeAlias = Callable[[str, str, Request], "str | AsyncIterator[bytes]"]
"""A pod's log by namespace and name; the request has `container`, `tailLines`, `follow` and the like."""


def review(route: Route, request: Request) -> Response:
    """A question about oneself."""
    kind = route.kind
    if request.method != "POST" or not isinstance(kind, Review):
        raise not_allowed()
    reading = Reading()
    asked = kind.read(bodies.decode(request, kind, route.served, reading), route.served, reading)
    return shapes.respond(request, 201, asked | {"status": kind.status})


def scale(store: Store, route: Route, request: Request) -> Response:
    """Read or change how many replicas there shall be."""
    paths = route.kind.scale or ScalePaths()
    before = store.snapshot(route.ref).manifest
    if request.method == "GET":
        if selection.dig(before, paths.spec) is None:
            raise _without_replicas(f'the spec replicas field ".{".".join(paths.spec)}" does not exist')
        return shapes.respond(request, 200, _scale(paths, before))
    if request.method not in ("PUT", "PATCH"):
        raise not_allowed()
    wanted = _wanted(request, _scale(paths, before))
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        cause = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid_object("autoscaling", "Scale", route.name, [cause])
    asked = options.write_options(request, "UpdateOptions")
    changed = clone(before)
    _put(changed, paths.spec, replicas)
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    if version:
        changed["metadata"]["resourceVersion"] = version
    writer = Writer(asked.manager, "Update" if route.kind.merges_strategically else UNTRACKED)
    outcome = store.replace(
        route.ref, route.kind.show(changed, route.served), "scale", writer=writer, dry_run=asked.dry_run
    )
    return shapes.respond(request, 200, _scale(paths, outcome.snapshot.manifest))


def _wanted(request: Request, current: Manifest) -> Manifest:
    if request.method == "PUT":
        return bodies.decode(request, Kind(SCALE), SCALE, Reading())
    given: Any = bodies.from_yaml(request.body)
    if bodies.media_type(request) == "application/json-patch+json":
        changed: Manifest = json_patch.apply(current, given)
    else:
        changed = merge_patch.apply(current, given)
    return changed


def _scale(paths: ScalePaths, obj: Manifest) -> Manifest:
    meta = {key: obj["metadata"][key] for key in _SHOWN if key in obj["metadata"]}
    wanted, there = selection.dig(obj, paths.spec), selection.dig(obj, paths.status)
    selector = selection.dig(obj, paths.selector) if paths.selector else None
    status: Manifest = {"replicas": there or 0}
    text = selector if isinstance(selector, str) else selection.as_text(selector)
    if text:
        status["selector"] = text
    spec = {"replicas": wanted} if wanted else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


def _without_replicas(why: str) -> Refused:
    return Refused(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _put(obj: Manifest, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        obj = obj.setdefault(key, {})
    obj[path[-1]] = value


def log(store: Store, route: Route, request: Request, logs: Logs | None) -> Response:
    """What a pod has printed."""
    if request.method != "GET":
        raise not_allowed()
    store.snapshot(route.ref)
    found = logs(route.namespace, route.name, request) if logs else ""
    if isinstance(found, str):
        return Response(200, {"Content-Type": "text/plain"}, found.encode())
    return Response(200, {"Content-Type": "text/plain"}, stream=found)
