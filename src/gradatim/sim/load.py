"""Users: a constant stream of requests that counts every answer and every missing one.

It speaks HTTP/1.1 over plain connections itself, because ordinary clients repeat a request whose connection dies and
so hide exactly the failures that a release must not cause. Nothing here is ever sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from types import TracebackType

import msgspec


class Tally:
    """What became of the requests."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        """Answers by their `x-version` header."""
        self.strays: Counter[int] = Counter()
        """Answers of no version by status: error pages of whatever stands between."""
        self.failures: Counter[str] = Counter()
        """Requests without an answer, by the reason: refused, reset, closed, timed out."""
        self.seconds: list[float] = []

    @property
    def answered(self) -> int:
        """Requests that got an answer, whatever it was."""
        return self.statuses.total()

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return self.failures.total()

    @property
    def failed(self) -> int:
        """Requests lost or answered with 5xx."""
        return self.lost + sum(number for status, number in self.statuses.items() if status >= 500)

    def share(self, version: str) -> float:
        """The part of the answers that came from a version."""
        return self.versions[version] / max(1, self.versions.total())

    def __str__(self) -> str:
        parts = [f"{self.answered} answered", f"{self.lost} lost"]
        parts += [f"{status}: {number}" for status, number in sorted(self.statuses.items())]
        parts += [f"{version}: {number}" for version, number in sorted(self.versions.items())]
        parts += [f"{reason}: {number}" for reason, number in self.failures.items()]
        return ", ".join(parts)


class Request(msgspec.Struct, frozen=True):
    """What is sent, again and again. `host` is the Host header, the address if it is empty."""

    address: str
    port: int
    host: str = ""
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    keep_alive: bool = True
    timeout: float = 10.0

    def encode(self) -> bytes:
        """The bytes on the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {self.host or f'{self.address}:{self.port}'}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [] if self.keep_alive else ["connection: close"]
        return "\r\n".join([*lines, "", ""]).encode()


class _Answer(msgspec.Struct, frozen=True):
    status: int
    version: str
    reusable: bool


class Load:
    """Sends `rate` requests a second over at most `connections` connections; an async context manager."""

    def __init__(self, request: Request, rate: float, *, connections: int = 16) -> None:
        self.request = request
        self.rate = rate
        self.connections = connections
        self.total = Tally()
        self.recent = Tally()
        self._slots: asyncio.Queue[None] = asyncio.Queue()
        self._counted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pacer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self.connections)]
        self._pacer = asyncio.create_task(self._pace())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def take(self) -> Tally:
        """The tally since the last take."""
        taken, self.recent = self.recent, Tally()
        return taken

    async def reach(self, requests: int) -> None:
        """Wait until so many requests have been answered or lost."""
        while self.total.answered + self.total.lost < requests:
            self._counted.clear()
            await self._counted.wait()

    async def stop(self) -> None:
        """Send nothing new, wait for what is under way, close the connections."""
        if self._pacer is not None:
            self._pacer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pacer
            self._pacer = None
            while not self._slots.empty():
                self._slots.get_nowait()
                self._slots.task_done()
            await self._slots.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _pace(self) -> None:
        """A slot for every request at its time; when the loop was late, the missed ones at once."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._slots.put_nowait(None)
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _work(self) -> None:
        """One connection after the other, one request at a time."""
        loop, link = asyncio.get_running_loop(), _Link(self.request)
        try:
            while True:
                await self._slots.get()
                began = loop.time()
                try:
                    async with asyncio.timeout(self.request.timeout):
                        answer = await link.exchange()
                except (OSError, EOFError, TimeoutError, ValueError) as failure:
                    link.close()
                    self._count(None, type(failure).__name__, loop.time() - began)
                else:
                    self._count(answer, "", loop.time() - began)
                finally:
                    self._slots.task_done()
        finally:
            link.close()

    def _count(self, answer: _Answer | None, failure: str, seconds: float) -> None:
        for tally in (self.total, self.recent):
            if answer is None:
                tally.failures[failure] += 1
            else:
                tally.statuses[answer.status] += 1
                if answer.version:
                    tally.versions[answer.version] += 1
                else:
                    tally.strays[answer.status] += 1
                tally.seconds.append(seconds)
        self._counted.set()


class _Link:
    """At most one open connection."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._bytes = request.encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self) -> _Answer:
        """Send the request, read the answer. A connection that the server closed while idle is not used."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.request.address, self.request.port)
        reader, writer = self._streams
        writer.write(self._bytes)
        await writer.drain()
        answer = await _read(reader, self.request.method)
        if not (answer.reusable and self.request.keep_alive):
            self.close()
        return answer

    def close(self) -> None:
        """Give the connection up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader, method: str) -> _Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    bodiless = method == "HEAD" or status in (204, 304)
    ends_by_closing = False
    if bodiless:
        pass
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    elif "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    else:
        ends_by_closing = True
        await reader.read()
    closing = ends_by_closing or headers.get("connection", "").lower() == "close"
    return _Answer(status, headers.get("x-version", ""), reusable=not closing)
