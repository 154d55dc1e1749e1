"""Memory of the operator: the collector looks seldom, and what work has left behind is given back when it is over."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import NoReturn

EVERY = 20.0
"""Seconds between two looks at whether there is something to give back."""


def spare_the_collector() -> None:
    """Tell the garbage collector that what was loaded stays, and to look less often: it took a tenth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def give_back(every: float = EVERY) -> NoReturn:
    """Collect and return memory to the system, for ever, but only after something was done.

    A thousand Canaries leave 20 MiB behind with each release of all, and glibc keeps freed memory for later.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none, and give back by themselves
    while True:
        await asyncio.sleep(every)
        _, young, old = gc.get_count()
        if not (young or old):
            continue
        gc.collect()
        if trim is not None:
            trim(0)
