"""Whether pods that are to go still get requests: two readings of every counter, between which none has moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gradatim.core.readiness import Ready, Waiting
from gradatim.core.settings import Settings
from gradatim.engine.draining import Draining
from gradatim.engine.measuring import Counted
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import CANARY, Ref

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]

SHOP: Any = SimpleNamespace(key=Ref(CANARY, "test", "shop"), settings=Settings(drain=30.0))
OTHER: Any = SimpleNamespace(key=Ref(CANARY, "test", "other"), settings=Settings(drain=30.0))

Answer = Counted | ProviderError | None


class Counters:
    """A metrics server that reads its counters every `every` seconds; requests come until `until`."""

    def __init__(self, every: float, until: float, took: float = 0.01) -> None:
        self.began = asyncio.get_running_loop().time()
        self.every, self.until, self.took = every, until, took
        self.answer: Callable[[float], Answer] = self._counted
        self.asked: list[bool] = []

    async def counted(self, site: object, *, primary: bool) -> Counted | None:
        """As `Measuring` says it."""
        self.asked.append(primary)
        await asyncio.sleep(self.took)
        answer = self.answer(asyncio.get_running_loop().time() - self.began)
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    def _counted(self, now: float) -> Counted:
        age = now % self.every
        return Counted(total=10 * min(now - age, self.until), age=age)


def draining(counters: Counters) -> Draining:
    return Draining(counters, asyncio.get_running_loop().time)  # type: ignore[arg-type]


async def seconds(counters: Counters, made: Draining | None = None, *, primary: bool = False) -> float:
    """How long the pods are kept when somebody asks every second."""
    made, loop = made or draining(counters), asyncio.get_running_loop()
    began = loop.time()
    while isinstance(await made.quiet(SHOP, primary=primary), Waiting):  # noqa: ASYNC110 - this is what is tested
        await asyncio.sleep(1.0)
    return loop.time() - began


async def test_pods_are_kept_until_every_counter_was_read_anew_and_none_had_moved() -> None:
    """The proxy follows after 4 seconds: counters read at 5 have moved, those read at 10 have not."""
    assert 10 <= await seconds(Counters(every=5, until=4)) < 11.5


async def test_the_same_reading_twice_proves_nothing() -> None:
    """Nothing moves from the beginning on, but it takes a second reading to know that."""
    assert 15 <= await seconds(Counters(every=15, until=0)) < 16.5


async def test_requests_that_never_end_keep_pods_as_long_as_allowed_and_no_longer() -> None:
    counters = Counters(every=5, until=1000)
    assert await seconds(counters) == pytest.approx(30, abs=1.5)
    made = draining(counters)
    await seconds(counters, made)
    assert await made.quiet(SHOP, primary=False) == Ready(), "and once it is over, it is over"


async def test_where_nobody_counts_pods_are_not_kept() -> None:
    counters = Counters(every=5, until=4)
    counters.answer = lambda _: None
    assert await seconds(counters) < 0.1


async def test_counters_that_are_gone_count_nothing_any_more() -> None:
    """A proxy that has dropped a Service drops its counters, too."""
    counters = Counters(every=5, until=4)
    counters.answer = lambda now: Counted(10 * now, 0.0) if now < 5 else None
    assert 4 < await seconds(counters) < 6.5


async def test_a_server_that_fails_keeps_pods_as_long_as_allowed_and_no_longer() -> None:
    counters = Counters(every=5, until=0)
    counters.answer = lambda _: ProviderError("connection refused")
    assert await seconds(counters) == pytest.approx(30, abs=1.5)


async def test_a_server_that_comes_back_is_believed() -> None:
    counters = Counters(every=5, until=0)
    counted = counters.answer
    counters.answer = lambda now: ProviderError("connection refused") if now < 12 else counted(now)
    assert 15 <= await seconds(counters) < 16.5


async def test_a_server_that_hangs_keeps_pods_as_long_as_allowed_and_not_a_moment_longer() -> None:
    assert await seconds(Counters(every=5, until=0, took=1000)) == 30


async def test_each_canary_waits_for_itself_and_each_waiting_begins_anew() -> None:
    counters = Counters(every=5, until=1000)
    made = draining(counters)
    await seconds(counters, made)
    assert isinstance(await made.quiet(OTHER, primary=False), Waiting)
    made.forget(SHOP.key)
    assert isinstance(await made.quiet(SHOP, primary=False), Waiting)


async def test_the_side_that_is_meant_is_asked_for() -> None:
    counters = Counters(every=5, until=0)
    await seconds(counters, primary=True)
    assert set(counters.asked) == {True}
