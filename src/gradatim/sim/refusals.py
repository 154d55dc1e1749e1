"""How the simulated API server says no: exceptions that carry the very Status object a real one answers.

The sentences are the real server's, because clients and users match on them. What is wrong inside an object is a
list of `Cause`s; everything else is one of the functions at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gradatim.api.errors import GradatimError
from gradatim.ports.objects import Manifest, Resource


class Cause(msgspec.Struct, frozen=True):
    """One thing that is wrong with one field of an object."""

    type: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def quoted(value: Any) -> str:
    """A value as the server spells it in a sentence: strings quoted, the rest as JSON."""
    return msgspec.json.encode(value).decode()


def required(field: str, detail: str = "") -> Cause:
    """A field that must be there."""
    return Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> Cause:
    """A field whose value cannot be."""
    return Cause(
        "FieldValueInvalid",
        field,
        f"Invalid value: {quoted(value)}: {detail}" if detail else f"Invalid value: {quoted(value)}",
    )


def wrong_type(field: str, found: str, detail: str) -> Cause:
    """A field whose value has another type than its schema says."""
    return Cause("FieldValueTypeInvalid", field, f"Invalid value: {quoted(found)}: {detail}")


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """A value outside an enumeration."""
    listed = ", ".join(quoted(one) for one in supported)
    return Cause("FieldValueNotSupported", field, f"Unsupported value: {quoted(value)}: supported values: {listed}")


def duplicate(field: str, value: Any) -> Cause:
    """A value that must be unique in its list."""
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {quoted(value)}")


def not_there(field: str, value: Any) -> Cause:
    """A reference to something that does not exist."""
    return Cause("FieldValueNotFound", field, f"Not found: {quoted(value)}")


def forbidden_field(field: str, detail: str) -> Cause:
    """A field that must not be set or changed here."""
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def too_long(field: str, limit: int) -> Cause:
    """A string, or a map, with too many bytes."""
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def too_many(field: str, count: int, limit: int) -> Cause:
    """A list with too many items."""
    return Cause(
        "FieldValueTooMany", field, f"Too many: {count}: must have at most {limit} item{'' if limit == 1 else 's'}"
    )


class Refused(GradatimError):
    """The API server's no. `status` is the Status object that goes over the wire."""

    def __init__(self, code: int, reason: str, message: str, details: Manifest | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.headers: dict[str, str] = {}
        self.list_meta: Manifest = {}

    @property
    def status(self) -> Manifest:
        """The answer's body."""
        status: Manifest = {"kind": "Status", "apiVersion": "v1", "metadata": self.list_meta, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class NotFound(Refused):
    """There is no such object, or no such resource."""


class AlreadyExists(Refused):
    """An object of that name is already there."""


class Conflict(Refused):
    """The object changed meanwhile, or is not the one that was meant."""


class Invalid(Refused):
    """The object breaks a rule of its kind."""


class Expired(Refused):
    """The history no longer reaches back that far (410 Gone)."""


def _details(resource: Resource, name: str) -> Manifest:
    details = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> NotFound:
    """`deployments.apps "x" not found`."""
    return NotFound(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def unknown_path() -> NotFound:
    """Nothing is served at that path."""
    return NotFound(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str, generated: bool = False) -> AlreadyExists:
    """The name is taken."""
    hint = ", the server was not able to generate a unique name for the object" if generated else ""
    details = _details(resource, name) | ({"retryAfterSeconds": 1} if generated else {})
    return AlreadyExists(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists{hint}', details)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> Conflict:
    """Somebody else was faster."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Conflict(409, "Conflict", message, _details(resource, name))


def invalid_object(group: str, kind: str, name: str, causes: Sequence[Cause]) -> Invalid:
    """`Canary.flagger.app "x" is invalid: …`; one cause stands bare, several in brackets."""
    sentences = list(dict.fromkeys(str(cause) for cause in causes))
    told = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    details: Manifest = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [{"reason": c.type, "message": c.message, "field": c.field} for c in causes]
    qualified = f"{kind}.{group}" if group else kind
    return Invalid(422, "Invalid", f'{qualified} "{name}" is invalid: {told}', details)


def bad_request(message: str) -> Refused:
    """The request itself cannot be understood."""
    return Refused(400, "BadRequest", message)


def forbidden(resource: Resource, name: str, why: str) -> Refused:
    """An admission rule says no."""
    named = f'{resource.qualified} "{name}"' if name else resource.qualified
    return Refused(403, "Forbidden", f"{named} is forbidden: {why}", _details(resource, name))


def not_allowed(resource: Resource, action: str) -> Refused:
    """The kind does not do that."""
    message = f'{action} is not supported on resources of kind "{resource.qualified}"'
    return Refused(405, "MethodNotAllowed", message, _details(resource, ""))


def expired(message: str) -> Expired:
    """The history no longer reaches back that far."""
    return Expired(410, "Expired", message)


def unavailable(message: str, code: int = 503, reason: str = "ServiceUnavailable") -> Refused:
    """The server cannot answer now."""
    return Refused(code, reason, message)
