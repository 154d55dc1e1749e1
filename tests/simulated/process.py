"""The operator as a process that can be stopped politely, killed, and left to crash at a chosen write."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gradatim.apps.wiring import World, assemble, follow
from gradatim.core.settings import Settings
from gradatim.engine.clock import Clock
from gradatim.sim.api import Api
from simulated.lifeline import Lifeline
from simulated.outside import Connection, Outside
from simulated.wire import Wire

FAREWELL = 5.0


class Process:
    """One running operator."""

    def __init__(
        self, api: Api, outside: Outside, clock: Clock, settings: Settings, *, crash_after: int | None = None
    ) -> None:
        self.lifeline = Lifeline(crash_after)
        self.asks, self.tells = Connection(outside, self.lifeline), Connection(outside, self.lifeline)
        world = World(transport=Wire(api, self.lifeline), http=self.asks, news=self.tells, clock=clock)
        self.parts = assemble(settings, world)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def writes(self) -> list[str]:
        """What it has written so far, events left out."""
        return self.lifeline.writes

    def start(self) -> None:
        """Begin to work."""
        follow(self.parts.cache)
        work: tuple[Coroutine[Any, Any, None], ...] = (self.parts.cache.run(), self.parts.operator.run())
        self._tasks = [asyncio.ensure_future(one) for one in work]

    async def crashed(self) -> None:
        """Wait until it has done its last write."""
        await self.lifeline.cut.wait()

    async def stop(self) -> None:
        """End it as a SIGTERM does: what was begun is finished. Raises what went wrong in it."""
        await self._end(FAREWELL)

    async def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self.lifeline.bury()
        await self._end(0.0)

    async def _end(self, farewell: float) -> None:
        tasks, self._tasks = self._tasks, []
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.parts.newsroom.drain(farewell)
        await self.parts.cache.close()
        for task in broken:
            task.result()
