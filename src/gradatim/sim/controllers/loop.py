"""Runs the simulated cluster's controllers: one task that wakes on store events and timers.

Controllers are level-triggered: `sync` looks at the objects as they are and makes one step towards what they ask for,
so a lost or doubled event does no harm. They run one at a time: of what is due, first what the earlier controllers
in the list have to do, so that the ones who decide see what was done about their last decision. With virtual time
every run is the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from gradatim.api.errors import GradatimError
from gradatim.ports.objects import Ref
from gradatim.sim.history import Event
from gradatim.sim.store import Store

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds until an object whose sync was refused is looked at again."""

BREATH = 200
"""Syncs in a row before other tasks get a turn."""


class Controller(Protocol):
    """One controller: which objects an event concerns, and one step for one object."""

    def everything(self) -> Iterable[Ref]:
        """Every object to look at when the controllers start."""
        ...

    def concerned(self, event: Event) -> Iterable[Ref]:
        """The objects to look at because of an event."""
        ...

    def sync(self, ref: Ref) -> float | None:
        """Bring one object a step further; the seconds until it wants to be looked at again without an event."""
        ...


Key = tuple[int, Ref]


class ControlLoop:
    """Keeps the queue. `latency` is how many seconds pass between an event and the look at it."""

    def __init__(self, store: Store, controllers: Sequence[Controller], latency: float = 0.0) -> None:
        self.store = store
        self.controllers = controllers
        self.latency = latency
        self._due: dict[Key, float] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        unsubscribe = self.store.subscribe(self.notice)
        try:
            for index, controller in enumerate(self.controllers):
                for ref in controller.everything():
                    self.enqueue(index, ref)
            while True:
                await self._work()
                await self._rest()
        finally:
            unsubscribe()

    def notice(self, event: Event) -> None:
        """An object changed."""
        for index, controller in enumerate(self.controllers):
            for ref in controller.concerned(event):
                self.enqueue(index, ref, self.latency)

    def enqueue(self, index: int, ref: Ref, after: float = 0.0) -> None:
        """Look at an object in `after` seconds, or earlier if that was already agreed."""
        due = asyncio.get_running_loop().time() + after
        key = (index, ref)
        if key not in self._due or due < self._due[key]:
            self._due[key] = due
        self._wake.set()

    async def _work(self) -> None:
        """Look at everything that is due, and at what that makes due."""
        done = 0
        while key := self._next():
            del self._due[key]
            self._sync(key)
            done += 1
            if done % BREATH == 0:
                await asyncio.sleep(0)

    def _next(self) -> Key | None:
        now = asyncio.get_running_loop().time()
        ready = (key for key, due in self._due.items() if due <= now)
        return min(ready, key=lambda key: (key[0], self._due[key]), default=None)

    def _sync(self, key: Key) -> None:
        index, ref = key
        try:
            again = self.controllers[index].sync(ref)
        except GradatimError as refusal:
            log.warning("controller %s: %s: %s", type(self.controllers[index]).__name__, ref, refusal)
            again = RETRY
        if again is not None:
            self.enqueue(index, ref, max(again, 0.0))

    async def _rest(self) -> None:
        """Wait for an event or for the next object to become due."""
        try:
            async with asyncio.timeout_at(min(self._due.values(), default=None)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
