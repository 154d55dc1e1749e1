"""The pages of decisions name tests that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/decisions"
TESTS = ROOT / "tests"
WEAKNESSES = 46
"""Bullets of the list of known weaknesses of the lifecycle."""


class Row(NamedTuple):
    """One row of a table whose last column says what pins it, or the line below a table that does."""

    page: str
    about: str
    pinned_by: str


def rows() -> Iterator[Row]:
    """All of them, page by page."""
    for page in sorted(PAGES.glob("0*.md")):
        pinned = False
        for line in re.sub(r"\n(?=[^\n|*#])", " ", page.read_text()).splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if line.startswith("Pinned by:"):
                yield Row(page.stem, "the page", line)
            elif not line.startswith("|"):
                pinned = False
            elif cells[-1] == "Pinned by":
                pinned = True
            elif pinned and not line.startswith("|--"):
                yield Row(page.stem, cells[0], cells[-1])


ROWS = list(rows())


def exists(pin: str) -> bool:
    """Whether a pin is a case of a vector file, a test of a test file, or a file."""
    place, _, sentence = pin.partition(": ")
    if place.startswith("tests/"):
        found = [TESTS.parent / place]
    elif place.startswith("test_"):
        found = list(TESTS.rglob(f"{place}.py"))
    else:
        found = list((TESTS / "vectors").rglob(f"{place.removesuffix('.yaml')}.yaml"))
    return any(file.exists() and (not sentence or sentence in cases(file)) for file in found)


@cache
def cases(file: Path) -> frozenset[str]:
    """The names in a file: of its tests, or of the cases and groups of its table. Validation has a table, too."""
    if file.name == "test_validation.py":
        return cases(TESTS / "vectors/core/validation.yaml")
    if file.suffix == ".py":
        return frozenset(re.findall(r"def (test_\w+)\(", file.read_text()))
    return frozenset(_names(msgspec.yaml.decode(file.read_bytes())))


def _names(table: Any) -> Iterator[str]:
    if isinstance(table, dict):
        yield from table
        yield from (str(name) for key, name in table.items() if key in ("name", "about"))
    for one in table.values() if isinstance(table, dict) else table if isinstance(table, list) else ():
        yield from _names(one)


def test_every_weakness_of_the_lifecycle_has_a_row() -> None:
    numbers = [int(row.about) for row in ROWS if row.page == "0009-lifecycle-weaknesses"]
    assert numbers == list(range(1, WEAKNESSES + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.page[:4]}: {row.about}")
def test_what_pins(row: Row) -> None:
    pins = re.findall(r"`([^`]+)`", row.pinned_by)
    assert pins or row.pinned_by == "–", "nothing pins this"
    assert not [pin for pin in pins if not exists(pin)]
