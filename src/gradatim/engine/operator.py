"""The operator at work: changes wake Canaries, workers bring them further, and one failure stays one Canary's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gradatim.engine.census import Census
from gradatim.engine.crew import Crew
from gradatim.engine.library import Library
from gradatim.engine.policy import respond
from gradatim.engine.queue import Queue
from gradatim.engine.reconcile import reconcile
from gradatim.engine.turn import Turn
from gradatim.kube.cache import Cache
from gradatim.kube.errors import LeaseLost
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE, Ref

log = logging.getLogger(__name__)

TOGETHER = 0.05
"""Seconds in which changes of one Canary's objects are gathered into one look."""
AT_ONCE = 128
"""Canaries in work at the same time, without those that wait for somebody outside."""


class Operator:
    """Watches Canaries and all they own, and reconciles what has changed or is due."""

    def __init__(self, cache: Cache, crew: Crew, census: Census, library: Library, ticks: Callable[[], float]) -> None:
        self.queue = Queue(ticks)
        self._cache = cache
        self._crew = crew
        self._census = census
        self._library = library

    def changed(self, ref: Ref, owners: frozenset[Ref]) -> None:
        """An object was changed by somebody else: wake those whom it concerns."""
        if ref.resource == CANARY:
            self._enlist(ref)
            self.queue.add(ref)
        for owner in owners:
            if owner.resource == CANARY:
                self.queue.add(owner, TOGETHER)
        if ref.resource in (METRIC_TEMPLATE, ALERT_PROVIDER):
            for reader in self._library.readers(ref):
                self.queue.add(reader, TOGETHER)

    async def run(self) -> None:
        """Work until cancelled; raises LeaseLost, and whatever ends a watch."""
        for resource in (METRIC_TEMPLATE, ALERT_PROVIDER, CANARY):
            await self._cache.synced(resource)
        for key in self._cache.list(CANARY):
            self._enlist(key)
            self.queue.add(key)
        places = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                key = await self.queue.take()
                group.create_task(self._work(key, places), name=str(key))

    async def _work(self, key: Ref, places: asyncio.Semaphore) -> None:
        try:
            delay = await self._reconcile(Turn(key, self.queue, places))
            if delay is not None:
                self.queue.add(key, delay)
        finally:
            self.queue.done(key)
            places.release()

    async def _reconcile(self, turn: Turn) -> float | None:
        """One reconcile, with everything that can go wrong turned into a delay; only a lost lease goes further."""
        key = turn.key
        try:
            delay = await reconcile(turn, self._crew)
            if self._cache.get(key) is None:
                self._dismiss(key)
                return None
            return delay
        except LeaseLost:
            raise
        except Exception as error:
            response = respond(error, self._crew.failures(key), self._crew.interval(key))
            level = logging.ERROR if response.loud else logging.DEBUG
            log.log(
                level,
                "reconcile failed: %s",
                error,
                extra={"canary": f"{key.name}.{key.namespace}"},
                exc_info=response.loud,
            )
            self._crew.complain(key, response.news)
            if response.hinders:
                await self._crew.hinder(key, response.hinders)
            return response.delay

    def _enlist(self, key: Ref) -> None:
        """Note what a Canary claims, and wake those who claim the same."""
        manifest = self._cache.get(key)
        if manifest is None:
            touched = self._census.forget(key)
        else:
            created = manifest["metadata"].get("creationTimestamp", "")
            touched = self._census.note(key, self._crew.read(key, manifest), created)
        for other in touched:
            self.queue.add(other, TOGETHER)

    def _dismiss(self, key: Ref) -> None:
        for other in self._census.forget(key):
            self.queue.add(other, TOGETHER)
        self._crew.forget(key)
        self.queue.forget(key)
