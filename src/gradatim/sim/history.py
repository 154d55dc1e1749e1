"""What happened in the store, as far back as it remembers: events for watches, and the past for pages of a list."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from gradatim.ports.objects import Manifest, Ref

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

DEFAULT_LENGTH = 8192


class Snapshot:
    """One version of one object. Nobody changes `manifest`; its JSON is made at most once."""

    __slots__ = ("_bare", "_json", "manifest", "version")

    def __init__(self, manifest: Manifest, version: int) -> None:
        self.manifest = manifest
        self.version = version
        self._json: bytes | None = None
        self._bare: bytes | None = None

    @property
    def json(self) -> bytes:
        """The object as it goes over the wire in its stored version."""
        if self._json is None:
            self._json = msgspec.json.encode(self.manifest)
        return self._json

    @property
    def bare_json(self) -> bytes:
        """The same without kind and version, as items of a list of a built-in kind are."""
        if self._bare is None:
            bare = {key: value for key, value in self.manifest.items() if key not in ("kind", "apiVersion")}
            self._bare = msgspec.json.encode(bare)
        return self._bare


class Event(msgspec.Struct, frozen=True):
    """One change. The objects are shared with everybody: read them, never change them."""

    type: str
    ref: Ref
    after: Snapshot
    before: Snapshot | None

    @property
    def object(self) -> Manifest:
        """The object after the change; of a deleted one the last state."""
        return self.after.manifest

    @property
    def previous(self) -> Manifest | None:
        """The object before the change."""
        return self.before.manifest if self.before else None

    @property
    def resource_version(self) -> int:
        """The version at which this happened."""
        return self.after.version


class History:
    """The last events, oldest first. `floor` is the version from which on nothing is missing."""

    def __init__(self, floor: int, length: int = DEFAULT_LENGTH) -> None:
        self.floor = floor
        self._events: deque[Event] = deque()
        self._length = length

    def add(self, event: Event) -> None:
        """Remember one more event, forget the oldest if need be."""
        self._events.append(event)
        if len(self._events) > self._length:
            self.floor = self._events.popleft().resource_version

    def since(self, version: int) -> Iterator[Event]:
        """Every event after that version; only right if `version >= floor`."""
        return (event for event in list(self._newest_first(version))[::-1])

    def rewind(self, now: dict[tuple[str, str], Snapshot], version: int, key: str) -> dict[tuple[str, str], Snapshot]:
        """The objects of one resource (`deployments.apps`) as they were at `version`."""
        then = dict(now)
        for event in self._newest_first(version):
            if event.ref.resource.qualified != key:
                continue
            name = (event.ref.namespace, event.ref.name)
            if event.before is None:
                then.pop(name, None)
            else:
                then[name] = event.before
        return then

    def compact(self, version: int) -> None:
        """Forget everything up to that version, as etcd does every five minutes."""
        while self._events and self._events[0].resource_version <= version:
            self._events.popleft()
        self.floor = max(self.floor, version)

    def _newest_first(self, version: int) -> Iterator[Event]:
        for event in reversed(self._events):
            if event.resource_version <= version:
                return
            yield event
