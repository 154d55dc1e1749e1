"""The pages for people, taken apart: fenced blocks, what each is, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import yaml

from gradatim.ports.objects import Manifest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(msgspec.Struct, frozen=True):
    """One fenced block."""

    page: Path
    language: str
    text: str

    def commands(self) -> list[str]:
        """What is typed: every line of `sh`, and of `console` those after a prompt."""
        lines = self.text.splitlines()
        if self.language == "console":
            return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip()] if self.language == "sh" else []

    def answers(self) -> list[str]:
        """What a `console` block shows behind its commands."""
        return [line for line in self.text.splitlines() if not line.startswith("$ ")]


def blocks(*pages: Path) -> list[Block]:
    """All blocks of some pages; of all without any."""
    return [Block(page, *found) for page in pages or PAGES for found in _FENCE.findall(page.read_text())]


def page(name: str) -> Path:
    """A how-to by its name."""
    return ROOT / "docs" / "how-to" / f"{name}.md"


def documents(block: Block) -> list[Manifest]:
    """The YAML documents of a block."""
    return [document for document in yaml.safe_load_all(block.text) if document]


def manifests(block: Block) -> list[Manifest]:
    """The objects in a block; parts of objects are none."""
    if block.language != "yaml":
        return []
    return [document for document in documents(block) if {"apiVersion", "kind"} <= document.keys()]


def programs(command: str) -> list[list[str]]:
    """The words of each program that a command line starts, without redirections and what is behind a loop."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&<>()")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("|;&()"):
            found.append([])
        elif set(word) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            found[-1].append(word)
    return [words for words in found if words]
