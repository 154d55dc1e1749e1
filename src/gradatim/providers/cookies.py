"""The cookies of session affinity as text: handed out, withdrawn, and how a request carrying one is recognised.

Which values there are is decided in `core/session.py` and read from the Canary's status; where the texts go is the
meshes' part.

Same as Flagger: order and spelling of the attributes, and a pattern that finds name and value anywhere in the header.
Better than Flagger: characters with a meaning in patterns are escaped, and a cookie is withdrawn with the attributes it
was handed out with, since browsers keep a cookie whose Domain, Path or Partitioned differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradatim.api.canary import Canary, SessionAffinity
from gradatim.api.durations import parse_duration
from gradatim.core.problems import Problem
from gradatim.ports.errors import ProviderError

_DAY = 86400
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def pattern(cookie: str) -> str:
    """The regular expression (RE2) that finds a cookie such as `tier=AbC` in a `Cookie` header."""
    name, _, value = cookie.partition("=")
    return f".*{_escaped(name)}.*{_escaped(value)}.*"


def handed_to_canary(cookie: str, affinity: SessionAffinity) -> str:
    """The `Set-Cookie` value that ties a client to the canary."""
    return _text(cookie, affinity.max_age or _DAY, affinity)


def handed_to_primary(cookie: str, canary: Canary, affinity: SessionAffinity) -> str:
    """The `Set-Cookie` value that ties a client to the primary until the next tick; raises ProviderError."""
    try:
        seconds = parse_duration(canary.spec.analysis.interval)
    except ValueError as error:
        raise ProviderError(f"failed to parse canary interval: {error}") from error
    return _text(cookie, int(seconds), affinity)


def withdrawn(cookie: str, affinity: SessionAffinity) -> str:
    """The `Set-Cookie` value that makes a client forget a cookie."""
    return _text(cookie, -1, affinity)


def check(canary: Canary) -> Iterator[Problem]:
    """Names that are no cookie names; a `=` would shift the border between name and value."""
    affinity = canary.spec.analysis.session_affinity
    if affinity is None:
        return
    for field, name in (("cookieName", affinity.cookie_name), ("primaryCookieName", affinity.primary_cookie_name)):
        if name and not _NAME.fullmatch(name):
            path = f"spec.analysis.sessionAffinity.{field}"
            yield Problem(path, f"{name!r} is no cookie name; use letters, digits and - _ . only")


def _text(cookie: str, max_age: int, affinity: SessionAffinity) -> str:
    parts = [
        cookie,
        f"Max-Age={max_age}",
        f"Domain={affinity.domain}" if affinity.domain else "",
        "HttpOnly" if affinity.http_only else "",
        "Partitioned" if affinity.partitioned else "",
        f"Path={affinity.path}" if affinity.path else "",
        f"SameSite={affinity.same_site}" if affinity.same_site else "",
        "Secure" if affinity.secure else "",
    ]
    return "; ".join(part for part in parts if part)


def _escaped(text: str) -> str:
    """Only what has a meaning outside brackets: a hyphen stays a hyphen, as in the patterns that Flagger writes."""
    return _SPECIAL.sub(r"\\\1", text)
