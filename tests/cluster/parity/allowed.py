"""The table of allowed differences: each names the decision that allows it, and each must be needed."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from cluster.parity.compare import Difference

REPOSITORY = Path(__file__).resolve().parents[3]
TABLE = REPOSITORY / "tests" / "parity" / "allowed.yaml"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One allowed difference."""

    what: str
    """`outcome`, `phases`, `events`, `hooks`, `queries` or `state`."""
    match: str
    """A regular expression that is found in the difference's line."""
    why: str
    decision: str
    """The decision's file, from the root of the repository."""
    scenario: str = "*"
    """A scenario's name; `*` stands for any characters."""
    world: str = "*"
    """`sim` or `real`, where only one of them shows it."""
    sometimes: bool = False
    """Whether it is a matter of moments, so that it need not show in every run."""

    def allows(self, world: str, scenario: str, difference: Difference) -> bool:
        """Whether this difference is the one meant."""
        meant = self.what == difference.what and self.speaks_of(world, scenario)
        return meant and re.search(self.match, str(difference)) is not None

    def speaks_of(self, world: str, scenario: str) -> bool:
        """Whether it is about this scenario in this world."""
        return fnmatch.fnmatchcase(world, self.world) and fnmatch.fnmatchcase(scenario, self.scenario)


class Allowed:
    """The table, and which of its entries were needed so far."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._needed: set[Entry] = set()
        self._played: set[tuple[str, str]] = set()

    def refused(self, world: str, scenario: str, differences: Iterable[Difference]) -> list[Difference]:
        """Differences that no entry allows."""
        self._played.add((world, scenario))
        left = []
        for difference in differences:
            fitting = [entry for entry in self.entries if entry.allows(world, scenario, difference)]
            self._needed.update(fitting)
            if not fitting:
                left.append(difference)
        return left

    def unused(self, worlds: Iterable[str], scenarios: Iterable[str]) -> list[Entry]:
        """Entries that nothing needed although everything they speak of was played."""
        expected = [(world, scenario) for world in worlds for scenario in scenarios]

        def played(entry: Entry) -> bool:
            meant = [one for one in expected if entry.speaks_of(*one)]
            return bool(meant) and all(one in self._played for one in meant)

        unneeded = (entry for entry in self.entries if entry not in self._needed and not entry.sometimes)
        return [entry for entry in unneeded if played(entry)]


def load_allowed(path: Path = TABLE) -> Allowed:
    """Read the table."""
    return Allowed(msgspec.yaml.decode(path.read_bytes(), type=list[Entry]))
