"""Telling "nothing of that kind" from "no data at all" in a ratio.

`errors / all * 100` has no value when no error was ever seen, since the numerator is an empty vector; a healthy
release would fail for want of a number, and one that answers nothing but errors would look like one without traffic
when the numerator counts the good answers. If the denominator has a value and the numerator has none, it is zero.

That may be said only of a numerator that is missing as a whole. One that is made of several (`a + b`) is missing when
any of them is, and may stand for anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

_TOKEN = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`   # a text
    | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\w*         # a number or a length of time
    | [A-Za-z_:][\w:]*                                # a word
    | [=!]~ | [=!<>]=
    | \s+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_SELECTORS = {"[": 1, "{": 1, "]": -1, "}": -1}
_DEPTHS = {**_SELECTORS, "(": 1, ")": -1}
_ARITHMETIC = frozenset("+-*/%^")
_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_MODIFIERS = frozenset({"and", "or", "unless", "on", "ignoring", "bool", "offset"})
_UNDECIDED = _COMPARISONS | _MODIFIERS | {"%", "^", '"', "'", "`"}
"""What makes the outermost operation something else; a quotation mark alone is a text without an end."""


class Ratio(msgspec.Struct, frozen=True):
    """A query that is a ratio; `at_zero` is its value when the numerator is zero."""

    numerator: str
    denominator: str
    at_zero: float = 0.0


def ratio(query: str) -> Ratio | None:
    """The ratio that a query is, times numbers and taken from a number as it may be; None for any other query."""
    terms = _split(query, "+-")
    if len(terms) == 1:
        return _product(query)
    if len(terms) != 3 or terms[1] != "-":
        return None
    whole, part = _number(terms[0]), ratio(terms[2])
    return None if whole is None or part is None else msgspec.structs.replace(part, at_zero=whole - part.at_zero)


def _product(query: str) -> Ratio | None:
    parts, factor = _split(query, "*/"), 1.0
    above, below = list[str](), list[str]()
    for operator, operand in zip(["*", *parts[1::2]], parts[::2], strict=True):
        number = _number(operand)
        if number is None:
            (above if operator == "*" else below).append(operand.strip())
        elif operator == "*":
            factor *= number
        elif number:
            factor /= number
        else:
            return None
    match above, below:
        case [numerator], [denominator] if denominator and _is_missing_as_a_whole(numerator):
            return Ratio(numerator, denominator)
        case [inner], [] if inner.startswith("(") and (found := ratio(inner[1:-1])):
            return msgspec.structs.replace(found, at_zero=found.at_zero * factor)
    return None


def _split(query: str, operators: str) -> Sequence[str]:
    """The operands of the outermost operations, and the operators between them; nothing where others are involved."""
    parts, start, depth = list[str](), 0, 0
    for position, token, depth in _tokens(query):
        if depth < 0 or (depth == 0 and token.lower() in _UNDECIDED):
            return ()
        if depth == 0 and token in operators:
            parts += [query[start:position], token]
            start = position + 1
    return () if depth else (*parts, query[start:])


def _tokens(query: str) -> Iterator[tuple[int, str, int]]:
    """Position, text and depth of all tokens but blanks; a bracket that closes is as deep as what follows it."""
    depth = 0
    for found in _TOKEN.finditer(query):
        token = found.group()
        depth += _DEPTHS.get(token, 0)
        if not token.isspace():
            yield found.start(), token, depth


def _number(operand: str) -> float | None:
    try:
        number = float(operand)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_missing_as_a_whole(numerator: str) -> bool:
    """Whether it counts things of one kind: nothing but numbers are compared with it, or multiply or divide it."""
    tokens = ["(", *_outside_of_selectors(numerator), ")"]
    operations = (place for place, token in enumerate(tokens) if token in _ARITHMETIC | _COMPARISONS)
    return bool(numerator) and "and" not in tokens and all(_is_with_a_number(tokens, place) for place in operations)


def _outside_of_selectors(query: str) -> Iterator[str]:
    """The tokens that are in no braces and no square brackets."""
    inside = 0
    for _, token, _ in _tokens(query):
        inside += _SELECTORS.get(token, 0)
        if not inside:
            yield token.lower()


def _is_with_a_number(tokens: Sequence[str], place: int) -> bool:
    """Whether an operation has a number behind it, or begins with one."""
    if tokens[place] in "+-%^":
        return False
    behind = tokens[place + 2] if tokens[place + 1] == "bool" else tokens[place + 1]
    return _number(behind) is not None or (_number(tokens[place - 1]) is not None and tokens[place - 2] in "(,")
