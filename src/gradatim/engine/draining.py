"""Whether pods that are to go still get requests, told by two looks at the counters of the metrics server.

Between them every counter must have been read again and none must have moved. So it adapts to how often the server
reads them, and needs no clock in common with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from gradatim.core.readiness import Ready, Waiting
from gradatim.engine.measuring import Counted, Measuring
from gradatim.engine.site import Site
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Ref

log = logging.getLogger(__name__)


class _Look(msgspec.Struct, frozen=True):
    """What was counted; the time when this was known."""

    total: float
    at: float


class _Wait(msgspec.Struct):
    """One waiting: when it ends at the latest, and the first look at the counters as they stand now."""

    until: float
    look: _Look | None = None


class Draining:
    """Remembers the waiting of each Canary; losing that makes it begin anew."""

    def __init__(self, measuring: Measuring, ticks: Callable[[], float]) -> None:
        self._measuring = measuring
        self._ticks = ticks
        self._waits: dict[Ref, _Wait] = {}

    async def quiet(self, site: Site, *, primary: bool) -> Ready | Waiting:
        """Ready when no more requests are counted, when nobody counts them, and when the time for that is over."""
        wait = self._waits.setdefault(site.key, _Wait(self._ticks() + site.settings.drain))
        whose = {"canary": f"{site.key.name}.{site.key.namespace}"}
        try:
            async with asyncio.timeout(wait.until - self._ticks()):
                asked = self._ticks()
                found = await self._measuring.counted(site, primary=primary)
        except TimeoutError:
            log.warning("pods go although it is not certain that they get no more requests", extra=whose)
            return Ready()
        except ProviderError as error:
            log.debug("requests are not counted: %s", error.message, extra=whose)
            return Waiting("the metrics server does not say whether pods that are to go still get requests")
        if found is None or _unmoved(wait.look, found, asked):
            return Ready()
        if wait.look is None or wait.look.total != found.total:
            wait.look = _Look(found.total, self._ticks())
        return Waiting("pods that are to go still get requests")

    def forget(self, key: Ref) -> None:
        """Something new begins, so that the next waiting is another one."""
        self._waits.pop(key, None)


def _unmoved(before: _Look | None, found: Counted, asked: float) -> bool:
    """Whether the same total was read anew from every counter since that look."""
    return before is not None and found.total == before.total and asked - found.age > before.at
