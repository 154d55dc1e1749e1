"""Cuts the text of a query template into tokens: the first step of reading Go's text/template language.

Only the shape of the language is known here. What tokens mean is `template_parser`'s part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

SPACE = " \t\r\n"
KEYWORDS = frozenset(
    ("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"),
)

_LEFT = re.compile(r"\{\{(?P<trim>-[ \t\r\n])?(?P<comment>/\*)?")
_RIGHT = re.compile(r"(?P<trim>[ \t\r\n]-)?\}\}")
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<declare>:=) | (?P<assign>=) | (?P<pipe>\|) | (?P<open>\() | (?P<close>\))
    | (?P<string>"(?:\\[^\n]|[^"\\\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:\\[^\n]|[^'\\\n])*')
    | (?P<variable>\$\w*)
    | (?P<number>(?=[-+]|\.?[0-9]) [-+]?
          (?: 0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][-+]?[0-9_]*)?
            | 0[oO][0-7_]*(?:\.[0-7_]*)?
            | 0[bB][01_]*(?:\.[01_]*)?
            | [0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]*)? ) i?)
    | (?P<field>\.\w+) | (?P<dot>\.)
    | (?P<word>\w+)
    | (?P<sign>[!#%&*,/;<>?@\[\\\]^_{}~])
    """,
    re.VERBOSE,
)
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}


class Fault(Exception):
    """What is wrong with a template, and at which character."""

    def __init__(self, detail: str, at: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.at = at


class Token(msgspec.Struct, frozen=True):
    """One token: a keyword's kind is the keyword itself; `fault` says in `text` why nothing can follow."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a template, the last one `eof` or, where the text cannot be cut, `fault`.

    A fault is a token because what stands before it may be wrong as well and is to be told first.
    """
    try:
        yield from _template(text)
    except Fault as fault:
        yield Token("fault", fault.detail, fault.at)


def _template(text: str) -> Iterator[Token]:
    at, trim = 0, False
    while left := _LEFT.search(text, at):
        yield from _piece(text, at, left.start(), (trim, bool(left["trim"])))
        if left["comment"]:
            at, trim = _after_comment(text, left.end())
            continue
        yield Token("left", left[0], left.start())
        inside = _Action(text, left.end())
        yield from inside
        at, trim = inside.at, inside.trim
    yield from _piece(text, at, len(text), (trim, False))
    yield Token("eof", "", len(text))


def _piece(text: str, start: int, end: int, trim: tuple[bool, bool]) -> Iterator[Token]:
    piece = text[start:end]
    if trim[0]:
        piece = piece.lstrip(SPACE)
    if trim[1]:
        piece = piece.rstrip(SPACE)
    if piece:
        yield Token("text", piece, start)


def _after_comment(text: str, start: int) -> tuple[int, bool]:
    """Where the text goes on behind a comment, and whether its leading blanks go."""
    end = text.find("*/", start)
    if end < 0:
        raise Fault("unclosed comment", start)
    right = _RIGHT.match(text, end + 2)
    if not right:
        raise Fault("comment ends before closing delimiter", end)
    return right.end(), bool(right["trim"])


class _Action:
    """The tokens between `{{` and `}}`; afterwards `at` is behind the action and `trim` says what its end asks for."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.trim = False
        self._parens = 0

    def __iter__(self) -> Iterator[Token]:
        while not (right := _RIGHT.match(self.text, self.at)):
            token = self._token()
            self.at = token.at + len(token.text)
            yield token
        if self._parens:
            raise Fault("unclosed left paren", self.at)
        yield Token("right", right[0], self.at)
        self.at, self.trim = right.end(), bool(right["trim"])

    def _token(self) -> Token:
        match = _TOKEN.match(self.text, self.at)
        if not match or match.lastgroup is None:
            raise Fault(self._unreadable(), self.at)
        kind, text = match.lastgroup, match[0]
        if kind == "space" and _RIGHT.match(self.text, match.end() - 1):
            text = text[:-1]  # the last blank belongs to the trim marker
        if kind == "word":
            kind = _kind_of_word(text)
            self._must_end(match.end())
        elif kind in ("field", "dot", "variable"):
            self._must_end(match.end())
        elif kind == "number":
            self._must_end_number(match)
        elif kind in ("open", "close"):
            self._count(kind)
        return Token(kind, text, self.at)

    def _unreadable(self) -> str:
        if self.at >= len(self.text):
            return "unclosed action"
        char = self.text[self.at]
        if char == ":":
            return "expected :="
        return _UNTERMINATED.get(char) or f"unrecognized character in action: {_named(char)}"

    def _must_end(self, at: int) -> None:
        after = self.text[at : at + 1]
        if after and after not in SPACE + ".,|:)(" and not self.text.startswith("}}", at):
            raise Fault(f"bad character {_named(after)}", at)

    def _must_end_number(self, match: re.Match[str]) -> None:
        if match[0].endswith("i"):
            raise Fault(f'bad number syntax: "{match[0]}"; complex numbers are not supported', match.start())
        after = self.text[match.end() : match.end() + 1]
        if after in ("+", "-", "_") or after.isalnum():
            raise Fault(f'bad number syntax: "{match[0]}{after}"', match.start())

    def _count(self, kind: str) -> None:
        self._parens += 1 if kind == "open" else -1
        if self._parens < 0:
            raise Fault("unexpected right paren", self.at)


def _kind_of_word(word: str) -> str:
    if word in KEYWORDS:
        return word
    return "bool" if word in ("true", "false") else "word"


def _named(char: str) -> str:
    return f"U+{ord(char):04X} '{char}'" if char.isprintable() else f"U+{ord(char):04X}"
