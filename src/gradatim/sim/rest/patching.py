"""PATCH: what shall change, in one of four languages."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.patches import json_patch, merge_patch, strategic
from gradatim.sim.refusals import Refused, bad_request, forbidden_field, invalid, invalid_object
from gradatim.sim.rest import applying, bodies, options
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.rest.writing import not_allowed, updater, written
from gradatim.sim.schema.reading import Reading, Unreadable
from gradatim.sim.store import Store

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

_REJECTED = "the server rejected our request due to an error in our request"


def patch(store: Store, route: Route, request: Request) -> Response:
    """PATCH to an object or its status."""
    if not route.name:
        raise not_allowed()
    media = bodies.media_type(request)
    if media not in (JSON_PATCH, MERGE, STRATEGIC, APPLY):
        raise Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if media == STRATEGIC and not route.kind.merges_strategically:
        have = f"accepted media types include: {JSON_PATCH}, {MERGE}, {APPLY}"
        raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - {have}")
    asked = options.write_options(request, "PatchOptions")
    if media == APPLY:
        return applying.apply(store, route, request, asked)
    if asked.force is not None:
        cause = forbidden_field("force", "may not be specified for non-apply patch")
        raise invalid_object("meta.k8s.io", "PatchOptions", "", [cause])
    before = route.kind.show(store.snapshot(route.ref).manifest, route.served)
    changed = _changed(route, request, media, before)
    reading = Reading(asked.validation)
    if asked.validation != "Ignore":
        reading.duplicates += bodies.double_keys(request.body)
    try:
        outcome = store.replace(
            route.ref,
            changed,
            route.subresource,
            writer=updater(route, asked),
            reading=reading,
            dry_run=asked.dry_run,
        )
    except Unreadable as error:
        raise _invalid_patch(media, request, changed, error) from None
    return written(route, request, outcome, reading)


def _changed(route: Route, request: Request, media: str, before: Manifest) -> Manifest:
    """The object as the patch would have it."""
    try:
        given = msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        if media == MERGE:
            raise bad_request("invalid JSON patch") from None
        raise bad_request(f"error decoding patch: {error}") from None
    wanted = list if media == JSON_PATCH else dict
    if not isinstance(given, wanted):
        found = "array" if isinstance(given, list) else "object" if isinstance(given, dict) else "value"
        into = "[]handlers.jsonPatchOp" if media == JSON_PATCH else "map[string]interface {}"
        raise bad_request(f"error decoding patch: json: cannot unmarshal {found} into Go value of type {into}")
    try:
        changed: Any = _apply(route, media, before, given)
    except json_patch.Impossible:
        raise Refused(422, "Invalid", _REJECTED, {}) from None
    except strategic.Unmergeable as error:
        raise Refused(500, "", str(error)) from None
    if not isinstance(changed, dict):
        raise Refused(422, "Invalid", _REJECTED, {})
    return changed


def _apply(route: Route, media: str, before: Manifest, given: Any) -> Any:
    match media:
        case "application/json-patch+json":
            return json_patch.apply(before, given)
        case "application/merge-patch+json":
            return merge_patch.apply(before, given)
    return strategic.apply(before, given, route.kind.schema(route.served))


def _invalid_patch(media: str, request: Request, changed: Manifest, error: Unreadable) -> Refused:
    """What came out of the patch is no object of its kind; the server shows it, or the patch, whole."""
    text = msgspec.json.encode(dict(sorted(changed.items()))).decode()
    if media == STRATEGIC:
        text = strategic.go_map(msgspec.json.decode(request.body))
    return invalid_object("", "", "", [invalid("patch", text, error.why)])
