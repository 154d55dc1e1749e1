"""The page on weaknesses of the reference names what pins each decision; what it names must be there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "decisions" / "0010-routing-weaknesses.md"
VECTORS = (*(ROOT / "tests" / "vectors" / "mesh").glob("*.yaml"), ROOT / "tests" / "vectors" / "services.yaml")


def _cases() -> set[str]:
    found = set()
    for path in VECTORS:
        file = yaml.safe_load(path.read_text())
        found |= {f"{path.stem}: {case['name']}" for case in (*file["cases"], *file.get("discovery", ()))}
    return found


def _tests() -> set[str]:
    return {
        f"{path.stem}: {name}"
        for path in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }


def test_every_pin_is_there() -> None:
    """A case that is renamed takes its mention along."""
    pins = {" ".join(pin.split()) for pin in re.findall(r"`([a-z_]+: [^`]+)`", PAGE.read_text())}
    assert len(pins) > 40
    assert pins - _cases() - _tests() == set()
