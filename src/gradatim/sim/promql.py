"""PromQL over samples in memory: `promql-parser` reads and type-checks the text, this module walks the tree.

What is answered is what the tests compare with a real Prometheus; anything else is refused by name, never guessed.
The functions are in `promql_functions`, operators and aggregations in `promql_operators`, HTTP in `prometheus`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import msgspec
import promql_parser

from gradatim.sim.promql_functions import MATHS, WINDOW_POSITION, WINDOWS, histogram_quantile, label_join, label_replace
from gradatim.sim.promql_operators import (
    SET_OPERATORS,
    Matching,
    aggregate,
    scalars,
    sets,
    vector_with_scalar,
    vectors,
)
from gradatim.sim.promql_values import Matrix, QueryError, Sample, Value, Vector, Window, distinct, nameless
from gradatim.sim.series import NAME, Labels, Matcher, Op, Series, SeriesStore, labels_of

Node: TypeAlias = Any
"""A node of the parser's tree; the library has no type hints."""

LOOKBACK = 300.0
"""Seconds an instant query looks back for a series' newest sample, unless told otherwise."""

SUBQUERY_STEP = 60_000
"""Milliseconds between the points of a subquery without a step: Prometheus' default evaluation interval."""


class Limits(msgspec.Struct, frozen=True):
    """The time frame of a query in ms: `start` and `end` are what `@ start()` and `@ end()` mean."""

    start: int
    end: int
    lookback: int = int(LOOKBACK * 1000)


def parse(query: str) -> Node:
    """The tree of a query; raises QueryError with Prometheus' `bad_data`."""
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise QueryError(f'invalid parameter "query": parse error: {error}', "bad_data") from error


def instant(store: SeriesStore, query: str | Node, at: int, lookback: float = LOOKBACK) -> Value:
    """Evaluate a query at one moment (ms)."""
    tree = parse(query) if isinstance(query, str) else query
    return Evaluation(store, at, Limits(at, at, int(lookback * 1000))).value(tree)


def over_range(store: SeriesStore, query: str, limits: Limits, step: int) -> dict[Labels, list[tuple[int, float]]]:
    """Evaluate a query at every step (ms) from start to end: points by series."""
    tree = parse(query)
    if is_range(tree) or type(_bare(tree)).__name__ == "StringLiteral":
        message = "invalid expression type for range query, must be Scalar or instant Vector"
        raise QueryError(f'invalid parameter "query": {message}', "bad_data")
    points: dict[Labels, list[tuple[int, float]]] = {}
    for at in range(limits.start, limits.end + 1, step):
        value: Any = Evaluation(store, at, limits).value(tree)
        samples: Vector = [Sample((), value)] if isinstance(value, float) else value
        for labels, number in samples:
            points.setdefault(labels, []).append((at, number))
    return points


def is_range(tree: Node) -> bool:
    """Does the query ask for ranges of samples rather than for one value per series?"""
    return type(_bare(tree)).__name__ in ("MatrixSelector", "SubqueryExpr")


def selected(store: SeriesStore, selector: str) -> list[Series]:
    """The series a plain selector finds, at any time."""
    tree = parse(selector)
    if type(tree).__name__ != "VectorSelector":
        raise QueryError(f'invalid parameter "match[]": {selector!r} is not a selector', "bad_data")
    return Evaluation(store, 0, Limits(0, 0)).matching(tree)


class Evaluation:
    """One query at one moment."""

    def __init__(self, store: SeriesStore, at: int, limits: Limits) -> None:
        self.store = store
        self.at = at
        self.limits = limits

    def value(self, node: Node) -> Value:
        """Evaluate any node."""
        match type(node).__name__:
            case "NumberLiteral":
                return float(node.val)
            case "StringLiteral":
                return str(node.val)
            case "ParenExpr":
                return self.value(node.expr)
            case "UnaryExpr":
                return self._negated(self.value(node.expr))
            case "VectorSelector":
                return self._selected(node)
            case "MatrixSelector" | "SubqueryExpr":
                return self.matrix(node)
            case "BinaryExpr":
                return self._binary(node)
            case "AggregateExpr":
                return self._aggregated(node)
            case "Call":
                return self._called(node)
            case other:
                raise QueryError(f"{other} is not supported here", "bad_data")

    def vector(self, node: Node) -> Vector:
        """Evaluate a node that the parser has checked to be an instant vector."""
        value: Any = self.value(node)
        vector: Vector = value
        return vector

    def number(self, node: Node) -> float:
        """Evaluate a node that the parser has checked to be a scalar."""
        value: Any = self.value(node)
        return float(value)

    # --- selectors

    def _selected(self, node: Node) -> Vector:
        return [Sample(series.labels, value) for series, (_, value) in self._latest(node)]

    def _latest(self, node: Node) -> list[tuple[Series, tuple[int, float]]]:
        at = self._moment(node)
        found = ((series, series.latest(at, self.limits.lookback)) for series in self.matching(node))
        return [(series, sample) for series, sample in found if sample is not None]

    def matching(self, node: Node) -> list[Series]:
        """The series a selector finds, whatever their samples."""
        if node.matchers.or_matchers:
            raise QueryError("`or` between matchers is not supported here", "bad_data")
        named = [Matcher(NAME, Op.EQUAL, node.name)] if node.name else []
        return self.store.select(named + [_matcher(matcher) for matcher in node.matchers.matchers])

    def _moment(self, node: Node) -> int:
        """The time a selector or subquery looks at, after `@` and `offset`."""
        at = self.at
        if node.at is not None:
            match str(node.at.type).rpartition(".")[2]:
                case "Start":
                    at = self.limits.start
                case "End":
                    at = self.limits.end
                case _:
                    at = round(node.at.at.timestamp() * 1000)
        return at - _milliseconds(node.offset)

    def matrix(self, node: Node) -> Matrix:
        """Evaluate a range selector or a subquery; series without samples are left out."""
        length = _milliseconds(node.range)
        if type(node).__name__ == "SubqueryExpr":
            return self._subquery(node, length)
        end = self._moment(node.vector_selector)
        windows = (
            Window(series.labels, *series.between(end - length, end), end - length, end)
            for series in self.matching(node.vector_selector)
        )
        return [window for window in windows if len(window.times)]

    def _subquery(self, node: Node, length: int) -> Matrix:
        end = self._moment(node)
        step = _milliseconds(node.step) or SUBQUERY_STEP
        first = -(-(end - length) // step) * step  # subqueries look at whole multiples of their step
        points: dict[Labels, tuple[list[int], list[float]]] = {}
        for at in range(first, end + 1, step):
            inner = Evaluation(self.store, at, self.limits).value(node.expr)
            samples: Any = [Sample((), inner)] if isinstance(inner, float) else inner
            for labels, value in samples:
                times, values = points.setdefault(labels, ([], []))
                times.append(at)
                values.append(value)
        return [Window(labels, *samples, end - length, end) for labels, samples in points.items()]

    # --- operators and aggregations

    def _negated(self, value: Value) -> Value:
        if isinstance(value, float):
            return -value
        samples: Any = value
        return distinct([Sample(nameless(labels), -number) for labels, number in samples])

    def _binary(self, node: Node) -> Value:
        operator = str(node.op)
        left, right = self.value(node.lhs), self.value(node.rhs)
        matching = _matching(node.modifier)
        if isinstance(left, float) and isinstance(right, float):
            return scalars(operator, left, right)
        one: Any = left
        other: Any = right
        if isinstance(right, float):
            return distinct(vector_with_scalar(operator, one, right, swapped=False, as_bool=matching.as_bool))
        if isinstance(left, float):
            return distinct(vector_with_scalar(operator, other, left, swapped=True, as_bool=matching.as_bool))
        if operator in SET_OPERATORS:
            return distinct(sets(operator, one, other, matching))
        return distinct(vectors(operator, one, other, matching))

    def _aggregated(self, node: Node) -> Vector:
        parameter: float | str = 0.0
        if node.param is not None:
            given: Any = self.value(node.param)
            parameter = given
        names = tuple(node.modifier.labels) if node.modifier else ()
        by = node.modifier is None or str(node.modifier.type).endswith("By")
        return aggregate(str(node.op), self.vector(node.expr), names, by, parameter)

    # --- functions

    def _called(self, node: Node) -> Value:
        name, arguments = str(node.func.name), list(node.args)
        if name in WINDOWS:
            return self._over_windows(name, arguments)
        if name in MATHS:
            return self._over_values(name, arguments)
        special = SPECIAL.get(name)
        if special is None:
            raise QueryError(f"function {name!r} is not supported here", "bad_data")
        value = special(self, arguments)
        return distinct(value) if name in ("label_replace", "label_join", "histogram_quantile") else value  # type: ignore[arg-type]

    def _over_windows(self, name: str, arguments: list[Node]) -> Vector:
        node = arguments.pop(WINDOW_POSITION.get(name, 0))
        parameters = [self.number(argument) for argument in arguments]
        result: Vector = []
        for window in self.matrix(_bare(node)):
            value = WINDOWS[name](window, *parameters)
            if value is not None:
                labels = window.labels if name == "last_over_time" else nameless(window.labels)
                result.append(Sample(labels, value))
        return distinct(result)

    def _over_values(self, name: str, arguments: list[Node]) -> Vector:
        parameters = [self.number(argument) for argument in arguments[1:]]
        if name == "clamp" and parameters[0] > parameters[1]:
            return []
        samples = self.vector(arguments[0])
        return distinct([Sample(nameless(labels), float(MATHS[name](value, *parameters))) for labels, value in samples])

    def absent(self, node: Node, there: bool) -> Vector:
        """One element that says "nothing is there", with the labels the selector pins down."""
        if there:
            return []
        bare = _bare(node)
        selector = bare.vector_selector if type(bare).__name__ == "MatrixSelector" else bare
        if type(selector).__name__ != "VectorSelector":
            return [Sample((), 1.0)]
        matchers = [_matcher(matcher) for matcher in selector.matchers.matchers if matcher.name != NAME]
        names = [matcher.name for matcher in matchers]
        pinned = ((m.name, m.value) for m in matchers if m.op is Op.EQUAL and names.count(m.name) == 1)
        return [Sample(labels_of(pinned), 1.0)]

    def timestamps(self, node: Node) -> Vector:
        """When each sample was taken; for anything calculated, now."""
        bare = _bare(node)
        if type(bare).__name__ == "VectorSelector":
            return [Sample(nameless(series.labels), time / 1000) for series, (time, _) in self._latest(bare)]
        return [Sample(nameless(labels), self.at / 1000) for labels, _ in self.vector(node)]


def _vector(evaluation: Evaluation, arguments: list[Node]) -> Value:
    return [Sample((), evaluation.number(arguments[0]))]


def _scalar(evaluation: Evaluation, arguments: list[Node]) -> Value:
    samples = evaluation.vector(arguments[0])
    return samples[0].value if len(samples) == 1 else float("nan")


def _sorted(descending: bool) -> Callable[[Evaluation, list[Node]], Value]:
    def sort(evaluation: Evaluation, arguments: list[Node]) -> Value:
        sign = -1 if descending else 1
        return sorted(evaluation.vector(arguments[0]), key=lambda s: (s.value != s.value, sign * s.value))

    return sort


def _labelled(function: Callable[..., Vector]) -> Callable[[Evaluation, list[Node]], Value]:
    def apply(evaluation: Evaluation, arguments: list[Node]) -> Value:
        vector, *texts = arguments
        return function(evaluation.vector(vector), *(evaluation.value(text) for text in texts))

    return apply


SPECIAL: dict[str, Callable[[Evaluation, list[Node]], Value]] = {
    "time": lambda evaluation, _: evaluation.at / 1000,
    "vector": _vector,
    "scalar": _scalar,
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
    "absent": lambda evaluation, args: evaluation.absent(args[0], bool(evaluation.vector(args[0]))),
    "absent_over_time": lambda evaluation, args: evaluation.absent(args[0], bool(evaluation.matrix(_bare(args[0])))),
    "timestamp": lambda evaluation, args: evaluation.timestamps(args[0]),
    "histogram_quantile": lambda evaluation, args: histogram_quantile(
        evaluation.number(args[0]), evaluation.vector(args[1])
    ),
    "label_replace": _labelled(label_replace),
    "label_join": _labelled(label_join),
}


def _bare(node: Node) -> Node:
    while type(node).__name__ == "ParenExpr":
        node = node.expr
    return node


def _milliseconds(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration.total_seconds() * 1000)


def _matcher(matcher: Node) -> Matcher:
    kinds = {"Equal": Op.EQUAL, "NotEqual": Op.NOT_EQUAL, "Re": Op.MATCHES, "NotRe": Op.NOT_MATCHES}
    return Matcher(matcher.name, kinds[str(matcher.op).rpartition(".")[2]], matcher.value)


def _matching(modifier: Node) -> Matching:
    if modifier is None:
        return Matching()
    card = str(modifier.card).rpartition(".")[2]
    found = modifier.matching
    return Matching(
        on=found is not None and str(found.type).endswith("Include"),
        labels=tuple(found.labels) if found is not None else (),
        many={"ManyToOne": "left", "OneToMany": "right"}.get(card, ""),
        include=tuple(modifier.group_labels or ()),
        as_bool=bool(modifier.return_bool),
    )
