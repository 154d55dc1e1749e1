"""Binary operators and aggregations of PromQL, on values that are already evaluated.

Vector matching (on, ignoring, group_left, group_right) follows Prometheus' rules, including what it refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import chain

import msgspec

from gradatim.sim.promql_values import QueryError, Sample, Vector, label, nameless, only, relabelled, without
from gradatim.sim.series import NAME, Labels

SET_OPERATORS = frozenset({"and", "or", "unless"})


class Matching(msgspec.Struct, frozen=True):
    """How the elements of two vectors find each other."""

    on: bool = False
    labels: tuple[str, ...] = ()
    many: str = ""
    """Which side may have several elements per group: `left`, `right` or neither."""
    include: tuple[str, ...] = ()
    as_bool: bool = False

    def signature(self, labels: Labels) -> Labels:
        """What must be equal for two elements to match."""
        return only(labels, self.labels) if self.on else without(labels, (NAME, *self.labels))


def divide(left: float, right: float) -> float:
    """Division that answers NaN or infinity instead of raising."""
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1.0, right)
    return left / right


def modulo(left: float, right: float) -> float:
    """The remainder with the sign of the dividend."""
    if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def power(left: float, right: float) -> float:
    """Power that answers NaN or infinity instead of raising or leaving the real numbers."""
    try:
        return math.pow(left, right)
    except OverflowError:
        negative = left < 0 and math.fmod(right, 2) in (1.0, -1.0)
        return -math.inf if negative else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divide,
    "%": modulo,
    "^": power,
    "atan2": math.atan2,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}


def scalars(operator: str, left: float, right: float) -> float:
    """Two scalars."""
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](left, right)
    return float(COMPARISONS[operator](left, right))


def vector_with_scalar(operator: str, vector: Vector, scalar: float, swapped: bool, as_bool: bool) -> Vector:
    """A vector and a scalar; `swapped` when the scalar stood on the left."""
    result: Vector = []
    for labels, value in vector:
        left, right = (scalar, value) if swapped else (value, scalar)
        if operator in ARITHMETIC:
            result.append(Sample(nameless(labels), ARITHMETIC[operator](left, right)))
        elif as_bool:
            result.append(Sample(nameless(labels), float(COMPARISONS[operator](left, right))))
        elif COMPARISONS[operator](left, right):
            result.append(Sample(labels, value))
    return result


def sets(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """The set operators and, or, unless."""
    if operator == "or":
        seen = {matching.signature(sample.labels) for sample in left}
        return left + [sample for sample in right if matching.signature(sample.labels) not in seen]
    there = {matching.signature(sample.labels) for sample in right}
    wanted = operator == "and"
    return [sample for sample in left if (matching.signature(sample.labels) in there) is wanted]


def vectors(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """Two vectors, element by element."""
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    partners = _partners(one, matching, "left" if swapped else "right")
    result: Vector = []
    matched: dict[Labels, set[Labels]] = {}
    for sample in many:
        signature = matching.signature(sample.labels)
        partner = partners.get(signature)
        if partner is None:
            continue
        pair = (partner.value, sample.value) if swapped else (sample.value, partner.value)
        value = _combine(operator, pair, matching.as_bool)
        if value is None:
            continue
        labels = _result_labels(operator, sample.labels, partner.labels, matching)
        seen = matched.setdefault(signature, set())
        if labels in seen or (seen and not matching.many):
            raise QueryError(
                "multiple matches for labels: grouping labels must ensure unique matches"
                if matching.many
                else "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        seen.add(labels)
        result.append(Sample(labels, value))
    return result


def _partners(one: Vector, matching: Matching, side: str) -> dict[Labels, Sample]:
    partners: dict[Labels, Sample] = {}
    for sample in one:
        signature = matching.signature(sample.labels)
        if signature in partners:
            raise QueryError(
                f"found duplicate series for the match group {_spell(signature)} "
                f"on the {side} hand-side of the operation: "
                f"[{_spell(sample.labels)}, {_spell(partners[signature].labels)}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
        partners[signature] = sample
    return partners


def _spell(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def _combine(operator: str, pair: tuple[float, float], as_bool: bool) -> float | None:
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](*pair)
    kept = COMPARISONS[operator](*pair)
    if as_bool:
        return float(kept)
    return pair[0] if kept else None


def _result_labels(operator: str, many: Labels, one: Labels, matching: Matching) -> Labels:
    labels = nameless(many) if operator in ARITHMETIC or matching.as_bool else many
    if not matching.many:
        return only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    return relabelled(labels, ((name, label(one, name)) for name in matching.include))


def quantile(share: float, values: Sequence[float]) -> float:
    """The quantile of some values, interpolated between neighbours."""
    if not values or math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    ordered = sorted(values, key=_nan_first)
    rank = share * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def _nan_first(value: float) -> tuple[bool, float]:
    return (False, 0.0) if math.isnan(value) else (True, value)


def variance(values: Sequence[float]) -> float:
    """The population variance."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


def smallest(values: Sequence[float]) -> float:
    """The least value; NaN only if there is nothing else."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def largest(values: Sequence[float]) -> float:
    """The greatest value; NaN only if there is nothing else."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


REDUCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": smallest,
    "max": largest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}


def group_key(labels: Labels, names: Collection[str], by: bool) -> Labels:
    """The group an element belongs to."""
    return only(labels, names) if by else without(labels, (NAME, *names))


def aggregate(operator: str, vector: Vector, names: Collection[str], by: bool, parameter: float | str) -> Vector:
    """Reduce a vector group by group."""
    groups: dict[Labels, Vector] = {}
    for sample in vector:
        groups.setdefault(group_key(sample.labels, names, by), []).append(sample)
    if operator in ("topk", "bottomk"):
        return list(chain.from_iterable(_ranked(operator, members, float(parameter)) for members in groups.values()))
    if operator == "count_values":
        return _count_values(groups, str(parameter))
    if operator == "quantile":
        share = float(parameter)
        return [Sample(key, quantile(share, [s.value for s in members])) for key, members in groups.items()]
    if operator not in REDUCTIONS:
        raise QueryError(f"aggregation {operator!r} is not supported here", "bad_data")
    reduce = REDUCTIONS[operator]
    return [Sample(key, float(reduce([s.value for s in members]))) for key, members in groups.items()]


def _ranked(operator: str, members: Vector, count: float) -> Vector:
    sign = -1 if operator == "topk" else 1
    ordered = sorted(members, key=lambda sample: (math.isnan(sample.value), sign * sample.value))
    return ordered[: max(0, int(count))]


def _count_values(groups: dict[Labels, Vector], name: str) -> Vector:
    counts: dict[Labels, int] = {}
    for key, members in groups.items():
        for sample in members:
            labels = relabelled(key, [(name, spell_number(sample.value))])
            counts[labels] = counts.get(labels, 0) + 1
    return [Sample(labels, float(count)) for labels, count in counts.items()]


def spell_number(value: float) -> str:
    """A number as Prometheus writes it: shortest, never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = _without_exponent(text)
    return text.removesuffix(".0")


def _without_exponent(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.removeprefix("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"
