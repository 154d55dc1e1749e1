"""Which differences were set right a moment ago: a write that does not last is repeated later, not at once.

An API server drops a field that it does not know, a webhook adds a label to whatever is written, a controller puts back
what was taken away: to fight any of them would hold up the release that goes on beside it. Who edits an object by hand
twice is answered twice at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gradatim.ports.objects import Ref

_MOMENT = 1.0
"""Seconds that a repair lasts at least, unless somebody fights it; each one more makes them twice as many."""
_FORGOTTEN = 3.0
"""Intervals without a difference after which it counts as a new one."""


class Difference(msgspec.Struct, frozen=True):
    """The fields in which an object differs, by what is to be done about them."""

    new: tuple[str, ...] = ()
    """To be set right, and told."""
    again: tuple[str, ...] = ()
    """To be set right once more; that they did not last was told."""
    unkept: tuple[str, ...] = ()
    """To be left alone for now."""
    retry: float = 0.0
    """Seconds until that is over."""


class _Repair(msgspec.Struct):
    wanted: Any
    at: float
    seen: float
    pause: float
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
            pause = min(self._interval, _MOMENT if before is None else before.pause * 2)
            self._made[ref, path] = _Repair(wanted, self._now, self._now, pause, before is not None and before.lost)

    def sort(self, ref: Ref, fields: Mapping[str, Any]) -> Difference:
        """What is to be done about fields that differ; a field that is to be something else than before is new."""
        new, again, unkept, retry = list[str](), list[str](), list[str](), self._interval
        for path, wanted in fields.items():
            made = self._made.get((ref, path))
            if made is None:
                new.append(path)
                continue
            made.seen = self._now
            rest = made.at + made.pause - self._now
            if made.wanted == wanted and rest > 0:
                made.lost, retry = True, min(retry, rest)
                unkept.append(path)
            else:
                (again if made.lost else new).append(path)
        return Difference(tuple(new), tuple(again), tuple(unkept), retry if unkept else 0.0)
