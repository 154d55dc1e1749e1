"""Telling "nothing of that kind" from "no data at all" in a ratio.

`errors / all * 100` has no value when no error was ever seen, since the numerator is an empty vector; a healthy
release would fail for want of a number, and one that answers nothing but errors would look like one without traffic
when the numerator counts the good answers. If the denominator has a value, the numerator is zero and so is the ratio.
"""

from __future__ import annotations

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "\"'`"


def denominator(query: str) -> str | None:
    """The denominator of a query of the shape `a / b` or `a / b * constant`; None for any other."""
    parts = _factors(query)
    if parts is None or len(parts) < 3 or parts[1] != "/":
        return None
    rest = parts[3:]
    if any(not _is_number(factor) for factor in rest[1::2]):
        return None
    return parts[2].strip() or None


def _factors(query: str) -> list[str] | None:
    """Operands and operators of the outermost product; None when the outermost operation is none, or none is there."""
    parts, depth, start, position = list[str](), 0, 0, 0
    while position < len(query):
        character = query[position]
        if character in _QUOTES:
            position = _after_quote(query, position)
            continue
        if character in _CLOSING:
            depth += 1
        elif character in _CLOSING.values():
            depth -= 1
        elif depth == 0 and character in "*/":
            parts += [query[start:position], character]
            start = position + 1
        elif depth == 0 and character in "+-%^<>=!":
            return None
        position += 1
    parts.append(query[start:])
    words = {word.lower() for part in parts[::2] for word in _outer_words(part)}
    return None if words & {"and", "or", "unless", "on", "ignoring", "bool", "offset"} else parts


def _after_quote(query: str, position: int) -> int:
    quote, position = query[position], position + 1
    while position < len(query) and query[position] != quote:
        position += 2 if query[position] == "\\" and quote != "`" else 1
    return position + 1


def _outer_words(text: str) -> list[str]:
    """The words of an operand outside of brackets."""
    flat, depth = "", 0
    for character in text:
        if character in _CLOSING:
            depth += 1
        elif character in _CLOSING.values():
            depth -= 1
        elif depth == 0:
            flat += character
        else:
            continue
        flat += " " if depth else ""
    return flat.split()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
