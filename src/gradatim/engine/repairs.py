"""Which differences were set right a moment ago: a write that does not last is repeated once an interval, not at once.

An API server drops a field that it does not know, a webhook adds a label to whatever is written, a controller puts back
what was taken away: to fight any of them would hold up the release that goes on beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gradatim.ports.objects import Ref

_FORGOTTEN = 3.0
"""Intervals without a difference after which it counts as a new one."""


class Difference(msgspec.Struct, frozen=True):
    """The fields in which an object differs, by what is to be done about them."""

    new: tuple[str, ...] = ()
    """To be set right, and told."""
    again: tuple[str, ...] = ()
    """To be set right once more; that they did not last was told."""
    unkept: tuple[str, ...] = ()
    """To be left alone until the interval is over."""


class _Repair(msgspec.Struct):
    wanted: Any
    at: float
    seen: float
    lost: bool = False


class Repairs:
    """What was set right around one Canary, and whether it lasted."""

    def __init__(self) -> None:
        self._made: dict[tuple[Ref, str], _Repair] = {}
        self._now = 0.0
        self._interval = 0.0

    def turn(self, now: float, interval: float) -> None:
        """A look begins: seconds of a monotonic clock, and those between two ticks."""
        self._now, self._interval = now, interval
        self._made = {key: made for key, made in self._made.items() if now - made.seen < interval * _FORGOTTEN}

    def note(self, ref: Ref, fields: Mapping[str, Any]) -> None:
        """Fields of an object have just been set right."""
        for path, wanted in fields.items():
            before = self._made.get((ref, path))
            self._made[ref, path] = _Repair(wanted, self._now, self._now, before is not None and before.lost)

    def sort(self, ref: Ref, fields: Mapping[str, Any]) -> Difference:
        """What is to be done about fields that differ; a field that is to be something else than before is new."""
        new, again, unkept = list[str](), list[str](), list[str]()
        for path, wanted in fields.items():
            made = self._made.get((ref, path))
            if made is None:
                new.append(path)
                continue
            made.seen = self._now
            if made.wanted == wanted and self._now - made.at < self._interval:
                made.lost = True
                unkept.append(path)
            else:
                (again if made.lost else new).append(path)
        return Difference(tuple(new), tuple(again), tuple(unkept))
