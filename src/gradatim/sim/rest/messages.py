"""What comes in and what goes out, whatever carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

JSON = "application/json"


class Request(msgspec.Struct):
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]] = {}
    headers: dict[str, str] = {}
    body: bytes = b""

    @classmethod
    def to(cls, method: str, url: str, body: Any = None, **headers: str) -> Request:
        """For callers in this process: a URL with its query, a body of any JSON, headers as keywords."""
        parts = urlsplit(url)
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        encoded = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return cls(method, parts.path, parse_qs(parts.query, keep_blank_values=True), named, encoded)

    def first(self, name: str, otherwise: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else otherwise

    def flag(self, name: str) -> bool:
        """Whether a query parameter is switched on: there, and not `0` or `false`."""
        return name in self.query and self.first(name).lower() not in ("0", "false")


class Response(msgspec.Struct):
    """One HTTP answer: a body, or a stream of pieces."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None

    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)
