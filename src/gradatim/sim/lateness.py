"""An API server as somebody sees it who is behind: changes of some kinds arrive seconds late, as in proxies they do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Container

from gradatim.sim.api import Api, Request, Response


class Late:
    """What `api` answers; but watches of `plurals` tell everything `seconds` after it happened."""

    def __init__(self, api: Api, plurals: Container[str], seconds: float) -> None:
        self._api = api
        self._plurals = plurals
        self._seconds = seconds

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        answer = await self._api.handle(request)
        if answer.stream is not None and request.path.rstrip("/").rpartition("/")[2] in self._plurals:
            answer.stream = delayed(answer.stream, self._seconds)
        return answer

    def close(self) -> None:
        """Watches end with those of the server behind."""


async def delayed(stream: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The same pieces, each so many seconds after it came."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()

    async def read() -> None:
        try:
            async for piece in stream:
                pieces.put_nowait((loop.time() + seconds, piece))
        finally:
            pieces.put_nowait((loop.time() + seconds, None))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if piece is None:
                return
            yield piece
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
