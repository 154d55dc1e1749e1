"""The functions that Go gives to every template. `and` and `or` are missing: they decide what is evaluated at all.

Raises ValueError with what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote_plus

import msgspec

from gradatim.core.template_printf import sprint, sprintf, sprintln
from gradatim.core.template_values import Value, element, equal, length, less, part, to_bytes, type_name

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SCRIPT = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


class Builtin(msgspec.Struct, frozen=True):
    """A function, the fewest and the most arguments it takes (None: any number), and whether the first is a text."""

    call: Callable[[Sequence[Value]], Value]
    fewest: int
    most: int | None = None
    text_first: bool = False


def is_true(value: Value) -> bool:
    """What `if` makes of a value: empty texts and maps, zero, false and nil are not true."""
    return bool(value)


def as_text(values: Sequence[Value]) -> str:
    """What the escaping functions work on: unlike `print` they show nil as an action does."""
    return sprint(["<no value>" if value is None else value for value in values])


def _equal_any(values: Sequence[Value]) -> bool:
    if len(values) == 1:
        raise ValueError("missing argument for comparison")
    return any(equal(values[0], value) for value in values[1:])


def _less_or_equal(values: Sequence[Value]) -> bool:
    return less(values[0], values[1]) or equal(values[0], values[1])


def _index(values: Sequence[Value]) -> Value:
    item = values[0]
    if item is None:
        raise ValueError("index of untyped nil")
    for index in values[1:]:
        item = element(item, index)
    return item


def _script_escaped(text: str) -> str:
    return "".join(map(_script_character, text))


def _script_character(char: str) -> str:
    if char in _SCRIPT:
        return _SCRIPT[char]
    if char >= " " and (char.isascii() or char.isprintable()):
        return char
    return f"\\u{ord(char):04X}"


def _call(values: Sequence[Value]) -> Value:
    name = "nil" if values[0] is None else f"of type {type_name(values[0])}"
    raise ValueError(f"non-function {name}; there are no functions to call")


BUILTINS: dict[str, Builtin] = {
    "call": Builtin(_call, 1),
    "eq": Builtin(_equal_any, 1),
    "ge": Builtin(lambda values: not less(values[0], values[1]), 2, 2),
    "gt": Builtin(lambda values: not _less_or_equal(values), 2, 2),
    "html": Builtin(lambda values: as_text(values).translate(_HTML), 0),
    "index": Builtin(_index, 1),
    "js": Builtin(lambda values: _script_escaped(as_text(values)), 0),
    "le": Builtin(_less_or_equal, 2, 2),
    "len": Builtin(lambda values: length(values[0]), 1, 1),
    "lt": Builtin(lambda values: less(values[0], values[1]), 2, 2),
    "ne": Builtin(lambda values: not equal(values[0], values[1]), 2, 2),
    "not": Builtin(lambda values: not is_true(values[0]), 1, 1),
    "print": Builtin(sprint, 0),
    "printf": Builtin(lambda values: sprintf(str(values[0]), values[1:]), 1, text_first=True),
    "println": Builtin(sprintln, 0),
    "slice": Builtin(lambda values: part(values[0], tuple(values[1:])), 1),
    "urlquery": Builtin(lambda values: quote_plus(to_bytes(as_text(values))), 0),
}
SHORT_CIRCUIT = ("and", "or")
