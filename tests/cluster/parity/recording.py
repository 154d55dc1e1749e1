"""What happened in one scenario, line by line, as the reference's recordings are written.

Ours have `phase` lines where the reference's have `write` lines: the first come from a watch, the second from an audit
log. Everything else is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradatim.ports.objects import Manifest

_MOVING = frozenset({"Initializing", "Progressing", "WaitingPromotion", "Promoting", "Finalising", "Terminating"})


@dataclass(frozen=True)
class StateRow:
    """Everything in the namespace at one moment, and what the scenario had just waited for."""

    number: int
    after: str
    objects: dict[str, Manifest]

    @property
    def canary(self) -> Manifest:
        """The Canary, empty where it is gone."""
        return self.objects.get("Canary/shop", {})

    @property
    def phase(self) -> str:
        """The Canary's phase."""
        return str(self.canary.get("status", {}).get("phase", ""))

    @property
    def settled(self) -> bool:
        """Whether nothing moves in this phase, so that it does not matter when exactly the state was looked at."""
        return self.phase not in _MOVING


@dataclass
class Recording:
    """The lines in order. `at` is in seconds since the scenario began."""

    lines: list[Manifest] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a file of JSON lines."""
        return cls([json.loads(line) for line in path.read_text().splitlines()])

    def save(self, path: Path) -> None:
        """Write a file of JSON lines, in the order in which things happened."""
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))

    def add(self, at: float, **what: object) -> None:
        """One more line."""
        self.lines.append({"at": round(at, 1), **what})

    def sorted(self) -> Recording:
        """The same by time; what happened at the same time keeps its order."""
        return Recording(sorted(self.lines, key=lambda line: line["at"]))

    def until_the_end(self) -> Sequence[Manifest]:
        """The lines up to the last state, or to where it failed: what came later was not waited for."""
        ends = (number for number, line in enumerate(self.lines) if "state" in line or "failed" in line)
        last = max(ends, default=-1)
        return self.lines[: last + 1]

    def states(self) -> list[StateRow]:
        """Every state in full, put together from the changes."""
        rows: list[StateRow] = []
        now: dict[str, Manifest] = {}
        after = ""
        for line in self.lines:
            if "step" in line:
                ((kind, value),) = line["step"].items()
                after = f"{kind} {value}"
            if "state" in line:
                now = {name: one for name, one in {**now, **line["state"]}.items() if one is not None}
                rows.append(StateRow(len(rows) + 1, after, now))
        return rows

    def phases(self) -> list[str]:
        """The phases that the Canary went through, without repetitions."""
        passed: list[str] = []
        for line in self.until_the_end():
            phase = line.get("phase")
            write = line.get("write", {})
            if write.get("resource") == "flagger.app/canaries/status" and write["code"] == 200:
                phase = write["status"]["phase"]
            if phase and passed[-1:] != [phase]:
                passed.append(phase)
        return passed

    def failure(self) -> str:
        """What was waited for in vain, empty if the scenario came to its end."""
        return next((line["failed"] for line in self.lines if "failed" in line), "")

    def segments(self, kind: str) -> Iterator[list[Manifest]]:
        """The lines of one kind (`event`, `hook`), cut where the scenario had waited for a phase that rests."""
        rested, segment = False, list[Manifest]()
        for line in self.until_the_end():
            if "step" in line:
                ((step, value),) = line["step"].items()
                rested = step == "gone" or (step == "wait" and value not in _MOVING)
            if kind in line:
                segment.append(line)
            if "state" in line and rested:
                yield segment
                segment = []
        yield segment

    def queries(self) -> list[str]:
        """Every query that Prometheus was asked."""
        return [line["query"] for line in self.lines if "query" in line]
