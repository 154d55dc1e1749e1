"""The reference pages are written by the program; they must say what the program does now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gradatim.api.status import Phase
from gradatim.apps.flags import FLAGS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_the_pages_are_up_to_date() -> None:
    """If not: `python3 dev.py docs`."""
    done = subprocess.run(
        [sys.executable, "docs/generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("flags.md", [f"`-{flag.name}`" for flag in FLAGS]),
        ("status.md", [f"`{phase.value}`" for phase in Phase if phase.value]),
        (
            "events.md",
            [
                "`Initialization done! CANARY.NAMESPACE`",
                "`Halt CANARY.NAMESPACE advancement success rate 98.50% < 99%`",
                "`Canary failed! Scaling down CANARY.NAMESPACE`",
                "alert, error",
            ],
        ),
        ("metrics.md", ["`flagger_canary_status`", "`flagger_canary_duration_seconds`", "`analysis_status`"]),
        ("api.md", ["`spec.analysis.metrics[].thresholdRange.min`", "## MetricTemplate", "## AlertProvider"]),
    ],
)
def test_a_page_says_what_one_looks_for(page: str, words: list[str]) -> None:
    text = (REFERENCE / page).read_text()
    assert [word for word in words if word not in text] == []


def test_every_page_has_a_title_and_nothing_else_lies_there() -> None:
    pages = {path.name: path.read_text() for path in REFERENCE.iterdir()}
    assert set(pages) == {"api.md", "events.md", "flags.md", "metrics.md", "status.md"}
    assert all(text.splitlines()[2].startswith("# ") for text in pages.values())
