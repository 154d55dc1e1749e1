"""What ties one process to the world, so that it can be cut at a chosen write.

A process that is killed does nothing more and hears nothing more; whatever it waited for never comes. Behind a cut
lifeline all calls hang, until the process is buried: then they end as cancelled, so that its tasks can be cleared away.
"""

from __future__ import annotations

import asyncio


class Lifeline:
    """One process's tie. `crash_after` is the number of writes after which it is cut: the last one is carried out."""

    def __init__(self, crash_after: int | None = None) -> None:
        self.writes: list[str] = []
        """Every write so far, such as `PATCH …/canaries/shop/status`; events are not counted."""
        self.cut = asyncio.Event()
        self._crash_after = crash_after
        self._buried = False
        self._hanging: set[asyncio.Future[None]] = set()
        if crash_after == 0:
            self.cut.set()

    async def hold(self) -> None:
        """Go on, or hang if the lifeline is cut."""
        if not self.cut.is_set():
            return
        if self._buried:
            raise asyncio.CancelledError
        never = asyncio.get_running_loop().create_future()
        self._hanging.add(never)
        try:
            await never
        finally:
            self._hanging.discard(never)

    def wrote(self, what: str) -> None:
        """Count a write that was carried out."""
        self.writes.append(what)
        if self._crash_after is not None and len(self.writes) >= self._crash_after:
            self.cut.set()

    def bury(self) -> None:
        """Cut it, and end everything that hangs."""
        self.cut.set()
        self._buried = True
        for never in list(self._hanging):
            never.cancel()
