"""From bytes to events: lines, the few fields that say what an object is, and the object itself, still as bytes.

Objects are not decoded here. Of a hundred events at most one is for somebody, and what is kept is kept as bytes
without managedFields, which are half of many objects and mean nothing to us. What is kept is a copy: a view would
hold the whole page or line it came in.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from gradatim.kube.errors import Status

Key: TypeAlias = tuple[str, str]
"""Namespace and name, within one kind."""

Parts: TypeAlias = dict[str, msgspec.Raw]
"""An object's top-level fields, not looked into."""


class Meta(msgspec.Struct, frozen=True):
    """What tells one object, and one state of it, from another. Bookmarks carry no name."""

    name: str | None = None
    namespace: str | None = None
    version: str | None = msgspec.field(default=None, name="resourceVersion")
    uid: str | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return (self.namespace or "", self.name or "")


class Event(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: Parts


class _Bookmark(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


_EVENT = msgspec.json.Decoder(Event)
_PARTS = msgspec.json.Decoder(Parts)
_META = msgspec.json.Decoder(Meta)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_STATUS = msgspec.json.Decoder(Status)
_ENCODER = msgspec.json.Encoder()
_NOTHING = msgspec.Raw(b"{}")

Unreadable = msgspec.DecodeError
"""What all of these raise when the bytes are not what they must be."""


class Lines:
    """Cuts a stream into lines, however long: an object of a megabyte is one line."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete with this chunk."""
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._pieces:
            lines[0] = b"".join((*self._pieces, lines[0]))
            self._pieces.clear()
        if rest:
            self._pieces.append(rest)
        return lines


def read_event(line: bytes) -> Event:
    """One line of a watch."""
    return _EVENT.decode(line)


def read_parts(body: bytes | msgspec.Raw) -> Parts:
    """One object."""
    return _PARTS.decode(body)


def meta(parts: Parts) -> Meta:
    """Which object this is, and in which state."""
    return _META.decode(parts.get("metadata", _NOTHING))


def named(parts: Parts) -> Meta:
    """The same for anything but a bookmark, where name and version must be there."""
    found = meta(parts)
    if not found.name or not found.version:
        raise msgspec.ValidationError("the object has no name or no resourceVersion")
    return found


def ends_initial_events(parts: Parts) -> bool:
    """Whether this bookmark says: that was everything there is, from here on it is news."""
    annotations = _BOOKMARK.decode(parts.get("metadata", _NOTHING)).annotations or {}
    return annotations.get("k8s.io/initial-events-end") == "true"


def status(parts: Parts) -> Status:
    """The Status inside an ERROR event; an empty one if it is something else."""
    try:
        return _STATUS.decode(_ENCODER.encode(parts))
    except Unreadable:
        return Status()


def packed(parts: Parts) -> bytes:
    """The object as we keep it: a copy, without managedFields."""
    metadata = _PARTS.decode(parts.get("metadata", _NOTHING))
    metadata.pop("managedFields", None)
    return _ENCODER.encode({**parts, "metadata": metadata})


def newer(version: str, than: str) -> bool:
    """Whether one resourceVersion is later than another; versions that are no numbers are so when they differ.

    No version at all is older than any.
    """
    if not version:
        return False
    if version.isdigit() and than.isdigit():
        return (len(version), version) > (len(than), than)
    return version != than
