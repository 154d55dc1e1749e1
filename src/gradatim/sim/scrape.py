"""Scraping: asks targets for their metrics at an interval and marks as stale what is no longer there.

Which targets exist is asked before every round, so pods may come and go. What the pages mean is `exposition`'s matter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import aiohttp
import msgspec

from gradatim.sim.exposition import Malformed, PageReader, Rule
from gradatim.sim.series import NAME, Labels, SeriesStore, labels_of

FORGET_EVERY = 60
"""Rounds between two looks for samples older than the retention."""


class Target(msgspec.Struct, frozen=True):
    """Something to scrape. Every series gets `job`, `instance` and the labels, then goes through the rules."""

    job: str
    url: str
    instance: str
    labels: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def identity(self) -> Labels:
        """The labels of `up` and of everything scraped here."""
        return labels_of([("job", self.job), ("instance", self.instance), *self.labels])

    @property
    def key(self) -> tuple[str, Labels]:
        """What makes it the same target although its rules changed."""
        return self.url, self.identity


class Health(msgspec.Struct, frozen=True):
    """How the last scrape of a target went."""

    target: Target
    error: str
    at: float
    took: float


class _Shown:
    """What a target showed last time, so that what is missing next time can be marked stale."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.reader = PageReader(target.identity, target.rules)
        self.series: set[Labels] = set()

    def under(self, target: Target) -> _Shown:
        """The same, read with the target's present rules."""
        if target.rules != self.target.rules:
            self.target, self.reader = target, PageReader(target.identity, target.rules)
        return self


class Scraper:
    """Scrapes all targets every `interval` seconds into the store."""

    def __init__(
        self,
        store: SeriesStore,
        targets: Callable[[], Iterable[Target]],
        *,
        interval: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.targets = targets
        self.interval = interval
        self.now = now
        self.health: dict[tuple[str, Labels], Health] = {}
        self._shown: dict[tuple[str, Labels], _Shown] = {}
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Scrape until cancelled."""
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=max(self.interval, 1.0))
        async with aiohttp.ClientSession(timeout=timeout) as self._session:
            due, rounds = loop.time(), 0
            while True:
                await self.scrape()
                rounds += 1
                if rounds % FORGET_EVERY == 0:
                    self.store.forget(self._milliseconds())
                due = max(due + self.interval, loop.time())
                await asyncio.sleep(due - loop.time())

    async def scrape(self) -> None:
        """One round over all targets."""
        targets = {target.key: target for target in self.targets()}
        for gone in self._shown.keys() - targets.keys():
            self._end(gone)
        await asyncio.gather(*(self._scrape_one(target) for target in targets.values()))

    async def _scrape_one(self, target: Target) -> None:
        at, began = self._milliseconds(), time.perf_counter()
        error = ""
        try:
            page = await self._fetch(target.url)
            self.take(target, page, at)
        except (aiohttp.ClientError, TimeoutError, OSError, Malformed) as failure:
            error = str(failure) or type(failure).__name__
            self.miss(target, at)
        took = time.perf_counter() - began
        self.store.add(labels_of([(NAME, "scrape_duration_seconds"), *target.identity]), at, took)
        self.health[target.key] = Health(target, error, at / 1000, took)

    async def _fetch(self, url: str) -> str:
        if self._session is None:
            async with aiohttp.ClientSession() as session:
                return await _get(session, url)
        return await _get(self._session, url)

    def take(self, target: Target, page: str, at: int) -> None:
        """Store a page scraped at `at` (ms); series that vanished since the last page end."""
        shown = self._shown.setdefault(target.key, _Shown(target)).under(target)
        current: set[Labels] = set()
        for labels, value, time_given in shown.reader.read(page):
            self.store.add(labels, at if time_given is None else time_given, value)
            if time_given is None:  # as in Prometheus, series with explicit timestamps are not marked stale
                current.add(labels)
        for labels in shown.series - current:
            self.store.series(labels).end(at)
        shown.series = current
        self.store.add(labels_of([(NAME, "up"), *target.identity]), at, 1.0)

    def miss(self, target: Target, at: int) -> None:
        """Record a failed scrape: `up` is 0, everything else the target showed ends."""
        shown = self._shown.setdefault(target.key, _Shown(target)).under(target)
        for labels in shown.series:
            self.store.series(labels).end(at)
        shown.series = set()
        self.store.add(labels_of([(NAME, "up"), *target.identity]), at, 0.0)

    def _end(self, key: tuple[str, Labels]) -> None:
        at = self._milliseconds()
        own = [labels_of([(NAME, name), *key[1]]) for name in ("up", "scrape_duration_seconds")]
        for labels in [*self._shown.pop(key).series, *own]:
            self.store.series(labels).end(at)
        self.health.pop(key, None)

    def _milliseconds(self) -> int:
        return round(self.now() * 1000)


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        response.raise_for_status()
        return await response.text()
