"""Memory that work has left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gradatim.apps import thrift


class Knot:
    """Only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.asyncio
async def test_what_work_has_left_behind_is_given_back_when_nobody_waits_for_it() -> None:
    gc.disable()
    try:
        gc.collect(0)  # as work does; it is counted
        knot = weakref.ref(Knot())
        giving = asyncio.create_task(thrift.give_back(0.0))
        for _ in range(3):
            await asyncio.sleep(0)
        giving.cancel()
        assert knot() is None
    finally:
        gc.enable()
