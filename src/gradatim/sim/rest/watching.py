"""Watches: what has happened since a version, and what happens from now on, one line each.

A `Hub` hears of every change once and hands it to those whose view it touches. Timers run on the event loop's clock,
so that a test's virtual time ends a watch that would last half an hour.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.history import ADDED, DELETED, MODIFIED, Event, Snapshot
from gradatim.sim.refusals import Refused, expired
from gradatim.sim.rest import looking, options, shapes
from gradatim.sim.rest.messages import JSON, Request, Response
from gradatim.sim.rest.routes import Route
from gradatim.sim.store import Store
from gradatim.sim.tables import table

BOOKMARK, ERROR = "BOOKMARK", "ERROR"
BOOKMARK_EVERY = 60.0
LAST_BOOKMARK = 2.0
"""How long before its end a watch tells the version once more."""
SHORTEST, LONGEST = 1800, 3600
DEFINITION = "CustomResourceDefinition"
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}

Line = Callable[[str, Manifest], bytes]


class Watch:
    """One client that watches."""

    def __init__(self, store: Store, view: looking.View) -> None:
        self.view = view
        self._store = store
        self._waiting: deque[tuple[str, Snapshot]] = deque()
        self._wake = asyncio.Event()
        self.closed = False

    def tell(self, event: Event) -> None:
        """An object that enters or leaves the view comes or goes for this client."""
        before = self.view.sees(event.previous)
        after = event.type != DELETED and self.view.sees(event.object)
        if before and after:
            self._waiting.append((MODIFIED, event.after))
        elif after:
            self._waiting.append((ADDED, event.after))
        elif before:
            self._waiting.append((DELETED, _last_seen(event)))
        else:
            return
        self._wake.set()

    def offer(self, type_: str, snapshot: Snapshot) -> None:
        """Tell of something that is no change."""
        self._waiting.append((type_, snapshot))

    def close(self) -> None:
        """End the watch."""
        self.closed = True
        self._wake.set()

    async def next(self, timeout: float) -> list[tuple[str, Snapshot]]:
        """Everything there is to tell, as soon as there is something; nothing after `timeout` seconds."""
        if not self._waiting and not self.closed:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                return []
        told = list(self._waiting)
        self._waiting.clear()
        return told


def _last_seen(event: Event) -> Snapshot:
    """An object that left the view, as it was, at the version at which it left."""
    if event.type == DELETED or event.before is None:
        return event.after
    last = event.before.manifest
    meta = last["metadata"] | {"resourceVersion": str(event.resource_version)}
    return Snapshot(last | {"metadata": meta}, event.resource_version)


class Hub:
    """Everybody who watches one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watches: set[Watch] = set()
        store.subscribe(self._tell)

    def _tell(self, event: Event) -> None:
        gone = event.ref.name if event.type == DELETED and event.ref.resource.kind == DEFINITION else ""
        for watch in tuple(self._watches):
            if watch.view.kind.resource == event.ref.resource:
                watch.tell(event)
            elif watch.view.kind.resource.qualified == gone:
                watch.close()

    def close(self) -> None:
        """End every watch, as a server does that stops."""
        for watch in tuple(self._watches):
            watch.close()

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._watches)

    def open(self, route: Route, request: Request) -> Response:
        """Start a watch; Refused if its options make no sense."""
        asked = options.list_options(request)
        shape = shapes.wanted(request)
        view = looking.view(route, asked)
        watch = Watch(self._store, view)
        line = _liner(self._store, route, shape, request)
        try:
            version = options.version_number(asked.version or "0")
        except ValueError as error:
            raise Refused(500, "", str(error)) from None
        if version and version < self._store.history.floor and not asked.initial_events:
            refusal = expired(f"too old resource version: {version} ({self._store.version})")
            return _answer(_only(line(ERROR, refusal.status)))
        self._begin(watch, route, asked, version)
        self._watches.add(watch)
        lines = self._lines(watch, route, asked, line)
        return _answer(Stream(lines, lambda: self._watches.discard(watch)))

    def _begin(self, watch: Watch, route: Route, asked: options.ListOptions, version: int) -> None:
        """What the client does not know yet."""
        if asked.initial_events or (not version and asked.initial_events is None):
            for snapshot in self._store.snapshots(route.served, route.namespace):
                if watch.view.sees(snapshot.manifest):
                    watch.offer(ADDED, snapshot)
            if asked.initial_events:
                watch.offer(BOOKMARK, _bookmark(self._store.version, INITIAL_EVENTS_END))
            return
        for event in self._store.history.since(version or self._store.version):
            if event.ref.resource == watch.view.kind.resource:
                watch.tell(event)

    async def _lines(
        self, watch: Watch, route: Route, asked: options.ListOptions, line: Line
    ) -> AsyncGenerator[bytes, None]:
        clock = asyncio.get_running_loop().time
        ends = clock() + (asked.timeout or self._store.number(SHORTEST, LONGEST))
        marks = _next_mark(clock(), ends)
        while not watch.closed and clock() < ends:
            told = await watch.next(min(ends, marks if asked.bookmarks else ends) - clock())
            for type_, snapshot in told:
                yield _encoded(route, line, type_, snapshot)
            if asked.bookmarks and clock() >= marks:
                marks = _next_mark(clock(), ends)
                yield _encoded(route, line, BOOKMARK, _bookmark(self._store.version, {}))


class Stream:
    """Lines, and what to do when nobody wants any more, even if nobody ever asked for the first."""

    def __init__(self, lines: AsyncGenerator[bytes, None], end: Callable[[], None]) -> None:
        self._lines = lines
        self._end = end

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Itself."""
        return self

    async def __anext__(self) -> bytes:
        """The next line."""
        try:
            return await anext(self._lines)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        """Nobody wants any more."""
        self._end()
        await self._lines.aclose()


def _next_mark(now: float, ends: float) -> float:
    """When the next bookmark is due: every minute, and once more shortly before the end."""
    last = ends - LAST_BOOKMARK
    return min(now + BOOKMARK_EVERY, last) if last > now else ends + BOOKMARK_EVERY


def _answer(stream: AsyncIterator[bytes]) -> Response:
    return Response(200, {"Content-Type": JSON}, stream=stream)


async def _only(line: bytes) -> AsyncIterator[bytes]:
    yield line


def _bookmark(version: int, annotations: dict[str, str]) -> Snapshot:
    meta: Manifest = {"resourceVersion": str(version)}
    if annotations:
        meta["annotations"] = annotations
    return Snapshot({"metadata": meta}, version)


def _encoded(route: Route, line: Line, type_: str, snapshot: Snapshot) -> bytes:
    if type_ == BOOKMARK:
        named = {"kind": route.served.kind, "apiVersion": route.served.api_version}
        return line(type_, named | snapshot.manifest)
    if line is _plain and route.kind.shows_as_stored(route.served):
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), snapshot.json)
    return line(type_, route.kind.show(snapshot.manifest, route.served))


def _plain(type_: str, obj: Manifest) -> bytes:
    return msgspec.json.encode({"type": type_, "object": obj}) + b"\n"


def _liner(store: Store, route: Route, shape: shapes.Accepted, request: Request) -> Line:
    """How one event is written for a client that wants objects in this shape."""
    if shape.as_ == shapes.TABLE:
        told, include = False, request.first("includeObject")

        def row(type_: str, obj: Manifest) -> bytes:
            nonlocal told
            if type_ == ERROR:
                return _plain(type_, obj)
            meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            rows = [] if type_ == BOOKMARK else [obj]
            shown = table(route.kind, route.served, rows, meta, store.now(), include=include)
            if told:
                shown["columnDefinitions"] = None
            told = True
            return _plain(type_, shown)

        return row
    if shape.as_:
        return lambda type_, obj: _plain(type_, obj if type_ == ERROR else shapes.metadata_only(obj))
    return _plain
