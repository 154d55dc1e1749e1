"""Follows all objects of one kind: a list, then a watch from there, for ever.

What is seen goes to a `Store`, which says what it wants to keep. Everything a connection can do to us ends in one of
two ways: resume from the last version, or list afresh and find out what has vanished meanwhile. Nothing but a bug ends
a Reflector.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from copy import copy
from typing import NoReturn, Protocol

from gradatim.kube.backoff import Backoff
from gradatim.kube.client import PAGE, Client
from gradatim.kube.envelope import (
    Event,
    Key,
    Lines,
    Parts,
    Unreadable,
    ends_initial_events,
    meta,
    named,
    newer,
    packed,
    read_event,
    read_parts,
    status,
)
from gradatim.kube.errors import (
    Forbidden,
    Gone,
    KubeError,
    NotFound,
    Unauthorized,
    Unavailable,
    from_reply,
    from_status,
    unserved,
)
from gradatim.ports.objects import Resource

log = logging.getLogger(__name__)

SHORTEST_WATCH, LONGEST_WATCH = 300, 600
"""Seconds a watch is asked to last. A random time between them spreads reconnections."""
SILENCE = 30.0
"""Seconds beyond that, after which a silent connection counts as dead."""
INITIAL_EVENTS = 30.0
"""Seconds within which a streaming list must be complete."""
HEALTHY = 10.0
"""Seconds a watch must have lasted for the next failure to start with a short pause again."""
REFUSED_PAUSE = 60.0
"""Seconds between tries at a kind that is not served, or that we may not list."""
REFUSALS = 6
"""Refusals in a row that may be passing: a server that has just started refuses all until it has read its rules."""
TRIES = 5
"""Failed watches in a row, answered by the server, after which its version of the past is not trusted any more."""


class Store(Protocol):
    """Where a Reflector puts what it sees."""

    def wants(self, key: Key) -> bool:
        """Whether this object is to be kept."""
        ...

    def saw(self, key: Key, version: str, raw: bytes) -> None:
        """An object as it was at a version. Only called for wanted ones."""
        ...

    def lost(self, key: Key, version: str) -> None:
        """An object was deleted at a version, or is gone by then."""
        ...

    def held(self) -> Iterable[tuple[Key, str]]:
        """The objects held at the moment, with their versions."""
        ...

    def listing(self, rewound: bool) -> None:
        """A list starts. `rewound` says that the cluster's past has changed, as after restoring a backup: the versions
        held are worth nothing any more."""
        ...

    def listed(self, version: str) -> None:
        """The list is complete: what was wanted when it started and was not seen is not there."""
        ...


class Reflector:
    """Keeps a Store up to date with one kind of object, in one namespace or in all.

    `watch_list` asks for the list as a stream where the server can do that, which saves its memory rather than ours.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str,
        store: Store,
        clock: Callable[[], float],
        *,
        watch_list: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._store = store
        self._clock = clock
        self._streaming = watch_list
        self._chance = chance
        self._backoff = Backoff(chance)
        self._must_list = True
        self._failed_watches = 0
        self._refusals = 0
        self._initial: set[Key] | None = None
        self._connected_at: float | None = None
        self._news = asyncio.Event()
        self.version = ""
        """The version up to which everything has been seen."""
        self.synced = False
        """Whether a list has ever been completed."""
        self.refused: Forbidden | NotFound | None = None
        """Why this kind cannot be listed, if it cannot."""
        self.last_error: KubeError | None = None
        self.disconnected_at: float | None = clock()
        """Since when there is no watch, or None while there is one."""
        self.events = self.lists = self.watches = self.skipped = 0

    async def run(self) -> NoReturn:
        """Follow, until cancelled."""
        while True:
            try:
                await self._follow()
                pause = self._ended()
            except KubeError as error:
                pause = self._failed(error)
            await asyncio.sleep(pause)

    async def wait_synced(self, timeout: float) -> None:
        """Wait until everything there is has been seen once; raise if that is refused or takes too long."""
        try:
            async with asyncio.timeout(timeout):
                while not self.synced:
                    if self.refused is not None:
                        raise copy(self.refused)  # one exception raised again and again drags a growing traceback along
                    await self._news.wait()
        except TimeoutError as error:
            why = f": {self.last_error.message}" if self.last_error else ""
            raise Unavailable(
                f"{self._resource.qualified} could not be listed within {timeout:.0f} s{why}", about=self._resource
            ) from error

    async def _follow(self) -> None:
        """From where we are until the server ends the watch."""
        if not self._must_list:
            return await self._watch()
        if not self._streaming:
            await self._list()
            return await self._watch()
        try:
            async with asyncio.timeout(INITIAL_EVENTS) as limit:
                return await self._watch(limit)
        except (TimeoutError, KubeError) as error:
            if self._initial is None or isinstance(error, Forbidden | NotFound | Unauthorized | Unavailable):
                raise
            self._streaming = False
            log.info("the server does not stream lists, paging instead", extra={**self._words, "error": str(error)})

    async def _list(self) -> None:
        """Page through everything. A list that grows too old on the way raises Gone and is started afresh."""
        seen: set[Key] = set()
        query = {"limit": str(PAGE)}
        version, token = "", ""
        while True:
            page = await self._client.page(
                self._resource, self._namespace, {**query, "continue": token} if token else query
            )
            if not version:
                version = page.metadata.resource_version or "0"
                self._store.listing(rewound=newer(self.version, version))
            for item in page.items or ():
                try:
                    self._see(read_parts(item), seen)
                except Unreadable as error:
                    self._skip(error)
            token = page.metadata.token or ""
            if not token:
                return self._complete(seen, version)

    def _complete(self, seen: set[Key], version: str) -> None:
        """A list is complete: whatever we hold that was not in it, and is not younger than it, has been deleted."""
        for key, held in list(self._store.held()):
            if key not in seen and not newer(held, version):
                self._store.lost(key, version)
        self._store.listed(version)
        self.version = version
        self.lists += 1
        self._must_list = False
        self.synced = True
        self.refused = None
        self._refusals = 0
        self._tell()

    async def _watch(self, limit: asyncio.Timeout | None = None) -> None:
        """One watch, to its end. With `limit`, it starts with everything there is, and must be through by then."""
        lasting = SHORTEST_WATCH + int((LONGEST_WATCH - SHORTEST_WATCH) * self._chance())
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": str(lasting)}
        if limit is not None:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            self._initial = set()
            self._store.listing(rewound=False)
        else:
            query["resourceVersion"] = self.version
            self._initial = None
        await self._client.turn()
        self.watches += 1
        async with self._client.watch(self._resource, self._namespace, query, lasting + SILENCE) as reply:
            if reply.status >= 300:
                raise from_reply("watch", self._resource, reply.status, reply.headers, reply.body)
            self._connected()
            lines = Lines()
            async for chunk in reply.chunks:
                for line in lines.feed(chunk):
                    if line:
                        self._take(line)
                if limit is not None and self._initial is None:
                    limit.reschedule(None)

    def _take(self, line: bytes) -> None:
        self.events += 1
        try:
            event = read_event(line)
            if event.type == "ERROR":
                refusal = status(event.object)
                raise from_status("watch", self._resource, refusal.code or 0, refusal)
            self._happened(event)
        except Unreadable as error:
            self._skip(error)

    def _happened(self, event: Event) -> None:
        if event.type == "BOOKMARK":
            version = meta(event.object).version or ""
            if self._initial is None:
                self.version = version or self.version
            elif ends_initial_events(event.object):
                self._streamed(self._initial, version)
            return
        found = named(event.object)
        if event.type == "DELETED":
            self._store.lost(found.key, found.version or "")
        elif event.type in ("ADDED", "MODIFIED"):
            self._see(event.object, self._initial)
        if self._initial is None:
            self.version = found.version or self.version

    def _streamed(self, seen: set[Key], version: str) -> None:
        self._initial = None
        if newer(self.version, version):  # too late to tell the store that the past has changed
            self._streaming = False
            raise Gone("the versions of the cluster have gone back", about=self._resource)
        self._complete(seen, version)

    def _see(self, parts: Parts, seen: set[Key] | None) -> None:
        found = named(parts)
        if self._store.wants(found.key):
            self._store.saw(found.key, found.version or "", packed(parts))
            if seen is not None:
                seen.add(found.key)

    def _connected(self) -> None:
        self._connected_at = self._clock()
        self.disconnected_at = None
        self._tell()

    def _ended(self) -> float:
        """The server has ended the watch, as it is asked to. One that is always short deserves a pause, too."""
        self._failed_watches = 0
        return 0.0 if self._was_healthy() else self._backoff.next()

    def _failed(self, error: KubeError) -> float:
        """Note the error, decide between resuming and listing afresh; return the pause to make."""
        self._was_healthy()
        self.last_error = error
        log.warning("the watch failed", extra={**self._words, "error": error.message, "status": error.status})
        if isinstance(error, Forbidden | NotFound):
            self._must_list = True
            self.refused = error
            if isinstance(error, NotFound):
                self.refused = NotFound(unserved(self._resource), about=self._resource, served=False)
            self._tell()
            self._refusals += 1
            if self._refusals == 1:  # whatever failed before, now it answers
                self._backoff.reset()
            return self._backoff.next() if self._refusals <= REFUSALS else self._backoff.jittered(REFUSED_PAUSE)
        if isinstance(error, Unavailable):
            self._failed_watches += bool(error.status)
            if self._failed_watches >= TRIES:
                self._must_list = True
                self._streaming = False
            return max(self._backoff.next(), error.retry_after or 0.0)
        self._must_list |= not isinstance(error, Unauthorized)
        return self._backoff.next()

    def _was_healthy(self) -> bool:
        """Close the books on the last watch: pauses are short again if it lasted."""
        now = self._clock()
        healthy = self._connected_at is not None and now - self._connected_at >= HEALTHY
        self._connected_at = None
        if self.disconnected_at is None:
            self.disconnected_at = now
        if healthy:
            self._backoff.reset()
            self._failed_watches = 0
        return healthy

    def _skip(self, error: Exception) -> None:
        self.skipped += 1
        log.warning("an object cannot be read and is skipped", extra={**self._words, "error": str(error)})

    def _tell(self) -> None:
        """Wake those who wait for something to change."""
        self._news.set()
        self._news = asyncio.Event()

    @property
    def _words(self) -> dict[str, str]:
        return {"resource": self._resource.qualified, "namespace": self._namespace}
