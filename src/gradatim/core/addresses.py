"""URLs that users write: which ones can be used, and how to show one without the password in it."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_CREDENTIALS = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^/?#:]*)(?P<password>:[^/?#]*)?@")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


def is_web_address(url: str) -> bool:
    """Whether a URL names a host and speaks HTTP."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and _has_port(parts.port, url)
    except ValueError:
        return False


def _has_port(port: int | None, url: str) -> bool:
    return port != 0 and not _FORBIDDEN.search(url)


def without_password(url: str) -> str:
    """The same URL for people to read: a password in it becomes `xxxxx`."""
    found = _CREDENTIALS.match(url)
    if not found or found["password"] is None:
        return url
    return f"{found['scheme']}{found['user']}:xxxxx@{url[found.end() :]}"


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """A URL without user and password, and these two if it had them."""
    found = _CREDENTIALS.match(url)
    if not found:
        return url, None
    password = (found["password"] or "")[1:]
    return found["scheme"] + url[found.end() :], (unquote(found["user"]), unquote(password))
