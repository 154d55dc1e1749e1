"""The table of weaknesses names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.telling import VECTORS
from core.test_validation import CASES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/decisions/0009-lifecycle-weaknesses.md"
ROWS = [line for line in PAGE.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
WEAKNESSES = 46
"""Bullets of the list of known weaknesses."""


def pins(row: str) -> list[str]:
    """What a row names in its last column."""
    return re.findall(r"`([^`]+)`", row.rstrip("|").rsplit("|", 1)[1])


def exists(pin: str) -> bool:
    """Whether a pin is a case of a vector file, a test of a test file, or a file."""
    place, _, sentence = pin.partition(": ")
    if place == "test_validation":
        return any(case.name == sentence for case in CASES)
    if place.startswith("test_"):
        return f"def {sentence}(" in (ROOT / "tests/core" / f"{place}.py").read_text()
    if place.startswith("tests/"):
        text = (ROOT / place).read_text()
        return not sentence or f"def {sentence}(" in text
    return any(f"- name: {sentence}\n" in file.read_text() for file in VECTORS.glob(f"*/{place}.yaml"))


def test_every_weakness_has_a_row() -> None:
    numbers = [int(row.split("|")[1]) for row in ROWS]
    assert numbers == list(range(1, WEAKNESSES + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip())
def test_what_pins(row: str) -> None:
    missing = [pin for pin in pins(row) if not exists(pin)]
    assert not missing
    assert pins(row), "nothing pins this"
