"""The operator's transport without a socket: requests go to the simulated API server as values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import unquote

from gradatim.kube.errors import Unavailable
from gradatim.kube.transport import Reply, StreamReply
from gradatim.sim.api import Api, Request
from gradatim.sim.rest.faults import Broken
from simulated.lifeline import Lifeline

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Wire:
    """Carries requests of one process; a request is `latency` seconds on its way, its answer none.

    So a watch tells of a write after the writer has its answer, mostly. The other order is for tests of the cache.
    """

    def __init__(self, api: Api, lifeline: Lifeline, latency: float = 0.002) -> None:
        self._api = api
        self._lifeline = lifeline
        self._latency = latency

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Reply:
        """Ask and wait for the whole answer."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self._latency)
                await self._lifeline.hold()
                answer = await self._api.handle(_asked(method, path, query, headers, body))
                if method in _WRITES and "/events" not in path and answer.status < 300:
                    self._lifeline.wrote(f"{method} {unquote(path)}")
                await self._lifeline.hold()
        except TimeoutError as error:
            raise Unavailable(f"no answer within {timeout:.1f} s") from error
        except Broken as error:
            raise Unavailable(str(error)) from error
        return Reply(answer.status, _lowered(answer.headers), answer.body)

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        idle_timeout: float,
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Ask and read the answer as it comes."""
        return self._stream(_asked(method, path, query, headers, None), idle_timeout)

    @asynccontextmanager
    async def _stream(self, asked: Request, idle_timeout: float) -> AsyncIterator[StreamReply]:
        await asyncio.sleep(self._latency)
        await self._lifeline.hold()
        try:
            answer = await self._api.handle(asked)
        except Broken as error:
            raise Unavailable(str(error)) from error
        pieces = self._pieces(answer.stream, idle_timeout)
        try:
            yield StreamReply(answer.status, _lowered(answer.headers), pieces, answer.body)
        finally:
            await pieces.aclose()

    async def _pieces(self, stream: AsyncIterator[bytes] | None, idle_timeout: float) -> AsyncGenerator[bytes, None]:
        if stream is None:
            return
        try:
            while True:
                async with asyncio.timeout(idle_timeout):
                    piece = await anext(stream, None)
                await self._lifeline.hold()
                if piece is None:
                    return
                yield piece
        except TimeoutError as error:
            raise Unavailable("the stream fell silent") from error
        except Broken as error:
            raise Unavailable(str(error)) from error
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    async def close(self) -> None:
        """There is nothing to give back."""


def _asked(
    method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None, body: bytes | None
) -> Request:
    several = {name: [value] for name, value in (query or {}).items()}
    return Request(method, unquote(path), several, _lowered(headers or {}), body or b"")


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
