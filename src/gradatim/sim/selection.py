"""Which objects a client means: label selectors and field selectors, as text in a query or as an object in a spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim import names
from gradatim.sim.refusals import bad_request, invalid

Labels: TypeAlias = Mapping[str, str]

_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^=!,()<>\s]+|$)")
_BINARY = "in, notin, =, ==, !=, gt, lt"
_OPERATORS = {"=": "in", "==": "in", "!=": "notin", "<": "lt", ">": "gt", "lt": "lt", "gt": "gt"}
_SPECIAL = frozenset(("==", "!=", "=", "!", ",", "(", ")", "<", ">", ""))


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Whether an object with these labels is meant."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        try:
            given, bound = int(value or ""), int(next(iter(self.values)))
        except ValueError:
            return False
        return given > bound if self.operator == "gt" else given < bound


LabelSelector: TypeAlias = tuple[Requirement, ...]


def matches(selector: LabelSelector, labels: Labels) -> bool:
    """Whether every condition holds."""
    return all(one.matches(labels) for one in selector)


@lru_cache(1024)
def parse_labels(text: str) -> LabelSelector:
    """`app=shop,tier in (a, b),!old`; Refused (400) with the server's sentence if it cannot be read."""
    return _LabelParser(text).parse()


def from_object(selector: Manifest | None) -> LabelSelector:
    """A `LabelSelector` of a spec; None selects nothing anywhere, so callers look for it first."""
    found = selector or {}
    exact = [Requirement(key, "in", frozenset((value,))) for key, value in (found.get("matchLabels") or {}).items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    rest = [
        Requirement(one["key"], operators.get(one["operator"], ""), frozenset(one.get("values") or ()))
        for one in found.get("matchExpressions") or ()
    ]
    return (*exact, *rest)


def as_text(selector: Manifest | None) -> str:
    """A `LabelSelector` of a spec as clients write it in a query."""
    parts = []
    for one in sorted(from_object(selector), key=lambda one: one.key):
        values = ",".join(sorted(one.values))
        if one.operator == "in" and len(one.values) == 1:
            parts.append(f"{one.key}={values}")
        elif one.operator in ("in", "notin"):
            parts.append(f"{one.key} {one.operator} ({values})")
        else:
            parts.append(one.key if one.operator == "exists" else f"!{one.key}")
    return ",".join(parts)


class _LabelParser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [token for token in _TOKEN.findall(text) if token] + [""]
        self._at = 0

    def parse(self) -> LabelSelector:
        found: list[Requirement] = []
        while True:
            first = self._peek()
            if not first:
                return tuple(found)
            if first in _SPECIAL - {"!"}:
                raise bad_request(f"found '{first}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except _Unreadable as error:
                raise bad_request(f"unable to parse requirement: {error}") from None
            after = self._take()
            if not after:
                return tuple(found)
            if after != ",":
                raise bad_request(f"found '{after}', expected: ',' or 'end of string'")
            if self._peek() in _SPECIAL - {"!"}:
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._take()
        if key in _SPECIAL:
            raise _Unreadable(f"found '{key}', expected: identifier")
        _checked("<nil>", key, names.qualified(key))
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        operator = self._take()
        match operator:
            case "in" | "notin":
                values = self._list()
            case "=" | "==" | "!=" | "<" | ">" | "gt" | "lt":
                values = frozenset((self._exact(),))
                operator = {"!=": "notin", "<": "lt", ">": "gt"}.get(
                    operator, operator if operator in ("gt", "lt") else "in"
                )
            case _:
                raise _Unreadable(f"found '{operator}', expected: {_BINARY}")
        for index, value in enumerate(sorted(values)):
            _checked(f"values[{index}]", value, names.label_value(value))
        return Requirement(key, operator, values)

    def _exact(self) -> str:
        if self._peek() in ("", ","):
            return ""
        value = self._take()
        if value in _SPECIAL:
            raise _Unreadable(f"found '{value}', expected: identifier")
        return value

    def _list(self) -> frozenset[str]:
        opening = self._take()
        if opening != "(":
            raise _Unreadable(f"found '{opening}' expected: '('")
        values: set[str] = set()
        while True:
            value = self._take()
            if value in (",", ")"):
                values.add("")
            elif value in _SPECIAL:
                raise _Unreadable(f"found '{value}', expected: ',', or identifier")
            else:
                values.add(value)
                value = self._take()
            if value == ")":
                return frozenset(values)
            if value != ",":
                raise _Unreadable(f"found '{value}', expected: ',' or ')'")

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token


class _Unreadable(Exception):
    """Part of a selector that cannot be read."""


def _checked(field: str, value: str, wrong: Iterable[str]) -> None:
    for sentence in wrong:
        raise _Unreadable(str(invalid(field, value, sentence)))


FieldOf: TypeAlias = Callable[[Manifest], str]


class FieldSelector(msgspec.Struct, frozen=True):
    """Conditions on fields: (field, wanted, negated)."""

    terms: tuple[tuple[str, str, bool], ...]

    def matches(self, value_of: Callable[[str], str]) -> bool:
        """Whether the object with these field values is meant."""
        return all((value_of(field) == wanted) is not negated for field, wanted, negated in self.terms)


NO_FIELDS = FieldSelector(())


@lru_cache(1024)
def parse_fields(text: str) -> FieldSelector:
    """`metadata.name=x,status.phase!=Running`; Refused (400) if it cannot be read."""
    terms = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.fullmatch(r"([^=!]*?)(==|!=|=)((?:\\.|[^=,\\])*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((match[1], re.sub(r"\\(.)", r"\1", match[3]), match[2] == "!="))
    return FieldSelector(tuple(terms))


def dig(obj: Manifest, path: Iterable[str]) -> Any:
    """The value at a path of names, or None."""
    found: Any = obj
    for key in path:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def field_text(obj: Manifest, field: str) -> str:
    """A field's value as selectors compare it: `metadata.name` by its dots; what is not there is empty."""
    found = dig(obj, field.split("."))
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)
