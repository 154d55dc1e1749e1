"""One story as a table: what is done, and every row that must follow, in order.

    canary      a merge patch on the Canary of the mesh in `base.yaml`
    objects     further objects, and patches of the basic ones by `KIND/NAME`
    hooks       statuses that a hook answers with, one a call, the last one for good
    metrics     answers to the first queries, one each; 100 after that
    rows        what must be seen, or done, in order:
      do        an action, taken when the row before it is what the world looks like
      within    `do` is taken inside the status write that says this, before the operator hears that it succeeded
      crossing  `do` is taken just before the status write that says this arrives, which is refused for it
      look      the line that `looks` makes of a state; left out where nothing of it changes
      events    told, in order; `alerts` likewise
      theirs    why the reference has this row and we do not; ours: the other way round
      decision  the page that decides it

Readiness is a matter of moments: a warning about a rollout must come where the table has one, `…` stands for how far
the rollout was, and more of them may come anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from gradatim.ports.objects import Manifest

FOLDER = Path(__file__).parent
DECISIONS = FOLDER.parents[2] / "docs" / "decisions"
_ROLLOUT = " not ready: waiting for rollout to finish: "


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the table."""

    do: Manifest = {}
    within: Manifest = {}
    crossing: Manifest = {}
    look: str = ""
    events: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    theirs: str = ""
    ours: str = ""
    decision: str = ""


class Timeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One story."""

    name: str
    mesh: str
    rows: tuple[Row, ...]
    section: str = ""
    """Of the specification of the lifecycle; empty for stories that stand nowhere else."""
    begins: str = "Initialized"
    """`new` where the initialization belongs to the story."""
    canary: Manifest = {}
    objects: tuple[Manifest, ...] = ()
    hooks: dict[str, list[int]] = {}
    metrics: tuple[str, ...] = ()

    @property
    def expected(self) -> tuple[Row, ...]:
        """The rows that must be seen here."""
        return tuple(row for row in self.rows if not row.theirs)

    def looks(self) -> list[str]:
        """The states that must be seen."""
        return [row.look for row in self.expected if row.look]

    def events(self) -> list[str]:
        """What must be told."""
        return [text for row in self.expected for text in row.events]

    def alerts(self) -> list[str]:
        """What must arrive in the chat room."""
        return [text for row in self.expected for text in row.alerts]


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stories begin with."""

    objects: dict[str, Manifest]
    canary: Manifest
    meshes: dict[str, Manifest]


def base() -> Base:
    """The basic objects and Canaries."""
    return msgspec.yaml.decode((FOLDER / "base.yaml").read_bytes(), type=Base)


def timelines(name: str) -> list[Timeline]:
    """The stories of one file."""
    loaded: Any = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return msgspec.convert(loaded, list[Timeline])


def disagreement(told: list[str], wanted: list[str]) -> str:
    """Where what was told is not what a table wants; empty if it is."""
    rest = list(wanted)
    for number, text in enumerate(told):
        if rest and rest[0] in (text, text.partition(_ROLLOUT)[0] + " not ready: …"):
            rest.pop(0)
        elif _ROLLOUT not in text:
            return f"{text!r} instead of {rest[:1]} after {told[:number]}"
    return f"no {rest} after {told}" if rest else ""


def merged(value: Any, patch: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, one in patch.items():
        if one is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), one)
    return result
