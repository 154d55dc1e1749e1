"""String formats that a CRD can ask for. Unknown formats are no rule at all."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

_DURATION = re.compile(
    r"[+-]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*)"
)
_LONG_DURATION = re.compile(
    r"(\d+\s?(ns|nano|us|micro|ms|milli|s|sec|second|m|min|minute|h|hr|hour|d|day|w|wk|week)s?\s*)+"
)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?)?")
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?)*\.?"
)


def fits(name: str, text: str) -> bool:
    """Whether a string has that format; yes if nobody knows the format."""
    rule = _RULES.get(name.replace("-", ""))
    return rule is None or rule(text)


def _duration(text: str) -> bool:
    return bool(_DURATION.fullmatch(text) or _LONG_DURATION.fullmatch(text))


def _date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _address(version: int) -> Callable[[str], bool]:
    def fits_address(text: str) -> bool:
        try:
            return version == ipaddress.ip_address(text).version
        except ValueError:
            return False

    return fits_address


def _network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _bytes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) or text.startswith("/")
    except ValueError:
        return False


_RULES: dict[str, Callable[[str], bool]] = {
    "datetime": lambda text: bool(_DATE_TIME.fullmatch(text)),
    "date": _date,
    "duration": _duration,
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _network,
    "uuid": _uuid,
    "byte": _bytes,
    "uri": _uri,
    "hostname": lambda text: bool(_HOSTNAME.fullmatch(text)),
    "email": lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+", text)),
    "mac": lambda text: bool(re.fullmatch(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", text)),
}
_TRUSTED = frozenset(("bsonobjectid", "creditcard", "hexcolor", "isbn", "isbn10", "isbn13", "password", "rgbcolor"))
_TRUSTED |= {"k8s-long-name", "k8s-short-name", "ssn", "uuid3", "uuid4", "uuid5"}
KNOWN = frozenset((*_RULES, *_TRUSTED, "date-time"))
"""The formats that a server knows; nobody looks whether a value has one of the trusted ones."""
