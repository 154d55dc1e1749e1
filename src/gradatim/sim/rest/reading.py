"""GET: one object, or a list of them, page by page, now or in the past."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.history import Snapshot
from gradatim.sim.refusals import Refused, bad_request, expired
from gradatim.sim.rest import looking, options, shapes
from gradatim.sim.rest.messages import JSON, Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.store import Store
from gradatim.sim.tables import table

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class Token(msgspec.Struct, frozen=True):
    """Where a list goes on: after `start`, in the state of version `rv`; -1 is whatever state there is."""

    v: str
    rv: int
    start: str

    def text(self) -> str:
        """As it goes over the wire."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> Token:
        """The reverse; Refused (400) if it is none."""
        try:
            padded = text + "=" * (-len(text) % 4)
            return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=cls)
        except (binascii.Error, msgspec.DecodeError, ValueError) as error:
            raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None


def get(store: Store, route: Route, request: Request) -> Response:
    """One object."""
    shape = shapes.wanted(request)
    _number(store, request.first("resourceVersion"))
    snapshot = store.snapshot(route.ref)
    if not shape.as_ and shape.media == JSON and route.kind.shows_as_stored(route.served):
        return Response(200, {"Content-Type": JSON}, shapes.prettified(request, snapshot.json))
    shown = route.kind.show(snapshot.manifest, route.served)
    if shape.as_ == shapes.TABLE:
        shown = _table(store, route, [shown], {"resourceVersion": str(snapshot.version)}, request)
    elif shape.as_:
        shown = shapes.metadata_only(shown)
    return shapes.respond(request, 200, shown, shape)


def list_(store: Store, route: Route, request: Request) -> Response:
    """Objects, in the order of their names."""
    asked = options.list_options(request)
    view = looking.view(route, asked)
    version, start = _version(store, asked)
    found = store.snapshots(route.served, route.namespace, version)
    if start:
        found = [one for one in found if _key(route, one) > start]
    if view.narrowed:
        found = [one for one in found if view.sees(one.manifest)]
    page = found[: asked.limit] if asked.limit > 0 else found
    meta: Manifest = {"resourceVersion": str(version)}
    if len(page) < len(found):
        meta["continue"] = Token("meta.k8s.io/v1", version, _key(route, page[-1])).text()
        if not view.narrowed:
            meta["remainingItemCount"] = len(found) - len(page)
    return _render(store, route, request, page, meta)


def _version(store: Store, asked: options.ListOptions) -> tuple[int, str]:
    """Of which state the list is, and after which name it goes on."""
    if asked.token:
        token = Token.of(asked.token)
        if token.rv == -1:
            return store.version, token.start
        if token.rv < store.history.floor:
            refusal = expired(_TOO_OLD)
            refusal.list_meta = {"continue": Token(token.v, -1, token.start).text()}
            raise refusal
        return token.rv, token.start
    number = _number(store, asked.version)
    exact = asked.match == options.EXACT or (number and asked.limit > 0 and not asked.match)
    if not exact:
        return store.version, ""
    if number < store.history.floor:
        raise expired("The resourceVersion for the provided list is too old.")
    return number, ""


def _number(store: Store, version: str) -> int:
    """A version that somebody wants to see at least; 0 for any."""
    try:
        number = options.version_number(version or "0")
    except ValueError as error:
        raise bad_request(f"invalid resource version: {error}") from None
    if number > store.version:
        raise too_large(number, store.version)
    return number


def too_large(number: int, current: int) -> Refused:
    """Nobody has seen that version yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {number}, current: {current}"
    refusal = Refused(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})
    refusal.headers["Retry-After"] = "1"
    return refusal


def _key(route: Route, snapshot: Snapshot) -> str:
    meta = snapshot.manifest["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if route.served.namespaced else str(meta["name"])


def _render(
    store: Store,
    route: Route,
    request: Request,
    page: Sequence[Snapshot],
    meta: Manifest,
) -> Response:
    kind, served, shape = route.kind, route.served, shapes.wanted(request)
    if not shape.as_ and not kind.bare_items:
        meta = {"continue": "", **meta}
    if shape.media == JSON and not shape.as_:
        return Response(200, {"Content-Type": JSON}, shapes.prettified(request, _joined(route, page, meta)))
    body: Manifest
    if shape.as_ == shapes.TABLE:
        body = _table(store, route, [kind.show(one.manifest, served) for one in page], meta, request)
    elif shape.as_:
        items = [kind.show(one.manifest, served) for one in page]
        partial = [shapes.metadata_only(one) for one in items]
        body = {"kind": f"{shapes.METADATA}List", "apiVersion": shapes.META_V1, "metadata": meta, "items": partial}
    else:
        items = shapes.items(kind, served, page)
        body = {"kind": kind.list_kind, "apiVersion": served.api_version, "metadata": meta, "items": items}
    return shapes.respond(request, 200, body, shape)


def _table(store: Store, route: Route, objects: Sequence[Manifest], meta: Manifest, request: Request) -> Manifest:
    include = request.first("includeObject")
    return table(route.kind, route.served, objects, meta, store.now(), include=include)


def _joined(route: Route, page: Sequence[Snapshot], meta: Manifest) -> bytes:
    """A list made of encoded objects, without encoding them again."""
    kind, served = route.kind, route.served
    if not kind.shows_as_stored(served):
        items = [msgspec.json.encode(one) for one in shapes.items(kind, served, page)]
    elif kind.bare_items:
        items = [one.bare_json for one in page]
    else:
        items = [one.json for one in page]
    head = msgspec.json.encode({"kind": kind.list_kind, "apiVersion": served.api_version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


__all__ = ["Token", "get", "list_", "too_large"]
