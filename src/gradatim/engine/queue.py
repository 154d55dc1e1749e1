"""Which Canary is looked at next: one key at a time, merged to the earliest moment, held while it is in work."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress

from gradatim.ports.objects import Ref


class Queue:
    """Keys with moments. A key is handed out once, and not again before `done`, however often it is added."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._heap: list[tuple[float, Ref]] = []
        self._due: dict[Ref, float] = {}
        self._working: dict[Ref, asyncio.Event] = {}
        """Keys in work; the event says that there is a new wish."""
        self._changed = asyncio.Event()

    def add(self, key: Ref, delay: float = 0.0) -> None:
        """Look at a key after some seconds, or earlier if that is planned already."""
        moment = self._ticks() + delay
        if key in self._due and self._due[key] <= moment:
            return
        self._due[key] = moment
        if key in self._working:
            self._working[key].set()
        else:
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
                self._working[key] = asyncio.Event()
                return key
            await _wait(self._changed, delay)

    async def wanted(self, key: Ref) -> None:
        """Return when a key in work is due again."""
        while not self._again(key):
            moment = self._due.get(key)
            await _wait(self._working[key], None if moment is None else moment - self._ticks())

    def claim(self, key: Ref) -> bool:
        """Whether a key in work is due again. The wish is then fulfilled by whoever has it in work."""
        again = self._again(key)
        if again:
            del self._due[key]
        return again

    def done(self, key: Ref) -> None:
        """The key may be handed out again."""
        self._working.pop(key, None)
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

    def _again(self, key: Ref) -> bool:
        return key in self._due and self._due[key] <= self._ticks()


async def _wait(changed: asyncio.Event, delay: float | None) -> None:
    """Wait until something has changed, but no longer than some seconds."""
    changed.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(delay):
            await changed.wait()
