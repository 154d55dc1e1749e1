"""Go's `fmt` for the values of query templates: `print`, `println`, `printf`, and how a value shows by itself.

Formats that go wrong show Go's own marks, such as `%!d(string=hi)`. Verbs that no query can want (hexadecimal and
binary floats, addresses, errors) are refused instead of guessed. Raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from gradatim.core.template_values import Byte, Value, to_bytes, type_name

_LARGEST = 1_000_000  # of widths and precisions; Go's limit where they come from a value
_FLAGS = "#0+- "
_BASES = {"d": 10, "v": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_DIGITS = {10: "d", 2: "b", 8: "o", 16: "x"}
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def sprint(values: Sequence[Value]) -> str:
    """Values behind each other, with a blank between two of which neither is a text."""
    parts: list[str] = []
    for before, value in zip([None, *values], values, strict=False):
        if parts and not isinstance(value, str) and not isinstance(before, str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def sprintln(values: Sequence[Value]) -> str:
    """Values with blanks between them and a line break behind them."""
    return " ".join(shown(value) for value in values) + "\n"


def shown(value: Value) -> str:
    """A value as `%v` shows it."""
    return _formatted(value, _Verb("v"))


def sprintf(text: str, values: Sequence[Value]) -> str:
    """A format with values."""
    return "".join(_Printf(text, values).parts())


class _Verb(msgspec.Struct, frozen=True):
    """One verb of a format with its flags; width and precision are None where not given.

    `go_syntax` is `%#v`, values as Go source: there the flag means something else than anywhere else.
    """

    letter: str
    flags: frozenset[str] = frozenset()
    width: int | None = None
    precision: int | None = None
    go_syntax: bool = False

    def has(self, flag: str) -> bool:
        return flag in self.flags

    @property
    def zeros(self) -> bool:
        """Whether padding on the left is done with zeros."""
        return self.has("0") and not self.has("-")


class _Printf:
    """Walks through a format; `_next` is the number of the next value."""

    def __init__(self, text: str, values: Sequence[Value]) -> None:
        self._text = text
        self._values = values
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good = True

    def parts(self) -> Iterator[str]:
        """Everything the format yields, piece by piece."""
        while (start := self._text.find("%", self._at)) >= 0:
            yield self._text[self._at : start]
            self._at = start + 1
            yield from self._verb()
        yield self._text[self._at :]
        if not self._reordered and self._next < len(self._values):
            extra = ", ".join(_with_type(value) for value in self._values[self._next :])
            yield f"%!(EXTRA {extra})"

    def _verb(self) -> Iterator[str]:
        self._good = True
        flags = set()
        while self._char() in _FLAGS and self._char():
            flags.add(self._char())
            self._at += 1
        indexed = self._index()
        width, complaint = self._width(indexed, flags)
        yield complaint
        indexed = indexed and self._char_before("]")
        precision, complaint, indexed = self._precision(indexed)
        yield complaint
        if not indexed:
            self._index()
        letter = self._char()
        if not letter:
            yield "%!(NOVERB)"
            return
        self._at += 1
        go_syntax = letter == "v" and "#" in flags
        kept = frozenset(flags - {"#", "+"} if letter == "v" else flags)
        yield self._argument(_Verb(letter, kept, width, precision, go_syntax))

    def _argument(self, verb: _Verb) -> str:
        if verb.letter == "%":
            return "%"
        if not self._good:
            return f"%!{verb.letter}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{verb.letter}(MISSING)"
        self._next += 1
        return _formatted(self._values[self._next - 1], verb)

    def _char(self) -> str:
        return self._text[self._at : self._at + 1]

    def _char_before(self, char: str) -> bool:
        return self._text[self._at - 1 : self._at] == char

    def _index(self) -> bool:
        """Take an explicit argument number, such as `[2]`; whether there was a well-formed one."""
        if self._char() != "[":
            return False
        self._reordered = True
        end = self._text.find("]", self._at)
        if end < 0:
            self._good = False
            self._at += 1
            return False
        digits = self._text[self._at + 1 : end]
        self._at = end + 1
        well_formed = digits.isascii() and digits.isdecimal() and int(digits) <= _LARGEST
        if not well_formed or not 1 <= int(digits) <= len(self._values):
            self._good = False
            return well_formed
        self._next = int(digits) - 1
        return True

    def _width(self, indexed: bool, flags: set[str]) -> tuple[int | None, str]:
        if self._char() != "*":
            width = self._number()
            if indexed and width is not None:
                self._good = False
            return width, ""
        self._at += 1
        width = self._from_argument()
        if width is not None and width < 0:
            flags.add("-")
            return -width, ""
        return width, "" if width is not None else "%!(BADWIDTH)"

    def _precision(self, indexed: bool) -> tuple[int | None, str, bool]:
        if self._char() != "." or self._at + 1 >= len(self._text):
            return None, "", indexed
        self._at += 1
        if indexed:
            self._good = False
        indexed = self._index()
        if self._char() != "*":
            return self._number() or 0, "", indexed
        self._at += 1
        precision = self._from_argument()
        if precision is None or precision < 0:
            return None, "%!(BADPREC)", False
        return precision, "", False

    def _number(self) -> int | None:
        start = self._at
        while self._char() and self._char() in "0123456789":
            self._at += 1
            if int(self._text[start : self._at]) > _LARGEST:
                raise ValueError(f"a width or precision above {_LARGEST} is not supported")
        return int(self._text[start : self._at]) if self._at > start else None

    def _from_argument(self) -> int | None:
        if self._next >= len(self._values):
            return None
        value = self._values[self._next]
        self._next += 1
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            return int(value)
        return None


def _with_type(value: Value) -> str:
    return "<nil>" if value is None else f"{type_name(value)}={shown(value)}"


def _bad(value: Value, verb: _Verb) -> str:
    inner = "<nil>"
    if value is not None:
        inner = f"{type_name(value)}={_formatted(value, msgspec.structs.replace(verb, letter='v'))}"
    return f"%!{verb.letter}({inner})"


def _formatted(value: Value, verb: _Verb) -> str:
    if verb.letter == "w":
        raise ValueError("the verb %w is not supported; use %v")
    if verb.letter == "T" and value is not None:
        return _padded(_cut(type_name(value), verb), verb)
    match value:
        case None:
            return _padded("<nil>", verb) if verb.letter in "Tv" else _bad(value, verb)
        case str():
            return _text(value, verb)
        case bool():
            return _padded(str(value).lower(), verb) if verb.letter in "tv" else _bad(value, verb)
        case int():
            return _integer(value, verb)
        case float():
            return _float(value, verb)
    return _map(value, verb)


def _padded(text: str, verb: _Verb, *, zeros: bool | None = None) -> str:
    missing = (verb.width or 0) - len(text)
    if missing <= 0:
        return text
    if verb.has("-"):
        return text + " " * missing
    return ("0" if (verb.zeros if zeros is None else zeros) else " ") * missing + text


def _cut(text: str, verb: _Verb) -> str:
    return text if verb.precision is None else text[: verb.precision]


def _map(value: Mapping[str, str], verb: _Verb) -> str:
    if verb.letter == "p":
        raise ValueError("the verb %p of a map is not supported")
    pairs = [f"{_formatted(key, verb)}:{_formatted(value[key], verb)}" for key in sorted(value, key=to_bytes)]
    if verb.go_syntax:
        return f"map[string]string{{{', '.join(pairs)}}}"
    return f"map[{' '.join(pairs)}]"


def _text(value: str, verb: _Verb) -> str:
    if verb.letter == "q" or verb.go_syntax:
        cut = _cut(value, verb)
        if verb.letter == "q" and verb.has("#") and _can_be_raw(cut):
            return _padded(f"`{cut}`", verb)
        quoted = _escaped(cut, '"', verb.letter == "q" and verb.has("+"))
        return _padded(f'"{quoted}"', verb)
    if verb.letter in "sv":
        return _padded(_cut(value, verb), verb)
    if verb.letter in "xX":
        return _hexadecimal(value, verb)
    return _bad(value, verb)


def _hexadecimal(value: str, verb: _Verb) -> str:
    prefix = "0x" if verb.has("#") else ""
    data = to_bytes(value)[: verb.precision]
    if not data:
        return _padded("", verb)
    text = " ".join(f"{prefix}{byte:02x}" for byte in data) if verb.has(" ") else prefix + data.hex()
    return _padded(text.upper() if verb.letter == "X" else text, verb)


def _can_be_raw(text: str) -> bool:
    return all(char == "\t" or (char >= " " and char not in "`\x7f\ufeff" and not _lone(char)) for char in text)


def _lone(char: str) -> bool:
    return "\udc80" <= char <= "\udcff"


def _escaped(text: str, quote: str, ascii_only: bool) -> str:
    return "".join(_escape(char, quote, ascii_only) for char in text)


def _escape(char: str, quote: str, ascii_only: bool) -> str:
    if char == quote:
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if _lone(char):
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char.isprintable() and (char.isascii() or not ascii_only):
        return char
    if char < " " or char == "\x7f":
        return f"\\x{ord(char):02x}"
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _integer(value: int, verb: _Verb) -> str:
    if verb.letter in "cqU":
        return _code_point(value, verb)
    if verb.letter not in _BASES:
        return _bad(value, verb)
    base = _BASES[verb.letter]
    sharp = verb.has("#")
    if verb.go_syntax and isinstance(value, Byte):
        base, sharp = 16, True
    if verb.precision == 0 and value == 0:
        return " " * (verb.width or 0)
    sign = "-" if value < 0 else "+" if verb.has("+") else " " if verb.has(" ") else ""
    wanted = verb.precision or 0
    if verb.precision is None and verb.zeros and verb.width is not None:
        wanted = verb.width - len(sign)
    digits = format(abs(value), _DIGITS[base]).rjust(wanted, "0")
    text = sign + _prefix(base, digits, verb.letter, sharp) + digits
    return _padded(text.upper() if verb.letter == "X" else text, verb, zeros=False)


def _prefix(base: int, digits: str, letter: str, sharp: bool) -> str:
    prefix = "0o" if letter == "O" else ""
    if not sharp:
        return prefix
    if base == 8:
        return prefix if digits.startswith("0") else prefix + "0"
    return {2: "0b", 16: "0x"}.get(base, "")


def _code_point(value: int, verb: _Verb) -> str:
    valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000
    char = chr(value) if valid else "\ufffd"
    if verb.letter == "c":
        return _padded(char, verb)
    if verb.letter == "q":
        quoted = _escaped(char, "'", verb.has("+"))
        return _padded(f"'{quoted}'", verb)
    digits = f"{value % 2**64:X}".rjust(max(verb.precision or 0, 4), "0")
    tail = f" '{char}'" if verb.has("#") and valid and char.isprintable() else ""
    return _padded(f"U+{digits}{tail}", verb, zeros=False)


def _float(value: float, verb: _Verb) -> str:
    writers: dict[str, Callable[[float, int | None], str]] = {
        "v": _general,
        "g": _general,
        "G": lambda number, precision: _general(number, precision).upper(),
        "e": lambda number, precision: f"{number:.{6 if precision is None else precision}e}",
        "E": lambda number, precision: f"{number:.{6 if precision is None else precision}E}",
        "f": lambda number, precision: f"{number:.{6 if precision is None else precision}f}",
    }
    letter = "f" if verb.letter == "F" else verb.letter
    if letter in "bxX" or (verb.has("#") and letter in writers):
        raise ValueError(f"the verb %{'#' if verb.has('#') else ''}{verb.letter} of a float64 is not supported")
    if letter not in writers:
        return _bad(value, verb)
    text = writers[letter](value, verb.precision)
    negative = text.startswith("-")
    sign = "-" if negative else "+" if verb.has("+") else " " if verb.has(" ") else ""
    digits = text[1:] if negative else text
    if verb.zeros and sign:
        return sign + digits.rjust((verb.width or 0) - len(sign), "0")
    return _padded(sign + digits, verb)


def _general(value: float, precision: int | None) -> str:
    """`%g`: with a precision as in C; without one the shortest digits, with an exponent from a million on."""
    if precision is not None:
        return f"{value:.{precision}g}"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + int(exponent)  # where the point stands, from the first digit
    point = 1 if text == "0" else point
    minus = "-" if sign else ""
    if -4 <= point - 1 < 6:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{text}"
        whole, rest = text[:point].ljust(point, "0"), text[point:]
        return f"{minus}{whole}.{rest}" if rest else minus + whole
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{point - 1:+03d}"
