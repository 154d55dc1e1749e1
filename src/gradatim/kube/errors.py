"""What the API server can say instead of yes, and what can go wrong on the way to it.

An answer's `Status` object becomes one of these with its sentence unchanged, because users know those sentences from
kubectl. A body that is no `Status` (a proxy's page, a half answer) is never shown: it may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gradatim.api.errors import GradatimError
from gradatim.ports.objects import Ref, Resource


class KubeError(GradatimError):
    """The API server said no. `status` is the HTTP code, 0 if there was none; `object` says what it was about."""

    reason = "KubeError"

    def __init__(self, message: str, *, status: int = 0, about: Ref | Resource | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.ref = about if isinstance(about, Ref) else None
        self.resource = about.resource if isinstance(about, Ref) else about

    @property
    def object(self) -> str:
        """`deployments.apps podinfo.test`, `deployments.apps`, or nothing."""
        if self.ref is not None:
            return str(self.ref)
        return self.resource.qualified if self.resource is not None else ""


class NotFound(KubeError):
    """The object is not there or, with `served` false, the cluster does not know this kind of object at all."""

    reason = "NotFound"

    def __init__(
        self, message: str, *, status: int = 404, about: Ref | Resource | None = None, served: bool = True
    ) -> None:
        super().__init__(message, status=status, about=about)
        self.served = served


class AlreadyExists(KubeError):
    """Something of this name is there already."""

    reason = "AlreadyExists"


class Conflict(KubeError):
    """The object has changed since it was read, or another field manager owns a field."""

    reason = "Conflict"


class Gone(KubeError):
    """The version or the continue token asked for is too old; only a fresh list helps."""

    reason = "Expired"


class Forbidden(KubeError):
    """RBAC, or an admission rule, forbids it; the message names verb and resource."""

    reason = "Forbidden"


class Invalid(KubeError):
    """The API server refuses the object or the request as it is."""

    reason = "Invalid"


class Unauthorized(KubeError):
    """The API server does not accept our credentials."""

    reason = "Unauthorized"


class Unavailable(KubeError):
    """Not now: 5xx, 429, no connection, no answer in time.

    `retry_after` is what the server asked for, in seconds. `unsent` is true when the request certainly was not
    carried out (never connected, or refused with 429), so that even a write may be tried again.
    """

    reason = "Unavailable"

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        about: Ref | Resource | None = None,
        retry_after: float | None = None,
        unsent: bool = False,
    ) -> None:
        super().__init__(message, status=status, about=about)
        self.retry_after = retry_after
        self.unsent = unsent


class LeaseLost(GradatimError):
    """Another instance may lead by now: nothing may be written any more."""

    reason = "LeaseLost"


class ConfigError(GradatimError):
    """Access to the cluster is set up wrongly. The message names the file, the field and the way out."""

    reason = "BadKubeconfig"


class Details(msgspec.Struct, frozen=True):
    """The part of a Status that says what it is about."""

    name: str | None = None
    retryAfterSeconds: int | None = None  # noqa: N815 (the name on the wire)


class Status(msgspec.Struct, frozen=True):
    """What the API server answers when it has no object to answer with. Go writes `null` for what it lacks."""

    kind: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: Details | None = None


def read_status(body: bytes) -> Status | None:
    """The Status in a body, or None if it is anything else."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        return None
    return status if status.kind == "Status" else None


def from_reply(verb: str, about: Ref | Resource, status: int, headers: Mapping[str, str], body: bytes) -> KubeError:
    """The error for an answer of 400 and above to `verb` (as RBAC spells it) on `about`."""
    return from_status(verb, about, status, read_status(body), headers.get("retry-after", ""))


def from_status(verb: str, about: Ref | Resource, code: int, status: Status | None, retry_after: str = "") -> KubeError:
    """The error for a Status, or for the bare HTTP code when there is none."""
    reason = (status and status.reason) or ""
    message = (status and status.message) or f"the API server answered {code or 'nothing'} to {verb} {spell(about)}"
    if reason in ("Expired", "Gone"):
        return Gone(message, status=code or 410, about=about)
    match code:
        case 401:
            return Unauthorized(message, status=code, about=about)
        case 403:
            return Forbidden(_naming(message, verb, about), status=code, about=about)
        case 404:
            served = status is not None and status.details is not None and bool(status.details.name)
            return NotFound(message if status else unserved(about), status=code, about=about, served=served)
        case 409:
            return (AlreadyExists if reason == "AlreadyExists" else Conflict)(message, status=code, about=about)
        case 410:
            return Gone(message, status=code, about=about)
        case 400 | 413 | 422:
            return Invalid(message, status=code, about=about)
        case _ if code in (408, 429) or code >= 500:
            return _unavailable(message, code, about, status, retry_after)
        case _:
            return KubeError(message, status=code, about=about)


def unserved(about: Ref | Resource) -> str:
    """What to say when the cluster does not know this kind of object."""
    resource = about.resource if isinstance(about, Ref) else about
    return (
        f"the cluster does not serve {resource.qualified} ({resource.api_version} {resource.kind}): "
        "install its CustomResourceDefinition or correct the apiVersion"
    )


def _unavailable(message: str, code: int, about: Ref | Resource, status: Status | None, header: str) -> Unavailable:
    wait: float | None = None
    if header.strip().isdigit():
        wait = float(header)
    elif status is not None and status.details is not None and status.details.retryAfterSeconds:
        wait = float(status.details.retryAfterSeconds)
    return Unavailable(message, status=code, about=about, retry_after=wait, unsent=code == 429)


def _naming(message: str, verb: str, about: Ref | Resource) -> str:
    """RBAC's own sentence names both; an admission plug-in's may not."""
    resource = about.resource if isinstance(about, Ref) else about
    if verb in message and resource.plural in message:
        return message
    return f"{verb} {spell(about)}: {message}"


def spell(about: Ref | Resource) -> str:
    """An object or a kind of object, in a sentence."""
    return str(about) if isinstance(about, Ref) else about.qualified
