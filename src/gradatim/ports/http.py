"""Requests to everything that is not the API server, as values; the engine owns the one client that sends them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gradatim.ports.errors import ProviderError


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `timeout` in seconds for the whole exchange; an empty `proxy` means that of the environment.

    `url` may carry `user:password@`, which is sent as basic authentication and never printed.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 5.0
    verify_tls: bool = True
    proxy: str = ""


class HttpResponse(msgspec.Struct, frozen=True):
    """One answer, of whatever status. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body for reading; bytes that are no UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")


class HttpFailure(ProviderError):
    """No answer came: the connection, TLS, or the deadline failed. `retryable` is False for certificate errors."""

    reason = "Unreachable"

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Http(Protocol):
    """Sends a request; raises HttpFailure when no answer comes."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to a request, whatever its status."""
        ...
