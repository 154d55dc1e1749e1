"""What a query asks for, checked as the server checks it."""

from __future__ import annotations

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.refusals import (
    Cause,
    Refused,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    too_long,
    unsupported,
)
from gradatim.sim.rest.messages import Request
from gradatim.sim.schema.reading import IGNORE, STRICT, WARN

EXACT, NOT_OLDER = "Exact", "NotOlderThan"
_MANAGER_LIMIT = 128
_META = "meta.k8s.io"


class ListOptions(msgspec.Struct, frozen=True):
    """Of a list or a watch."""

    labels: str = ""
    fields: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    version: str = ""
    match: str = ""
    timeout: float = 0
    limit: int = 0
    token: str = ""


def list_options(request: Request) -> ListOptions:
    """Read and check; Refused (400, 422) if they make no sense."""
    given = request.query.get("sendInitialEvents")
    options = ListOptions(
        labels=request.first("labelSelector"),
        fields=request.first("fieldSelector"),
        watch=request.flag("watch"),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_events=request.flag("sendInitialEvents") if given else None,
        version=request.first("resourceVersion"),
        match=request.first("resourceVersionMatch"),
        timeout=_integer(request.first("timeoutSeconds")),
        limit=_integer(request.first("limit")),
        token=request.first("continue"),
    )
    causes = list(_faults(options))
    if causes:
        raise invalid_object(_META, "ListOptions", "", causes)
    return options


def _integer(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _faults(options: ListOptions) -> list[Cause]:
    field, match = "resourceVersionMatch", options.match
    if options.watch and options.initial_events is not None:
        if match != NOT_OLDER:
            return [forbidden_field(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")]
        return []
    if options.initial_events is not None:
        return [forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    if not match:
        return []
    if options.watch:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        return [forbidden_field(field, detail)]
    if not options.version:
        return [forbidden_field(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
    if options.token:
        return [forbidden_field(field, "resourceVersionMatch is forbidden when continue is provided")]
    if match not in (EXACT, NOT_OLDER):
        return [unsupported(field, match, (EXACT, NOT_OLDER, ""))]
    if match == EXACT and options.version == "0":
        detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        return [forbidden_field(field, detail)]
    return []


def version_number(text: str) -> int:
    """A resourceVersion as a number; ValueError with the server's sentence."""
    if not text.isdigit():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ValueError(str(invalid("resourceVersion", text, why)))
    return int(text)


class WriteOptions(msgspec.Struct, frozen=True):
    """Of a create, an update or a patch."""

    dry_run: bool = False
    manager: str = ""
    validation: str = WARN
    force: bool | None = None


def write_options(request: Request, kind: str) -> WriteOptions:
    """Read and check; `kind` is CreateOptions, UpdateOptions or PatchOptions."""
    dry, manager, validation = (
        request.query.get("dryRun", []),
        request.first("fieldManager"),
        request.first("fieldValidation"),
    )
    causes = dry_run_faults(dry)
    if len(manager.encode()) > _MANAGER_LIMIT:
        causes.append(too_long("fieldManager", _MANAGER_LIMIT))
    elif not manager.isprintable():
        causes.append(invalid("fieldManager", manager, "should only contain printable characters"))
    if validation not in ("", IGNORE, STRICT, WARN):
        causes.append(unsupported("fieldValidation", validation, ("", IGNORE, STRICT, WARN)))
    if causes:
        raise invalid_object(_META, kind, "", causes)
    force = request.flag("force") if "force" in request.query else None
    return WriteOptions(bool(dry), manager or user_agent(request), validation or WARN, force)


def dry_run_faults(dry: list[str]) -> list[Cause]:
    """Only `All` can be run dry."""
    return [unsupported("dryRun", dry, ("All",))] if [one for one in dry if one != "All"] else []


def user_agent(request: Request) -> str:
    """The manager of fields that a request without one is taken for: `kubectl` of `kubectl/v1.37 (…)`."""
    return request.headers.get("user-agent", "").partition("/")[0] or "unknown"


class DeleteOptions(msgspec.Struct, frozen=True):
    """Of a deletion, by query or by body."""

    dry_run: bool = False
    policy: str = ""
    grace: int | None = None
    uid: str = ""
    version: str = ""


_POLICIES = ("Foreground", "Background", "Orphan")


def delete_options(request: Request, body: Manifest) -> DeleteOptions:
    """Read and check; the body wins if there is one."""
    dry = body.get("dryRun") or request.query.get("dryRun", [])
    policy = body.get("propagationPolicy") or request.first("propagationPolicy")
    grace: int | None = body.get("gracePeriodSeconds")
    if grace is None and request.first("gracePeriodSeconds"):
        grace = _integer(request.first("gracePeriodSeconds"))
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in request.query:
        orphan = request.flag("orphanDependents")
    causes = dry_run_faults(dry)
    if policy and policy not in _POLICIES:
        causes.append(unsupported("propagationPolicy", policy, (*_POLICIES, "nil")))
    elif policy and orphan is not None:
        both = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(invalid("propagationPolicy", policy, both))
    if causes:
        raise invalid_object(_META, "DeleteOptions", "", causes)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    conditions = body.get("preconditions") or {}
    return DeleteOptions(bool(dry), policy, grace, conditions.get("uid") or "", conditions.get("resourceVersion") or "")


__all__ = ["DeleteOptions", "ListOptions", "Refused", "WriteOptions"]
