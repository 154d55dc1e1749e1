"""Writes the reference pages from the program itself: `python3 dev.py docs`, or `docs --check` to compare only.

Each page is a module here with a function `page() -> str`. Nothing on these pages is written by hand twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import events
import fields
import flags
import metrics
import status

FOLDER = Path(__file__).resolve().parents[1] / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "api.md": fields.page,
    "events.md": events.page,
    "flags.md": flags.page,
    "metrics.md": metrics.page,
    "status.md": status.page,
}
NOTE = "<!-- Written by `python3 dev.py docs`; change what it is made from instead. -->\n\n"


def main(argv: list[str]) -> int:
    """Write what differs; with --check say what does, and return 1."""
    different = [name for name, page in PAGES.items() if _read(FOLDER / name) != NOTE + page()]
    if argv == ["--check"]:
        for name in different:
            sys.stderr.write(f"docs/reference/{name} is not up to date: run `python3 dev.py docs`\n")
        return 1 if different else 0
    for name in different:
        (FOLDER / name).write_text(NOTE + PAGES[name]())
        sys.stdout.write(f"wrote docs/reference/{name}\n")
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
