"""Numbers, texts and characters as Go writes them. Raises ValueError with what is wrong."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_BASES = {"x": 16, "o": 8, "b": 2}
_INTEGER = re.compile(r"[-+]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])*|[1-9](?:_?[0-9])*)")
_DIGITS = r"[0-9](?:_?[0-9])*"
_DECIMAL = re.compile(rf"[-+]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?{_DIGITS})?")
_HEXADECIMAL = re.compile(
    r"[-+]?0[xX](?:(?:_?[0-9a-fA-F])+\.?(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*)?|\.[0-9a-fA-F](?:_?[0-9a-fA-F])*)"
    rf"[pP][-+]?{_DIGITS}"
)


def read_text(source: str) -> str:
    """The text of a quoted literal, its quotes included in `source`.

    Go's texts are bytes; those that are no UTF-8 become lone surrogates, as Python's `surrogateescape` makes them.
    """
    if source.startswith("`"):
        return source[1:-1].replace("\r", "")
    return _unescaped(source[1:-1], '"')


def read_character(source: str) -> int:
    """The code point of a character in single quotes."""
    inner = source[1:-1]
    if match := _ESCAPE.fullmatch(inner):
        if match["octal"] or match["hex"]:
            return _byte(match)
        inner = _unescaped(inner, "'")
    if len(inner) != 1:
        raise ValueError(f"malformed character constant: {source}")
    return ord(inner)


def _unescaped(inner: str, quote: str) -> str:
    parts, at = bytearray(), 0
    while at < len(inner):
        if inner[at] != "\\":
            parts += inner[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        match = _ESCAPE.match(inner, at)
        if not match or (match["simple"] in ("'", '"') and match["simple"] != quote):
            raise ValueError("invalid syntax")
        if match["octal"] or match["hex"]:
            parts.append(_byte(match))
        else:
            parts += _character(match).encode()
        at = match.end()
    return parts.decode("utf-8", "surrogateescape")


def _byte(match: re.Match[str]) -> int:
    value = int(match["octal"], 8) if match["octal"] else int(match["hex"], 16)
    if value > 255:
        raise ValueError("invalid syntax")
    return value


def _character(match: re.Match[str]) -> str:
    if match["simple"]:
        return _SIMPLE[match["simple"]]
    point = int(match["short"] or match["long"], 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        raise ValueError("invalid syntax")
    return chr(point)


def read_number(source: str) -> int | float:
    """A number; what looks like an integer is one, as in Go (`1e3` is none, `0x10` and `010` are)."""
    if _INTEGER.fullmatch(source):
        return _integer(source)
    if _DECIMAL.fullmatch(source):
        if not any(char in ".eE" for char in source):
            raise ValueError(f'integer overflow: "{source}"')  # `089`: too large, in Go's words
        number = float(source.replace("_", ""))
    elif _HEXADECIMAL.fullmatch(source):
        number = _hexadecimal(source)
    else:
        raise ValueError(f'illegal number syntax: "{source}"')
    if abs(number) == float("inf"):
        raise ValueError(f'illegal number syntax: "{source}"')
    return number


def _hexadecimal(source: str) -> float:
    try:
        return float.fromhex(source.replace("_", ""))
    except OverflowError:
        return float("inf")


def _integer(source: str) -> int:
    digits = source.lstrip("+-").replace("_", "").lower()
    base = _BASES.get(digits[1:2], 8 if digits.startswith("0") else 10)
    number = int(digits[2:] if digits[1:2] in _BASES else digits, base)
    number = -number if source.startswith("-") else number
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{source} overflows int")
    return number
