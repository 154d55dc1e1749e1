"""What PromQL expressions evaluate to, and how samples are grouped by their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from gradatim.api.errors import GradatimError
from gradatim.sim.series import NAME, Labels


class QueryError(GradatimError):
    """The query cannot be answered. `kind` is Prometheus' errorType."""

    reason = "QueryFailed"

    def __init__(self, message: str, kind: str = "execution") -> None:
        super().__init__(message)
        self.kind = kind


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: Labels
    value: float


class Window(NamedTuple):
    """One series' samples in a range; `start` and `end` (ms) are the range itself."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]
    start: int
    end: int


Vector: TypeAlias = list[Sample]
Matrix: TypeAlias = list[Window]
Value: TypeAlias = float | str | Vector | Matrix


def label(labels: Labels, name: str) -> str:
    """One label's value; empty when it is not there."""
    return next((value for key, value in labels if key == name), "")


def without(labels: Labels, names: Collection[str]) -> Labels:
    """The labels except some."""
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Collection[str]) -> Labels:
    """Some of the labels."""
    return tuple(pair for pair in labels if pair[0] in names)


def nameless(labels: Labels) -> Labels:
    """The labels without the metric's name, as after any calculation."""
    return without(labels, (NAME,))


def relabelled(labels: Labels, changes: Iterable[tuple[str, str]]) -> Labels:
    """The labels with some set; an empty value removes the label."""
    merged = {**dict(labels), **dict(changes)}
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def distinct(vector: Vector) -> Vector:
    """The vector itself; two elements of the same labels cannot be told apart and are refused."""
    if len({sample.labels for sample in vector}) != len(vector):
        raise QueryError("vector cannot contain metrics with the same labelset")
    return vector
