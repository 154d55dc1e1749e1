"""Which requests a rule of an HTTPRoute is for: from our match entries, written as Istio spells them.

Same as Flagger: what maps to what, and that entries of the analysis are combined with those of the service.

Better than Flagger: headers and query parameters are sorted, so that a route never differs from itself; the path that
the API server fills in is written out; and what cannot be expressed is a problem with a path instead of being dropped,
which for `analysis.match` would leave a rule that takes everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gradatim.api.canary import Canary
from gradatim.core.problems import Problem
from gradatim.ports.objects import Manifest

_ALL: Manifest = {"path": {"type": "PathPrefix", "value": "/"}}
_LABEL = "name"
"""What an entry is called, for people."""
_TYPES = {"exact": "Exact", "regex": "RegularExpression"}
_PATHS = {"regex": "RegularExpression", "exact": "Exact", "prefix": "PathPrefix"}


class Matches(msgspec.Struct, frozen=True):
    """Route matches, and what of the entries is not in them."""

    entries: list[Manifest]
    problems: list[Problem]


def of_service(canary: Canary) -> Matches:
    """What `service.match` selects; everything when it selects nothing in particular."""
    found = _entries(canary.spec.service.match, "spec.service.match", ("uri", "method", "headers", "queryParams"))
    return Matches([_ALL | entry for entry in found.entries if entry] or [_ALL], found.problems)


def of_analysis(canary: Canary) -> Matches:
    """What `analysis.match` selects for the test; an entry that would select everybody is a problem."""
    found = _entries(canary.spec.analysis.match, "spec.analysis.match", ("headers", "queryParams"))
    problems = [msgspec.structs.replace(problem, blocks=True) for problem in found.problems]
    for index, entry in enumerate(found.entries):
        path = f"spec.analysis.match[{index}]"
        if not entry and not any(problem.path.startswith(path) for problem in problems):
            problems.append(Problem(path, "selects every request; name headers or queryParams, or remove it"))
    return Matches([entry for entry in found.entries if entry], problems)


def by_cookie(pattern: str) -> list[Manifest]:
    """Requests that carry a cookie."""
    return [{"headers": [{"name": "Cookie", "type": "RegularExpression", "value": pattern}]}]


def merged(analysis: Sequence[Manifest], service: Sequence[Manifest]) -> list[Manifest]:
    """Each entry of the analysis with each of the service, whose headers and query parameters give way."""
    return [outer | entry for entry in analysis for outer in service] if analysis else list(service)


def _entries(entries: Sequence[Mapping[str, Any]], path: str, known: Sequence[str]) -> Matches:
    matches: list[Manifest] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        place = f"{path}[{index}]"
        problems += [
            Problem(f"{place}.{key}", "Gateway API routes cannot match on it; remove it", blocks=False)
            for key in entry
            if key not in (*known, _LABEL)
        ]
        matches.append(_entry({key: entry[key] for key in known if entry.get(key)}, place, problems))
    return Matches(matches, problems)


def _entry(entry: Mapping[str, Any], place: str, problems: list[Problem]) -> Manifest:
    match: Manifest = {}
    if uri := entry.get("uri"):
        if kind := next((kind for kind in _PATHS if uri.get(kind)), None):
            match["path"] = {"type": _PATHS[kind], "value": uri[kind]}
        else:
            problems.append(_unsupported(f"{place}.uri", "path", "exact, prefix or regex"))
    if method := entry.get("method"):
        if method.get("exact"):
            match["method"] = method["exact"]
        else:
            problems.append(_unsupported(f"{place}.method", "header", "exact"))
    for key, word in (("headers", "header"), ("queryParams", "query")):
        if found := _conditions(entry.get(key) or {}, f"{place}.{key}", word, problems):
            match[key] = found
    return match


def _conditions(conditions: Mapping[str, Any], place: str, word: str, problems: list[Problem]) -> list[Manifest]:
    found = []
    for name in sorted(conditions):
        value = conditions[name]
        if kind := next((kind for kind in _TYPES if value.get(kind)), None):
            found.append({"name": name, "type": _TYPES[kind], "value": value[kind]})
        else:
            problems.append(_unsupported(f"{place}.{name}", word, "exact or regex"))
    return found


def _unsupported(path: str, word: str, instead: str) -> Problem:
    """Flagger's sentence; it says header for methods, too."""
    return Problem(path, f"Gateway API doesn't support the specified {word} matching selector: use {instead}")
