"""The rate limit: how fast, in which order, and what cancelling does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gradatim.kube.limiter import Limiter

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]


async def test_a_burst_goes_through_at_once_and_the_rest_at_qps(virtual_time: Callable[[], float]) -> None:
    limiter, start = Limiter(qps=10, burst=5), virtual_time()
    moments = []
    for _ in range(25):
        await limiter.acquire()
        moments.append(virtual_time() - start)
    assert moments[:5] == [0.0] * 5
    assert moments[5:] == pytest.approx([(number + 1) / 10 for number in range(20)], abs=1e-3)


async def test_first_come_first_served() -> None:
    limiter, order = Limiter(qps=100, burst=1), []

    async def ask(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(ask(number))
    assert order == list(range(50))


async def test_a_late_comer_does_not_overtake_those_who_wait(virtual_time: Callable[[], float]) -> None:
    limiter, order = Limiter(qps=1, burst=1), []

    async def ask(name: str) -> None:
        await limiter.acquire()
        order.append((name, virtual_time()))

    start = virtual_time()
    await limiter.acquire()
    early = asyncio.create_task(ask("early"))
    await asyncio.sleep(0.999999)
    late = asyncio.create_task(ask("late"))
    await asyncio.gather(early, late)
    assert [name for name, _ in order] == ["early", "late"]
    assert [moment - start for _, moment in order] == pytest.approx([1, 2], abs=1e-3)


async def test_those_who_give_up_cost_nobody_time(virtual_time: Callable[[], float]) -> None:
    limiter, start = Limiter(qps=1, burst=1), virtual_time()
    await limiter.acquire()
    impatient = [asyncio.create_task(limiter.acquire()) for _ in range(10)]
    patient = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    assert limiter.waiting == 11
    for task in impatient:
        task.cancel()
    await patient
    assert virtual_time() - start == pytest.approx(1, abs=1e-3)
    assert limiter.waiting == 0


async def test_a_token_given_to_somebody_just_cancelled_goes_to_the_next(virtual_time: Callable[[], float]) -> None:
    limiter, start = Limiter(qps=1, burst=1), virtual_time()
    await limiter.acquire()
    first = asyncio.create_task(limiter.acquire())
    second = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    # The timer hands out the token and, in the same turn of the loop, the one who got it is cancelled.
    asyncio.get_running_loop().call_later(1.0, lambda: asyncio.get_running_loop().call_soon(first.cancel))
    await asyncio.gather(first, second, return_exceptions=True)
    assert virtual_time() - start <= 2.001
    assert second.done()
    assert not second.cancelled()


async def test_idle_time_fills_the_bucket_but_not_over_the_brim(virtual_time: Callable[[], float]) -> None:
    limiter = Limiter(qps=100, burst=3)
    for _ in range(3):
        await limiter.acquire()
    await asyncio.sleep(3600)
    start = virtual_time()
    for _ in range(4):
        await limiter.acquire()
    assert virtual_time() - start == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("qps", [0, -1])
async def test_no_rate_means_no_limit(qps: float, virtual_time: Callable[[], float]) -> None:
    limiter, start = Limiter(qps=qps, burst=1), virtual_time()
    for _ in range(10_000):
        await limiter.acquire()
    assert virtual_time() == start
