"""One request, one answer: the seam below everything that speaks Kubernetes.

`HttpTransport` in `http.py` is the real one. Tests and the simulator put an in-process one here, by shape; nothing
above this line knows about sockets. What belongs to Kubernetes (paths, Status, versions) is `client.py`'s business.

A transport raises `Unavailable` when there is no answer at all (no connection, time is up, the stream broke off), and
returns whatever was answered otherwise, whatever its code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Replied(Protocol):
    """A complete answer; header names are lower-case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Streamed(Protocol):
    """An answer that goes on. From status 400 the stream is empty and `body` holds the whole answer."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def chunks(self) -> AsyncIterator[bytes]: ...
    @property
    def body(self) -> bytes: ...


class Reply(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamReply(msgspec.Struct, frozen=True):
    """An answer that goes on."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    body: bytes = b""


class Transport(Protocol):
    """Carries requests to one API server. `path` is percent-encoded already, query values are not."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Replied:
        """Ask and wait for the whole answer, `timeout` seconds at most."""
        ...

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        idle_timeout: float,
    ) -> AbstractAsyncContextManager[Streamed]:
        """Ask and read the answer as it comes; `idle_timeout` seconds without a byte end it."""
        ...

    async def close(self) -> None:
        """Give everything back; the transport is not used afterwards."""
        ...
