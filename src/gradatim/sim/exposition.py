"""Prometheus' text format and relabelling: from a scraped page to labelled values.

A page shows the same series at every scrape, so the text before a value is parsed and relabelled once and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from gradatim.api.errors import GradatimError
from gradatim.sim.promql_functions import expand
from gradatim.sim.series import NAME, Labels, anchored, labels_of

Action: TypeAlias = Literal["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"]


class Rule(msgspec.Struct, frozen=True):
    """One relabelling step; fields, defaults and meanings are those of `metric_relabel_configs`."""

    action: Action = "replace"
    source_labels: tuple[str, ...] = ()
    regex: str = "(.*)"
    target_label: str = ""
    replacement: str = "$1"
    separator: str = ";"


def relabel(labels: dict[str, str], rules: Iterable[Rule]) -> dict[str, str] | None:
    """Apply the rules in order; None when one of them drops the series."""
    for rule in rules:
        if not _apply(rule, labels):
            return None
    return labels


def _apply(rule: Rule, labels: dict[str, str]) -> bool:
    """Change the labels in place; False means the series is dropped."""
    pattern = anchored(rule.regex)
    if rule.action in ("labelmap", "labeldrop", "labelkeep"):
        _apply_to_names(rule, labels)
        return True
    source = rule.separator.join(labels.get(name, "") for name in rule.source_labels)
    if rule.action in ("lowercase", "uppercase"):
        labels[rule.target_label] = source.lower() if rule.action == "lowercase" else source.upper()
        return True
    found = pattern.match(source)
    if rule.action == "keep":
        return found is not None
    if rule.action == "drop":
        return found is None
    if found is not None:
        value, name = expand(rule.replacement, found), expand(rule.target_label, found)
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)
    return True


def _apply_to_names(rule: Rule, labels: dict[str, str]) -> None:
    pattern = anchored(rule.regex)
    for name, value in list(labels.items()):
        found = pattern.match(name)
        if rule.action == "labelmap":
            if found is not None:
                labels[expand(rule.replacement, found)] = value
        elif (found is None) is (rule.action == "labelkeep"):
            del labels[name]


class Malformed(GradatimError):
    """A scraped page is not in the text format."""

    reason = "Malformed"


_PAIR = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPE = re.compile(r"\\(.)")


def parse_identity(text: str) -> dict[str, str]:
    """`name{label="value",…}` as labels with `__name__`."""
    name, brace, rest = text.partition("{")
    name = name.strip()
    if not _METRIC.fullmatch(name):
        raise Malformed(f"not a metric name: {name!r}")
    labels = {NAME: name}
    inside = rest[:-1].strip() if brace else ""
    position = 0
    while position < len(inside):
        pair = _PAIR.match(inside, position)
        if pair is None:
            raise Malformed(f"not a label: {inside[position:]!r} of metric {name}")
        labels[pair.group(1)] = _ESCAPE.sub(_unescape, pair.group(2)) if "\\" in pair.group(2) else pair.group(2)
        position = pair.end()
    return labels


def _unescape(found: re.Match[str]) -> str:
    return {"n": "\n"}.get(found.group(1), found.group(1))


def parse_lines(page: str) -> Iterator[tuple[str, float, int | None]]:
    """The samples of a page: identity text, value, and the timestamp (ms) if the page gives one."""
    for line in page.split("\n"):
        if not line or line[0] == "#":
            continue
        end = line.rfind("}") + 1
        if end:
            identity, fields = line[:end], line[end:].split()
        else:
            identity, *fields = line.split() or [""]
        if not fields:
            if not line.strip():
                continue
            raise Malformed(f"no value in line {line!r}")
        try:
            yield identity, float(fields[0]), int(fields[1]) if len(fields) > 1 else None
        except ValueError as error:
            raise Malformed(f"not a number in line {line!r}") from error


class PageReader:
    """Reads the pages of one target: adds the target's labels, applies its rules, remembers both."""

    def __init__(self, labels: Labels, rules: Sequence[Rule]) -> None:
        self.labels = labels
        self.rules = tuple(rules)
        self._known: dict[str, Labels | None] = {}

    def read(self, page: str) -> Iterator[tuple[Labels, float, int | None]]:
        """The samples of a page that the rules keep."""
        known = self._known
        for identity, value, time in parse_lines(page):
            if identity not in known:
                known[identity] = self._identify(identity)
            labels = known[identity]
            if labels is not None:
                yield labels, value, time

    def _identify(self, identity: str) -> Labels | None:
        labels = parse_identity(identity)
        for name, value in self.labels:
            if name in labels:
                labels[f"exported_{name}"] = labels[name]
            labels[name] = value
        kept = relabel(labels, self.rules)
        return None if kept is None else labels_of(kept.items())
