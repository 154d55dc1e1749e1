"""The loop with a clock of its own does what tests rely on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from virtual_loop import START, Stalled, VirtualLoop


@pytest.mark.asyncio
async def test_hours_pass_in_no_time(virtual_time: Callable[[], float]) -> None:
    really = time.monotonic()
    await asyncio.sleep(3 * 3600)
    assert virtual_time() == pytest.approx(START + 3 * 3600)
    assert time.monotonic() - really < 5


@pytest.mark.asyncio
async def test_timers_fire_in_the_order_of_their_moments(virtual_time: Callable[[], float]) -> None:
    seen: list[tuple[str, float]] = []

    async def say(word: str, after: float) -> None:
        await asyncio.sleep(after)
        seen.append((word, virtual_time() - START))

    async with asyncio.TaskGroup() as group:
        for word, after in (("third", 30.0), ("first", 0.5), ("second", 2.0)):
            group.create_task(say(word, after))
    assert [word for word, _ in seen] == ["first", "second", "third"]
    assert [moment for _, moment in seen] == pytest.approx([0.5, 2.0, 30.0])


@pytest.mark.asyncio
async def test_a_timeout_fires_at_its_moment(virtual_time: Callable[[], float]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(45):
            await asyncio.Event().wait()
    assert virtual_time() == pytest.approx(START + 45)


@pytest.mark.asyncio
async def test_nobody_is_woken_early(virtual_time: Callable[[], float]) -> None:
    for number in range(1, 300):
        until = virtual_time() + 1 / number
        await asyncio.sleep(1 / number)
        assert virtual_time() >= until


@pytest.mark.asyncio
async def test_the_clock_stands_still_while_a_thread_works(virtual_time: Callable[[], float]) -> None:
    async with asyncio.timeout(1):
        assert await asyncio.to_thread(lambda: time.sleep(0.02) or "done") == "done"
    assert virtual_time() == START


@pytest.mark.asyncio
async def test_a_frozen_process_sees_its_timers_late(virtual_time: Callable[[], float]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    loop.jump(100)
    await task
    assert virtual_time() == START + 100


def test_waiting_for_nothing_is_an_error_that_names_the_task() -> None:
    async def main() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="the one that hangs")

    with pytest.raises(Stalled, match="the one that hangs"):
        VirtualLoop.run(main())


def test_endless_timers_are_an_error() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 (endless timers are what this test is about)
            await asyncio.sleep(60)

    with pytest.raises(Stalled, match="still waiting after 3600"):
        VirtualLoop.run(main(), limit=3600)


def test_sockets_are_refused() -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            await asyncio.get_running_loop().sock_recv(left, 1)

    with pytest.raises(RuntimeError, match="virtual time knows no sockets"):
        VirtualLoop.run(main())


@pytest.mark.asyncio
async def test_without_the_fixture_the_loop_is_the_normal_one() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualLoop)
