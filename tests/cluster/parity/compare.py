"""Finds every difference between two recordings of one scenario, each as one line of text."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from cluster.parity.normal import NOT_READY, comparable_states, event_text, folded_query, hook_text
from cluster.parity.recording import Recording, StateRow
from gradatim.ports.objects import Manifest

ABSENT = "absent"


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as the reference did it."""

    what: str
    """`outcome`, `phases`, `events`, `hooks`, `queries` or `state`."""
    where: str
    text: str

    def __str__(self) -> str:
        """The line that the table of allowed differences is matched against."""
        return f"{self.where}: {self.text}"


def compare(reference: Recording, ours: Recording) -> list[Difference]:
    """Everything that differs, allowed or not."""
    return [
        *_outcome(reference, ours),
        *_sequence("phases", "phases", reference.phases(), ours.phases()),
        *_events(reference, ours),
        *_hooks(reference, ours),
        *_queries(reference, ours),
        *_states(reference, ours),
    ]


def _outcome(reference: Recording, ours: Recording) -> Iterator[Difference]:
    theirs, mine = _seconds_out(reference.failure()), _seconds_out(ours.failure())
    if theirs != mine:
        yield Difference("outcome", "end", f"reference {theirs or 'came to its end'}, ours {mine or 'came to its end'}")


def _events(reference: Recording, ours: Recording) -> Iterator[Difference]:
    theirs, mine = (_distinct(recording.segments("event"), event_text) for recording in (reference, ours))
    yield from _segments("events", theirs, mine)
    waited, waits = (any(NOT_READY in texts for texts in segments) for segments in (theirs, mine))
    if waited != waits:
        yield Difference("events", "events", f"{'only in reference' if waited else 'only in ours'}: {NOT_READY}")


def _hooks(reference: Recording, ours: Recording) -> Iterator[Difference]:
    theirs, mine = (_distinct(recording.segments("hook"), hook_text) for recording in (reference, ours))
    yield from _segments("hooks", theirs, mine)


def _distinct(segments: Iterable[list[Manifest]], text: Callable[[Manifest], str]) -> list[list[str]]:
    """What was said in each segment, each thing once, in the order of its first time."""
    return [list(dict.fromkeys(map(text, lines))) for lines in segments]


def _segments(what: str, theirs: Sequence[list[str]], mine: Sequence[list[str]]) -> Iterator[Difference]:
    nothing: list[str] = []
    for number, pair in enumerate(zip_longest(theirs, mine, fillvalue=nothing), 1):
        without = [[text for text in texts if text != NOT_READY] for texts in pair]
        yield from _sequence(what, f"{what} {number}", *without)


def _queries(reference: Recording, ours: Recording) -> Iterator[Difference]:
    theirs, mine = (set(map(folded_query, recording.queries())) for recording in (reference, ours))
    for query in sorted(theirs ^ mine):
        yield Difference("queries", "queries", f"{'only in reference' if query in theirs else 'only in ours'}: {query}")


def _states(reference: Recording, ours: Recording) -> Iterator[Difference]:
    told: set[Difference] = set()
    for theirs, mine in zip(comparable_states(reference.states()), comparable_states(ours.states()), strict=False):
        row = f"state {theirs.number} after {theirs.after}"
        for found in _rows(theirs, mine):
            if found not in told:  # said once, at the first row where it shows
                told.add(found)
                yield Difference("state", f"{row} · {found.where}", found.text)


def _rows(theirs: StateRow, mine: StateRow) -> Iterator[Difference]:
    """In a phase that rests everything counts; numbers do not while a release is on its way."""
    if not theirs.settled and theirs.phase != mine.phase:
        yield Difference("state", "Canary/shop", f"phase: reference {theirs.phase}, ours {mine.phase}")
        return
    for name in sorted(theirs.objects.keys() | mine.objects.keys()):
        if name not in mine.objects:
            yield Difference("state", name, "only in reference")
        elif name not in theirs.objects:
            yield Difference("state", name, "only in ours")
        else:
            for path, one, other in _leaves(theirs.objects[name], mine.objects[name], ""):
                if theirs.settled or not (_is_number(one) and _is_number(other)):
                    yield Difference("state", name, f"{path}: reference {_shown(one)}, ours {_shown(other)}")


def _leaves(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Paths at which two values differ, as deep as both have the same shape."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _leaves(one.get(key, ABSENT), other.get(key, ABSENT), _join(path, key))
    elif (left_by_type := _by_type(one)) and (right_by_type := _by_type(other)):
        yield from _leaves(left_by_type, right_by_type, path)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _leaves(left, right, f"{path}[{number}]")
    elif one != other:
        yield path, one, other


def _by_type(value: Any) -> dict[str, Any] | None:
    """Conditions by their type."""
    if not isinstance(value, list) or not all(isinstance(one, dict) and "status" in one for one in value):
        return None
    return {one["type"]: one for one in value}


def _sequence(what: str, where: str, theirs: Sequence[str], mine: Sequence[str]) -> Iterator[Difference]:
    """What is missing, what is too much, and what is only elsewhere."""
    matcher = difflib.SequenceMatcher(None, theirs, mine, autojunk=False)
    missing, extra = list[str](), list[str]()
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            missing += theirs[start:end]
            extra += mine[first:last]
    moved = [text for text in missing if text in extra]
    for text in missing:
        if text not in moved:
            yield Difference(what, where, f"only in reference: {text}")
    for text in extra:
        yield Difference(what, where, f"{'in another place' if text in moved else 'only in ours'}: {text}")


def _join(path: str, key: str) -> str:
    simple = re.fullmatch(r"[A-Za-z0-9_-]+", key)
    return (f"{path}.{key}" if path else key) if simple else f"{path}[{key}]"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value.isdigit())


def _shown(value: Any) -> str:
    return ABSENT if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _seconds_out(text: str) -> str:
    return re.sub(r" in \d+ s$", "", text)
