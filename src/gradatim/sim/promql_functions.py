"""PromQL's functions: over windows of one series, over single values, over buckets and over labels.

Rate extrapolation and the interpolation within buckets follow Prometheus' algorithms, as of 2.42.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from gradatim.sim.promql_operators import largest, quantile, smallest, variance
from gradatim.sim.promql_values import QueryError, Sample, Vector, Window, label, relabelled, without
from gradatim.sim.series import NAME, Labels, anchored

# --- over the samples of one series -------------------------------------------------------------------------------


def _extrapolated(window: Window, counter: bool, per_second: bool) -> float | None:
    """The growth over a range, stretched to its edges where the samples come close enough to them."""
    times, values = window.times, window.values
    if len(values) < 2:
        return None
    growth = values[-1] - values[0]
    if counter:
        growth += sum(before for before, after in pairwise(values) if after < before)
    sampled = (times[-1] - times[0]) / 1000
    between = sampled / (len(values) - 1)
    to_start, to_end = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
    if counter and growth > 0 and values[0] >= 0:
        # A counter is never below zero, so it cannot have begun before it was zero.
        to_start = min(to_start, sampled * (values[0] / growth))
    near = between * 1.1
    covered = sampled + sum(gap if gap < near else between / 2 for gap in (to_start, to_end))
    factor = covered / sampled
    if per_second:
        factor /= (window.end - window.start) / 1000
    return growth * factor


def _last_two(window: Window, counter: bool, per_second: bool) -> float | None:
    if len(window.values) < 2:
        return None
    before, after = window.values[-2:]
    change = after if counter and after < before else after - before
    return change / ((window.times[-1] - window.times[-2]) / 1000) if per_second else change


def _line(window: Window, origin: float) -> tuple[float, float] | None:
    """Slope per second and value at `origin` (ms) of the line through the samples (least squares)."""
    count = len(window.values)
    if count < 2:
        return None
    first = window.values[0]
    if all(value == first for value in window.values):
        return (math.nan, math.nan) if math.isinf(first) else (0.0, first)
    xs = [(time - origin) / 1000 for time in window.times]
    mean_x, mean_y = sum(xs) / count, sum(window.values) / count
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, window.values, strict=True))
    slope = covariance / sum((x - mean_x) ** 2 for x in xs)
    return slope, mean_y - slope * mean_x


def _deriv(window: Window) -> float | None:
    line = _line(window, window.times[0])
    return None if line is None else line[0]


def _predict(window: Window, seconds: float) -> float | None:
    line = _line(window, window.end)
    return None if line is None else line[1] + line[0] * seconds


WINDOWS: dict[str, Callable[..., float | None]] = {
    "rate": lambda window: _extrapolated(window, counter=True, per_second=True),
    "increase": lambda window: _extrapolated(window, counter=True, per_second=False),
    "delta": lambda window: _extrapolated(window, counter=False, per_second=False),
    "irate": lambda window: _last_two(window, counter=True, per_second=True),
    "idelta": lambda window: _last_two(window, counter=False, per_second=False),
    "deriv": _deriv,
    "predict_linear": _predict,
    "changes": lambda window: float(sum(_differ(a, b) for a, b in pairwise(window.values))),
    "resets": lambda window: float(sum(after < before for before, after in pairwise(window.values))),
    "avg_over_time": lambda window: sum(window.values) / len(window.values),
    "sum_over_time": lambda window: sum(window.values),
    "min_over_time": lambda window: smallest(window.values),
    "max_over_time": lambda window: largest(window.values),
    "count_over_time": lambda window: float(len(window.values)),
    "last_over_time": lambda window: window.values[-1],
    "present_over_time": lambda _: 1.0,
    "stddev_over_time": lambda window: math.sqrt(variance(window.values)),
    "stdvar_over_time": lambda window: variance(window.values),
    "quantile_over_time": lambda window, share: quantile(share, window.values),
}
"""By name: window, then the scalar arguments. None: this series has no answer. Windows are never empty."""

WINDOW_POSITION = {"quantile_over_time": 1}
"""Where the range vector stands among the arguments, when not first."""


def _differ(before: float, after: float) -> bool:
    return before != after and not (math.isnan(before) and math.isnan(after))


# --- over single values -------------------------------------------------------------------------------------------


def _round(value: float, nearest: float = 1.0) -> float:
    inverse = 1 / nearest if nearest else math.inf
    scaled = value * inverse
    return scaled if not math.isfinite(scaled) else math.floor(scaled + 0.5) / inverse


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(rounding(value)) if math.isfinite(value) else value


def _log(logarithm: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: logarithm(value) if value > 0 else (-math.inf if value == 0 else math.nan)


def _clamp(value: float, low: float, high: float) -> float:
    return value if math.isnan(value) else max(low, min(high, value))


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


MATHS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "round": _round,
    "exp": _exp,
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "sgn": lambda value: value if math.isnan(value) else float((value > 0) - (value < 0)),
    "clamp": _clamp,
    "clamp_min": lambda value, low: _clamp(value, low, math.inf),
    "clamp_max": lambda value, high: _clamp(value, -math.inf, high),
}
"""By name: one element's value, then the scalar arguments."""


# --- over buckets -------------------------------------------------------------------------------------------------


def histogram_quantile(share: float, vector: Vector) -> Vector:
    """The quantile of every histogram whose cumulative buckets are in the vector."""
    histograms: dict[Labels, dict[float, float]] = {}
    for labels, count in vector:
        try:
            bound = float(label(labels, "le"))
        except ValueError:
            continue
        buckets = histograms.setdefault(without(labels, (NAME, "le")), {})
        buckets[bound] = buckets.get(bound, 0.0) + count
    return [Sample(labels, bucket_quantile(share, sorted(buckets.items()))) for labels, buckets in histograms.items()]


def bucket_quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """The quantile of one histogram given as (upper bound, cumulative count) by rising bound."""
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    if len(buckets) < 2 or buckets[-1][0] != math.inf:
        return math.nan
    bounds = [bound for bound, _ in buckets]
    counts = _rising([count for _, count in buckets])
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = share * counts[-1]
    found = next((index for index, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if found == len(counts) - 1:
        return bounds[-2]
    if found == 0 and bounds[0] <= 0:
        return bounds[0]
    below_bound, below_count = (bounds[found - 1], counts[found - 1]) if found else (0.0, 0.0)
    inside = counts[found] - below_count
    if inside == 0:
        return math.nan
    return below_bound + (bounds[found] - below_bound) * ((rank - below_count) / inside)


def _rising(counts: list[float]) -> list[float]:
    """Cumulative counts never fall; samples of a running scrape can make them seem to."""
    highest = -math.inf
    result = []
    for count in counts:
        highest = max(highest, count)
        result.append(highest)
    return result


# --- over labels --------------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def expand(template: str, found: re.Match[str]) -> str:
    """Fill `$1`, `${1}`, `$name` and `$$` in a replacement; unknown groups are empty."""

    def fill(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(fill, template)


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set a label from a match in another one; elements that do not match stay as they are."""
    _check_label(target, "destination label name in label_replace()")
    result: Vector = []
    for sample in vector:
        found = anchored(pattern).match(label(sample.labels, source))
        if found is None:
            result.append(sample)
        else:
            result.append(Sample(relabelled(sample.labels, [(target, expand(replacement, found))]), sample.value))
    return result


def label_join(vector: Vector, target: str, separator: str, *sources: str) -> Vector:
    """Set a label to the joined values of others."""
    _check_label(target, "destination label name in label_join()")
    return [
        Sample(relabelled(labels, [(target, separator.join(label(labels, name) for name in sources))]), value)
        for labels, value in vector
    ]


def _check_label(name: str, what: str) -> None:
    if not _LABEL_NAME.fullmatch(name):
        raise QueryError(f"invalid {what}: {name}")
