"""How fast we may ask: a token bucket, first come, first served.

Flagger's `-kubeconfig-qps` and `-kubeconfig-burst`. A watch takes one token when it starts and none while it runs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

ROUNDING = 1e-6
"""What may be missing from a token, and the shortest time worth waiting for one."""


class Limiter:
    """At most `burst` requests at once and `qps` a second in the long run; `qps` of 0 or less sets no limit."""

    def __init__(self, qps: float = 100, burst: int = 250, clock: Callable[[], float] | None = None) -> None:
        self._qps = qps
        self._burst = max(1, burst)
        self._clock = clock
        self._tokens = float(self._burst)
        self._filled: float | None = None
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests are held back at the moment."""
        return sum(not place.done() for place in self._queue)

    async def acquire(self) -> None:
        """Wait for a turn. Cancelling gives the place, or the token just received, to the next one."""
        if self._qps <= 0:
            return
        if not self._queue and self._take():
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._arm()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._tokens = min(self._burst, self._tokens + 1)
                self._serve()
            raise

    def _take(self) -> bool:
        now = self._now()
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._qps)
        self._filled = now
        if self._tokens < 1 - ROUNDING:
            return False
        self._tokens -= 1
        return True

    def _serve(self) -> None:
        """Hand out tokens in the order of arrival, then wait for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            if self._queue[0].done():  # cancelled
                self._queue.popleft()
            elif self._take():
                self._queue.popleft().set_result(None)
            else:
                self._arm()
                return

    def _arm(self) -> None:
        if self._timer is None:
            wait = max(ROUNDING, (1 - self._tokens) / self._qps)
            self._timer = asyncio.get_running_loop().call_later(wait, self._serve)

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()
