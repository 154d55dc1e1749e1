"""Samples in memory: what scrapes write and what PromQL reads.

Times are whole milliseconds, as in Prometheus. A series ends either by a staleness mark (its target stopped showing it)
or by silence. Nothing here knows about queries or HTTP.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

import msgspec

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""A series' identity: pairs sorted by name, without empty values; `__name__` is one of them."""

NAME = "__name__"


def labels_of(pairs: Iterable[tuple[str, str]]) -> Labels:
    """The canonical form of some label pairs: sorted, empty values left out."""
    return tuple(sorted((name, value) for name, value in pairs if value))


@lru_cache(maxsize=4096)
def anchored(pattern: str) -> re.Pattern[str]:
    """A PromQL or relabelling regex; both always match the whole value."""
    return re.compile(rf"(?s:{pattern})\Z".replace(r"\z", r"\Z"))


class Op(Enum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


class Matcher(msgspec.Struct, frozen=True):
    """One condition of a selector; a label that is not there counts as empty."""

    name: str
    op: Op
    value: str

    def accepts(self, value: str) -> bool:
        """Does a label's value fulfil this?"""
        match self.op:
            case Op.EQUAL:
                return value == self.value
            case Op.NOT_EQUAL:
                return value != self.value
            case Op.MATCHES:
                return anchored(self.value).match(value) is not None
            case Op.NOT_MATCHES:
                return anchored(self.value).match(value) is None


class Series:
    """One series: times (ms, rising) and values, with the times at which it went stale."""

    __slots__ = ("labels", "stale", "tags", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.tags = dict(labels)
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")
        self.stale: set[int] = set()

    def append(self, at: int, value: float) -> None:
        """Add a sample; like Prometheus, one that is not newer than the last is dropped."""
        if not self.times or at > self.times[-1]:
            self.times.append(at)
            self.values.append(value)

    def end(self, at: int) -> None:
        """Mark the series stale: instant queries from here on do not see it."""
        if self.times and self.times[-1] in self.stale:
            return
        before = len(self.times)
        self.append(at, 0.0)
        if len(self.times) > before:
            self.stale.add(at)

    def latest(self, at: int, lookback: int) -> tuple[int, float] | None:
        """The newest sample at or before `at`, unless it is stale or older than the lookback."""
        index = bisect_right(self.times, at) - 1
        if index < 0:
            return None
        time = self.times[index]
        if time < at - lookback or time in self.stale:
            return None
        return time, self.values[index]

    def between(self, start: int, end: int) -> tuple[Sequence[int], Sequence[float]]:
        """The samples from start to end, both included (the closed ranges of Prometheus 2.x)."""
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        times, values = self.times[first:last], self.values[first:last]
        if not self.stale or self.stale.isdisjoint(times):
            return times, values
        kept = [(time, value) for time, value in zip(times, values, strict=True) if time not in self.stale]
        return [time for time, _ in kept], [value for _, value in kept]

    def forget(self, before: int) -> None:
        """Drop samples older than `before`."""
        index = bisect_left(self.times, before)
        if index:
            self.stale.difference_update(self.times[:index])
            del self.times[:index]
            del self.values[:index]


class SeriesStore:
    """All series, found by name first."""

    def __init__(self, retention: float = 900.0) -> None:
        self.retention = int(retention * 1000)
        self._by_name: dict[str, dict[Labels, Series]] = {}

    def __iter__(self) -> Iterator[Series]:
        for family in self._by_name.values():
            yield from family.values()

    def series(self, labels: Labels) -> Series:
        """The series of these labels, made when new."""
        family = self._by_name.setdefault(dict(labels).get(NAME, ""), {})
        found = family.get(labels)
        if found is None:
            found = family[labels] = Series(labels)
        return found

    def add(self, labels: Labels, at: int, value: float) -> None:
        """Add one sample."""
        self.series(labels).append(at, value)

    def select(self, matchers: Sequence[Matcher]) -> list[Series]:
        """The series that fulfil every matcher."""
        exact = [matcher.value for matcher in matchers if matcher.name == NAME and matcher.op is Op.EQUAL]
        families = [self._by_name.get(exact[0], {})] if exact else list(self._by_name.values())
        return [
            series
            for family in families
            for series in family.values()
            if all(matcher.accepts(series.tags.get(matcher.name, "")) for matcher in matchers)
        ]

    def forget(self, now: int) -> None:
        """Drop what is older than the retention, and series that have nothing left."""
        for name, family in list(self._by_name.items()):
            for labels, series in list(family.items()):
                series.forget(now - self.retention)
                if not series.times:
                    del family[labels]
            if not family:
                del self._by_name[name]
