"""The load generator counts what really happened and repeats nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gradatim.sim.load import Load, Request, Tally

Handler = Callable[[int, asyncio.StreamWriter], None]


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that hands each request's number and the connection to `handle`; yields the port and the requests."""
    seen: list[bytes] = []
    open_writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        try:
            while True:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                handle(len(seen), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1], seen
    finally:
        listener.close()
        for writer in open_writers:
            writer.close()


def answer(status: int = 200, version: str = "v1", extra: str = "", body: str = "hello") -> bytes:
    length = f"content-length: {len(body)}\r\n" if "chunked" not in extra else ""
    return f"HTTP/1.1 {status} X\r\nx-version: {version}\r\n{length}{extra}\r\n{body}".encode()


async def drive(handle: Handler, requests: int, **options: object) -> tuple[Tally, list[bytes]]:
    """Send about so many requests over one connection at a time."""
    async with server(handle) as (port, seen):
        request = Request("127.0.0.1", port, timeout=0.5, **options)  # type: ignore[arg-type]
        async with Load(request, 500, connections=1) as load:
            await load.reach(requests)
        return load.total, seen


@pytest.mark.asyncio
async def test_answers_are_counted_by_status_and_version() -> None:
    def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(500, "v2") if number % 4 == 0 else answer(200, "v1"))

    tally, seen = await drive(handle, 40, host="shop.example.com", path="/x?y=1", headers=(("cookie", "a=b"),))
    assert tally.statuses[500] * 3 == pytest.approx(tally.statuses[200], abs=3)
    assert tally.versions["v2"] == tally.statuses[500] == tally.failed
    assert tally.lost == 0
    assert tally.answered == len(seen)
    assert tally.share("v1") == pytest.approx(0.75, abs=0.05)
    assert seen[0] == b"GET /x?y=1 HTTP/1.1\r\nhost: shop.example.com\r\ncookie: a=b\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "reply",
    [
        answer(extra="transfer-encoding: chunked\r\n", body="5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n"),
        answer(status=204, body=""),
        answer(extra="connection: close\r\n"),
    ],
)
async def test_every_way_an_answer_may_end_is_understood(reply: bytes) -> None:
    def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        if b"connection: close" in reply:
            writer.close()

    tally, _ = await drive(handle, 10)
    assert tally.lost == 0
    assert tally.versions["v1"] == tally.answered >= 10


@pytest.mark.asyncio
async def test_a_connection_that_dies_under_a_request_is_a_lost_request_and_not_repeated() -> None:
    def handle(number: int, writer: asyncio.StreamWriter) -> None:
        if number % 5 == 0:
            writer.transport.abort()
        else:
            writer.write(answer())

    tally, seen = await drive(handle, 25)
    assert tally.lost == len(seen) // 5
    assert tally.answered + tally.lost == len(seen)


@pytest.mark.asyncio
async def test_a_connection_closed_while_idle_is_replaced_without_a_loss() -> None:
    def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        asyncio.get_running_loop().call_later(0.01, writer.close)

    async with server(handle) as (port, seen), Load(Request("127.0.0.1", port), 20, connections=1) as load:
        await load.reach(3)
    assert load.total.lost == 0
    assert load.total.answered == len(seen) >= 3


@pytest.mark.asyncio
async def test_silence_and_nobody_at_home_are_losses() -> None:
    tally, _ = await drive(lambda number, writer: None, 1)
    assert tally.failures["TimeoutError"] >= 1
    async with Load(Request("127.0.0.1", 1, timeout=0.5), 200, connections=1) as load:
        await load.reach(1)
    assert load.total.failures["ConnectionRefusedError"] == load.total.lost


@pytest.mark.asyncio
async def test_the_rate_is_kept_and_the_recent_tally_can_be_taken() -> None:
    """Of 60 requests at 200 a second the last one comes after 0.3 s, however fast the server is."""
    loop = asyncio.get_running_loop()
    async with server(lambda number, writer: writer.write(answer())) as (port, seen):
        began = loop.time()
        async with Load(Request("127.0.0.1", port, keep_alive=False), 200) as load:
            await load.reach(30)
            first = load.take()
            await load.reach(60)
            took = loop.time() - began
    assert took >= 59 / 200
    assert first.answered >= 30
    assert first.answered + load.take().answered == load.total.answered == len(seen)
    assert b"connection: close" in seen[0]
