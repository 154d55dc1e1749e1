"""The queue hands out one key at a time, at its earliest moment."""

from __future__ import annotations

import asyncio

import pytest

from gradatim.engine.queue import Queue
from gradatim.ports.objects import CANARY, Ref

A, B = Ref(CANARY, "test", "a"), Ref(CANARY, "test", "b")


def queue() -> Queue:
    return Queue(asyncio.get_running_loop().time)


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_keys_come_at_their_moment_and_the_earlier_wish_wins() -> None:
    waiting = queue()
    waiting.add(A, 10)
    waiting.add(B, 5)
    waiting.add(A, 2)
    waiting.add(A, 7)
    began = asyncio.get_running_loop().time()
    assert await waiting.take() == A
    assert asyncio.get_running_loop().time() - began == pytest.approx(2)
    waiting.done(A)
    assert await waiting.take() == B
    assert asyncio.get_running_loop().time() - began == pytest.approx(5)
    assert len(waiting) == 1


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_key_in_work_is_not_handed_out_again_before_it_is_done() -> None:
    waiting = queue()
    waiting.add(A)
    assert await waiting.take() == A
    waiting.add(A)
    waiting.add(B, 1)
    assert await waiting.take() == B
    waiting.done(A)
    assert await waiting.take() == A


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_wish_that_comes_while_nothing_waits_wakes_the_taker() -> None:
    waiting = queue()
    taker = asyncio.create_task(waiting.take())
    await asyncio.sleep(3)
    assert not taker.done()
    waiting.add(A)
    assert await taker == A


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_forgotten_key_does_not_come() -> None:
    waiting = queue()
    waiting.add(A, 1)
    waiting.add(B, 2)
    waiting.forget(A)
    assert await waiting.take() == B
    assert waiting.lateness() == 0


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_key_in_work_is_wanted_again_at_the_moment_of_the_wish() -> None:
    waiting, time = queue(), asyncio.get_running_loop().time
    waiting.add(A)
    await waiting.take()
    again = asyncio.create_task(waiting.wanted(A))
    await asyncio.sleep(1)
    assert not again.done()
    waiting.add(A, 5)
    await asyncio.sleep(1)
    waiting.add(A, 2)
    began = time()
    await again
    assert time() - began == pytest.approx(2)


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_wish_that_was_claimed_by_who_has_the_key_in_work_is_fulfilled() -> None:
    waiting = queue()
    waiting.add(A)
    await waiting.take()
    assert not waiting.claim(A)
    waiting.add(A, 5)
    assert not waiting.claim(A), "not due yet"
    await waiting.wanted(A)
    assert waiting.claim(A)
    assert not waiting.claim(A)
    waiting.done(A)
    assert len(waiting) == 0
