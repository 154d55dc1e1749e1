"""Durations as Go writes them: `90s`, `1m30s`, `1.5h`, `500ms`.

Source of the format: Go's `time.ParseDuration`. No blanks, no days, the unit is obligatory except for a plain `0`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_SECONDS = {
    "ns": Fraction(1, 1_000_000_000),
    "us": Fraction(1, 1_000_000),
    "µs": Fraction(1, 1_000_000),
    "μs": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1_000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_TOO_MUCH = Fraction(2**63, 1_000_000_000)  # Go counts nanoseconds in 64 bits, and one more below zero


@lru_cache(maxsize=256)  # every look at a Canary reads the same few texts a dozen times
def parse_duration(text: str) -> float:
    """Seconds in a Go duration.

    Raises:
        ValueError: the text is none; the message says how one looks.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, position = Fraction(0), 0
    while match := _PART.match(rest, position):
        total += Fraction(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if not rest or position != len(rest) or total > _TOO_MUCH or sign * total == _TOO_MUCH:
        raise ValueError(f"{text!r} is no duration; write a number and a unit, such as 30s, 1m30s or 500ms")
    return float(sign * total)


def format_duration(seconds: float) -> str:
    """A Go duration for some seconds, as Go prints it: `1.515s`, `500ms`, `1m0s`, `0s`."""
    nanos = round(abs(seconds) * 1_000_000_000)
    sign = "-" if seconds < 0 and nanos else ""
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanos < size * 1000:
            return f"{sign}{_trimmed(Fraction(nanos, size))}{unit}"
    minutes, rest = divmod(nanos, 60_000_000_000)
    tail = f"{_trimmed(Fraction(rest, 1_000_000_000))}s"
    if not minutes:
        return sign + tail
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{tail}" if hours else f"{sign}{minutes}m{tail}"


def _trimmed(value: Fraction) -> str:
    whole, rest = divmod(value.numerator, value.denominator)
    digits = f"{rest * 1_000_000_000 // value.denominator:09d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
