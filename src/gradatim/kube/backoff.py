"""How long to wait after failing: longer every time, never all at the same moment, short again after a good time."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST, LONGEST = 0.5, 30.0


class Backoff:
    """Pauses that double from `FIRST` to `LONGEST` seconds, each shortened by up to a half at random."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._pause = FIRST

    def next(self) -> float:
        """The pause to make now."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST)
        return self.jittered(pause)

    def reset(self) -> None:
        """Things went well."""
        self._pause = FIRST

    def jittered(self, pause: float) -> float:
        """Between half and all of it."""
        return pause * (0.5 + self._chance() / 2)
