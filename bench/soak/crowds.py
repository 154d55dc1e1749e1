"""Users: one crowd that keeps its connections and one that never does; and what became of their requests."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import msgspec

from gradatim.apps.playground.releases import HOST
from gradatim.sim.load import Load, Request, Tally
from gradatim.sim.traefik import Traefik

CONNECTIONS = 24
"""Of each crowd; more do not send more, but wait longer when the machine is slow."""


class Row(msgspec.Struct, frozen=True):
    """What happened to the requests of one release, or of whatever else was played."""

    what: str
    seconds: float
    requests: int
    lost: int
    by: str
    """The reasons of the losses."""
    late: float
    """Seconds that one request in a thousand took, or more."""
    wrong: str = ""
    """What did not go as it should, but for the requests."""

    def __str__(self) -> str:
        counted = f"{self.requests:>9,} requests {self.lost:>5} lost"
        line = f"{self.what:<52} {self.seconds:6.1f} s {counted} {1000 * self.late:5.0f} ms {self.by}".rstrip()
        return f"{line}  WRONG: {self.wrong}" if self.wrong else line


class Crowds:
    """The users of one application, as many crowds as there are sorts of requests; use it in an `async with`."""

    def __init__(self, traefik: Traefik, rate: float, headers: tuple[tuple[tuple[str, str], ...], ...]) -> None:
        address, port = traefik.address, traefik.web_port
        requests = [
            Request(address, port, HOST, headers=more, keep_alive=keep) for keep in (True, False) for more in headers
        ]
        self._loads = [Load(request, rate / len(requests), connections=CONNECTIONS) for request in requests]
        self._stack = AsyncExitStack()
        self._began = 0.0
        self.rows: list[Row] = []

    async def __aenter__(self) -> Crowds:
        for load in self._loads:
            await self._stack.enter_async_context(load)
        self._began = asyncio.get_running_loop().time()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def note(self, what: str, wrong: str = "") -> None:
        """One row with everything since the last."""
        tallies = [load.take() for load in self._loads]
        now = asyncio.get_running_loop().time()
        lost = sum(tally.lost + sum(tally.strays.values()) for tally in tallies)
        times = sorted(seconds for tally in tallies for seconds in tally.seconds)
        row = Row(
            what=what,
            seconds=now - self._began,
            requests=sum(tally.answered + tally.lost for tally in tallies),
            lost=lost,
            by=" ".join(map(_reasons, tallies)).strip() if lost else "",
            late=times[-1 - len(times) // 1000] if times else 0.0,
            wrong=wrong,
        )
        self._began = now
        self.rows.append(row)
        print(row, file=sys.stderr, flush=True)


def _reasons(tally: Tally) -> str:
    return " ".join(f"{reason}×{count}" for reason, count in (*tally.failures.items(), *tally.strays.items()))
