"""Time, handed to everything that needs it.

Wall time is derived from the monotonic clock, so that a jump of the machine's clock moves no deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """`now()` in Unix seconds, `ticks()` in monotonic seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Unix time in seconds."""
        return self._monotonic() + self._offset

    def ticks(self) -> float:
        """Seconds that only ever grow."""
        return self._monotonic()
