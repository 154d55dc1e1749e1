"""An event loop whose clock jumps: when nothing is ready, time is at once the moment of the next timer.

A test that takes ten minutes of `asyncio.sleep` ends in milliseconds, and always in the same order. Use it through the
fixture `virtual_time` (see `conftest.py`), or by itself: `VirtualLoop.run(main())`.

What it is for: code that waits for timers, futures, queues and threads (`asyncio.to_thread` is waited for in real
time; the clock stands still meanwhile). What it is not for: sockets and subprocesses. Their answers take real time, so
every timeout around them would fire first; registering one is refused with a sentence instead of a puzzle.

If all tasks wait for something that cannot happen any more, or timers go on for ever, the loop raises `Stalled` and
says who waits where.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

START = 1_000.0
"""Where the clock starts: not at zero, so that "no time yet" and "at the beginning" stay two things."""

DAY = 86_400.0


class Stalled(RuntimeError):
    """The test would never end: nothing is ready, and nothing ever will be."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio.SelectorEventLoop` with a clock of its own.

    `limit` is how many virtual seconds may pass before the loop takes the test for endless.
    """

    def __init__(self, limit: float = 7 * DAY) -> None:
        self._now = START
        self.limit = limit
        self.working = 0
        super().__init__(_Jumper(self))

    @classmethod
    def run(cls, main: Coroutine[Any, Any, T], limit: float = 7 * DAY) -> T:
        """Run one coroutine to its end, as `asyncio.run` does."""
        with asyncio.Runner(loop_factory=lambda: cls(limit)) as runner:
            return runner.run(main)

    def time(self) -> float:
        """Virtual seconds, monotonic."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Move the clock without running anything: what a process sees that was frozen for a while."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        """As usual, but the clock stands still until the thread has answered."""
        future = super().run_in_executor(executor, func, *args)
        self.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: asyncio.Future[Any]) -> None:
        self.working -= 1

    def advance(self, seconds: float) -> None:
        """The selector found nothing ready: let time pass, to the very moment of the next timer.

        To the moment, not by the distance: rounding would fire a timer a hair early, and code that then waits for
        the hair that is missing would never get there.
        """
        when: float = self._scheduled[0].when()  # type: ignore[attr-defined]
        self._now = when if when - self._now <= seconds else self._now + seconds
        if self._now - START > self.limit:
            raise Stalled(f"still waiting after {self.limit:.0f} virtual seconds:\n{self.waiting()}")

    def waiting(self) -> str:
        """Every unfinished task and the line it waits at."""
        lines = []
        for task in asyncio.all_tasks(self):
            frame = task.get_stack(limit=1)
            place = f"{frame[0].f_code.co_filename}:{frame[0].f_lineno}" if frame else "not started"
            lines.append(f"  {task.get_name()}: {place}")
        return "\n".join(sorted(lines))


class _Jumper(selectors.BaseSelector):
    """A selector that never waits for time: it tells the loop how much time would have passed."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.working:
            return self._real.select()
        if timeout is None:
            # Another thread may still be on its way with call_soon_threadsafe.
            if ready := self._real.select(0.2):
                return ready
            raise Stalled(f"nothing is left that could wake anybody:\n{self._loop.waiting()}")
        self._loop.advance(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self._real.get_map():  # the first one is the loop's own wake-up pipe
            raise RuntimeError("virtual time knows no sockets or subprocesses: use the normal loop for this test")
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
