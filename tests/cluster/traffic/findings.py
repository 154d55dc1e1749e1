"""What a play came to, as the program that played it tells the tests."""

from __future__ import annotations

from collections import Counter

import msgspec

from gradatim.ports.objects import Manifest


class Counts(msgspec.Struct):
    """What became of some requests."""

    versions: dict[str, int] = {}
    """Answers by the version that gave them."""
    statuses: dict[int, int] = {}
    """Answers by status."""
    lost: dict[str, int] = {}
    """Requests that no version answered, by what came instead: no answer at all, or a page of the proxy."""

    @property
    def requests(self) -> int:
        """All that were sent and counted."""
        return sum(self.versions.values()) + sum(self.lost.values())

    def __add__(self, other: Counts) -> Counts:
        pairs = (
            (self.versions, other.versions),
            (self.statuses, other.statuses),
            (self.lost, other.lost),
        )
        return Counts(*(dict(Counter(one) + Counter(two)) for one, two in pairs))


class Split(msgspec.Struct, frozen=True):
    """How many requests a version got while it should have got so many in a hundred."""

    when: str
    version: str
    wanted: int
    counts: Counts


class Told(msgspec.Struct):
    """One story that came to its end."""

    chapters: dict[str, Counts] = {}
    """Every request, by what went on when it was counted."""
    splits: list[Split] = []
    phases: list[str] = []
    before: dict[str, Manifest] = {}
    """Everything that users had made, before the Canary."""
    after: dict[str, Manifest] = {}
    """What was left when it was gone."""


class Findings(msgspec.Struct):
    """What all stories came to."""

    told: dict[str, Told] = {}
    broken: dict[str, str] = {}
    """Stories that did not come to their end, and why."""
    forbidden: list[str] = []
    """What the operator asked for and was not allowed."""
    log: str = ""
    """The end of the operator's log."""
