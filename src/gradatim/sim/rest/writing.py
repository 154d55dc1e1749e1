"""POST and PUT: objects that come whole."""

from __future__ import annotations

from gradatim.ports.objects import Manifest
from gradatim.sim.refusals import Refused, bad_request, conflict
from gradatim.sim.rest import bodies, options, shapes
from gradatim.sim.rest.messages import JSON, Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.schema.reading import Reading
from gradatim.sim.store import Outcome, Store, Writer


def not_allowed() -> Refused:
    """The collection or object is there, but not for this method."""
    message = "the server does not allow this method on the requested resource"
    return Refused(405, "MethodNotAllowed", message, {})


def create(store: Store, route: Route, request: Request) -> Response:
    """POST to a collection."""
    if route.name or (route.served.namespaced and not route.namespace):
        raise not_allowed()
    asked = options.write_options(request, "CreateOptions")
    reading = Reading(asked.validation)
    obj = bodies.decode(request, route.kind, route.served, reading)
    outcome = store.insert(route.ref, obj, writer=updater(route, asked), reading=reading, dry_run=asked.dry_run)
    return written(route, request, outcome, reading)


def update(store: Store, route: Route, request: Request) -> Response:
    """PUT to an object or its status."""
    if not route.name:
        raise not_allowed()
    asked = options.write_options(request, "UpdateOptions")
    reading = Reading(asked.validation)
    obj = bodies.decode(request, route.kind, route.served, reading)
    if not (obj.get("metadata") or {}).get("name"):
        told = f"the name of the object ({route.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(told)
    _check_identity(store, route, obj)
    outcome = store.replace(
        route.ref, obj, route.subresource, writer=updater(route, asked), reading=reading, dry_run=asked.dry_run
    )
    return written(route, request, outcome, reading)


def updater(route: Route, asked: options.WriteOptions) -> Writer:
    """Who owns what such a request changes."""
    return Writer(asked.manager, version=route.served.api_version)


def _check_identity(store: Store, route: Route, obj: Manifest) -> None:
    """A whole object with a uid means that very object, not another of the same name."""
    there, meant = store.peek(route.ref), obj["metadata"].get("uid")
    if there is None or not meant or meant == there["metadata"]["uid"]:
        return
    stored = route.kind.resource
    place = (stored.group, stored.plural, route.namespace, route.name)
    told = f"Precondition failed: UID in precondition: {meant}, UID in object meta: {there['metadata']['uid']}"
    where = f"Key: /registry/{'/'.join(part for part in place if part)}, ResourceVersion: 0"
    why = f"StorageError: invalid object, Code: 4, {where}, AdditionalErrorMsg: {told}"
    raise conflict(route.served, route.name, why)


def written(route: Route, request: Request, outcome: Outcome, reading: Reading) -> Response:
    """The answer to a write: the object, and what was dropped on the way."""
    shape = shapes.wanted(request)
    status = 201 if outcome.created else 200
    if shape.media == JSON and not shape.as_ and route.kind.shows_as_stored(route.served):
        answer = Response(status, {"Content-Type": JSON}, shapes.prettified(request, outcome.snapshot.json))
    else:
        shown: Manifest = route.kind.show(outcome.snapshot.manifest, route.served)
        if shape.as_ == shapes.METADATA:
            shown = shapes.metadata_only(shown)
        answer = shapes.respond(request, status, shown, shape)
    return warned(answer, reading.warnings())


def warned(answer: Response, warnings: list[str]) -> Response:
    """The same with warnings, which kubectl prints."""
    if warnings:
        told = (sentence.replace("\\", "\\\\").replace('"', '\\"') for sentence in warnings)
        answer.headers["Warning"] = ", ".join(f'299 - "{sentence}"' for sentence in told)
    return answer
