"""Which Canary is looked at next: one key at a time, merged to the earliest moment, held while it is in work."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from gradatim.ports.objects import Ref


class Queue:
    """Keys with moments. A key is handed out once, and not again before `done`, however often it is added."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._heap: list[tuple[float, Ref]] = []
        self._due: dict[Ref, float] = {}
        self._working: set[Ref] = set()
        self._changed = asyncio.Event()

    def add(self, key: Ref, delay: float = 0.0) -> None:
        """Look at a key after some seconds, or earlier if that is planned already."""
        moment = self._ticks() + delay
        if key in self._due and self._due[key] <= moment:
            return
        self._due[key] = moment
        if key not in self._working:
            heapq.heappush(self._heap, (moment, key))
            self._changed.set()

    async def take(self) -> Ref:
        """The next key that is due; it is in work until `done`."""
        while True:
            delay = self._next()
            if delay is not None and delay <= 0:
                moment, key = heapq.heappop(self._heap)
                if self._due.get(key) != moment or key in self._working:
                    continue  # an entry that was overtaken by an earlier one
                del self._due[key]
                self._working.add(key)
                return key
            self._changed.clear()
            await self._wait(delay)

    def done(self, key: Ref) -> None:
        """The key may be handed out again."""
        self._working.discard(key)
        if key in self._due:
            heapq.heappush(self._heap, (self._due[key], key))
            self._changed.set()

    def forget(self, key: Ref) -> None:
        """Plan no look at a key any more."""
        self._due.pop(key, None)

    def __len__(self) -> int:
        """Keys that wait or are in work."""
        return len(self._due) + len(self._working)

    def lateness(self) -> float:
        """Seconds by which the longest-waiting key is late; 0 when none is."""
        return max(0.0, -(self._next() or 0.0)) if self._heap else 0.0

    def _next(self) -> float | None:
        return self._heap[0][0] - self._ticks() if self._heap else None

    async def _wait(self, delay: float | None) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return
