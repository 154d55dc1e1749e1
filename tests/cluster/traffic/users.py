"""Users: some keep their connections and some never do, and every one of their requests is counted once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType

from cluster.traffic.edge import Edge
from cluster.traffic.findings import Counts
from gradatim.sim.load import Load, Request, Tally

RATE = 100.0
"""Requests a second of each of the two crowds."""


class Users:
    """The users of one application. Use it in an `async with`."""

    def __init__(self, edge: Edge, host: str) -> None:
        requests = [Request(edge.address, edge.web_port, host, keep_alive=keep) for keep in (True, False)]
        self._loads = [Load(request, RATE) for request in requests]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Users:
        for load in self._loads:
            await self._stack.enter_async_context(load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def counted(self) -> Counts:
        """What became of the requests since this was asked last."""
        return sum((_counts(load.take()) for load in self._loads), Counts())

    async def send(self, number: int) -> None:
        """Wait until so many more are counted."""
        share = number // len(self._loads)
        await asyncio.gather(*(load.reach(load.total.answered + load.total.lost + share) for load in self._loads))


def _counts(tally: Tally) -> Counts:
    pages = {f"{status} by the proxy": number for status, number in tally.strays.items()}
    return Counts(dict(tally.versions), dict(tally.statuses), dict(tally.failures) | pages)
