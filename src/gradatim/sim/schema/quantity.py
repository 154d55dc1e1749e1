"""Quantities such as `500m`, `1Gi` or `2`: read, compare, and spelled as the server spells them."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_SMALLEST = Decimal("1e-9")


class NoQuantity(ValueError):
    """Not a quantity; says what one looks like."""

    def __init__(self) -> None:
        super().__init__(f"quantities must match the regular expression '{PATTERN}'")


def value(text: str | float) -> Decimal:
    """The number that a quantity stands for."""
    return _parsed(str(text))[0]


@lru_cache(4096)
def canonical(text: str) -> str:
    """`1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`."""
    number, suffix = _parsed(text)
    if suffix in _BINARY and abs(number) >= 1024:
        return _binary(number)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return _exponential(number)
    return _decimal(number)


@lru_cache(4096)
def _parsed(text: str) -> tuple[Decimal, str]:
    match = _FORM.fullmatch(text)
    if not match:
        raise NoQuantity
    digits, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY:
        number = digits * 1024 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        number = digits.scaleb(_DECIMAL[suffix])
    else:
        number = digits.scaleb(int(suffix[1:]))
    return number.quantize(_SMALLEST, ROUND_CEILING) if number % _SMALLEST else number, suffix


def _binary(number: Decimal) -> str:
    if number % 1:
        return _decimal(number)
    power, rest = 0, int(number)
    while rest % 1024 == 0 and power < 6:
        rest //= 1024
        power += 1
    return f"{rest}{['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'][power]}"


def _mantissa(number: Decimal) -> tuple[int, int]:
    """The number as an integer times a power of 1000, the power as large as can be."""
    exponent, scaled = -9, int(number.scaleb(9))
    while scaled and scaled % 1000 == 0 and exponent < 18:
        scaled //= 1000
        exponent += 3
    return scaled, exponent if scaled else 0


def _decimal(number: Decimal) -> str:
    scaled, exponent = _mantissa(number)
    return f"{scaled}{next(suffix for suffix, power in _DECIMAL.items() if power == exponent)}"


def _exponential(number: Decimal) -> str:
    scaled, exponent = _mantissa(number)
    return f"{scaled}e{exponent}" if exponent else str(scaled)
