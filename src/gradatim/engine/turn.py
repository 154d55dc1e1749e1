"""One Canary in work, among as many others as there are places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gradatim.engine.queue import Queue
from gradatim.ports.objects import Ref


class Turn:
    """A Canary that takes up a place, except while it waits for somebody outside."""

    def __init__(self, key: Ref, queue: Queue, places: asyncio.Semaphore) -> None:
        self.key = key
        self._queue = queue
        self._places = places

    async def comes(self, answer: asyncio.Task[Any]) -> bool:
        """Wait for an answer; False when the Canary is to be looked at anew before the answer is used."""
        async with self.aside():
            wanted = asyncio.ensure_future(self._queue.wanted(self.key))
            try:
                await asyncio.wait({answer, wanted}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wanted.cancel()
        return not self._queue.claim(self.key)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Leave the place to another Canary for as long as the block lasts."""
        self._places.release()
        try:
            yield
        finally:
            await self._places.acquire()
