"""DELETE: one object, or all of a collection that fit."""

from __future__ import annotations

from gradatim.ports.objects import Manifest, Ref
from gradatim.sim.builtin.kind import types
from gradatim.sim.history import Snapshot
from gradatim.sim.refusals import NotFound, bad_request
from gradatim.sim.rest import bodies, looking, options, shapes
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.rest.writing import not_allowed
from gradatim.sim.schema import protobuf
from gradatim.sim.schema.declared import read
from gradatim.sim.schema.reading import Mismatch, Reading
from gradatim.sim.store import Outcome, Store


def delete(store: Store, route: Route, request: Request) -> Response:
    """One object."""
    if route.subresource:
        raise not_allowed()
    outcome = _remove(store, route.ref, options.delete_options(request, _body(request)))
    if outcome.gone and not route.kind.shows_deleted:
        return shapes.respond(request, 200, _gone(route, outcome.snapshot))
    return shapes.respond(request, 200, route.kind.show(outcome.snapshot.manifest, route.served))


def delete_collection(store: Store, route: Route, request: Request) -> Response:
    """Every object of a collection that a selector selects."""
    if route.served.namespaced and not route.namespace:
        raise not_allowed()
    asked, view = options.delete_options(request, _body(request)), looking.view(route, options.list_options(request))
    kind, served = route.kind, route.served
    found = [one for one in store.snapshots(served, route.namespace) if view.sees(one.manifest)]
    meta = {"resourceVersion": str(store.version)} | ({} if kind.bare_items else {"continue": ""})
    for one in found:
        named = one.manifest["metadata"]
        try:
            _remove(store, Ref(served, named.get("namespace", ""), named["name"]), asked)
        except NotFound:
            continue  # an owner that went before took it along
    items = shapes.items(kind, served, found)
    body = {"kind": kind.list_kind, "apiVersion": served.api_version, "metadata": meta}
    return shapes.respond(request, 200, body | {"items": items})


def _remove(store: Store, ref: Ref, asked: options.DeleteOptions) -> Outcome:
    return store.remove(
        ref, policy=asked.policy, uid=asked.uid, version=asked.version, grace=asked.grace, dry_run=asked.dry_run
    )


def _body(request: Request) -> Manifest:
    if not request.body:
        return {}
    media = bodies.media_type(request)
    if media == protobuf.MEDIA:
        return protobuf.decode(types()["DeleteOptions"], protobuf.open_envelope(request.body).raw)
    if media not in ("application/json", "application/yaml"):
        raise bodies.unsupported_media()
    found = bodies.from_yaml(request.body)
    if not isinstance(found, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is no object")
    kind = found.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        version = found.get("apiVersion", "")
        raise bad_request(
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    try:
        made: Manifest = read(types()["DeleteOptions"], found, Reading())
    except Mismatch as error:
        raise bad_request(error.why) from None
    return made


def _gone(route: Route, snapshot: Snapshot) -> Manifest:
    details: Manifest = {"name": route.name}
    if route.served.group:
        details["group"] = route.served.group
    details |= {"kind": route.served.plural, "uid": snapshot.manifest["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
