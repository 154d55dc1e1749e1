"""Judging one tick: rollout hooks, then metrics in list order, templates last; the first that does not pass ends it.

Five answers are told apart. A value within its range *passes*, one outside *fails*. The others are no verdict on the
release, and a policy says what becomes of them: *no data* counts as a failure unless told otherwise, since a release
that nobody uses cannot be vouched for; a value of too few samples is *inconclusive*, and a source that cannot be asked
*cannot measure*: both halt without counting, until the progress deadline of the Canary is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias, assert_never

import msgspec

from gradatim.api.canary import Metric
from gradatim.api.durations import format_duration
from gradatim.api.status import CheckResult, Phase
from gradatim.core import conditions, gates, names, news
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.news import Event
from gradatim.core.timing import interval
from gradatim.core.verdict import Known, Measure

FAILED, PASSED, NO_DATA, UNKNOWN, INCONCLUSIVE = "failed", "passed", "no data", "cannot measure", "inconclusive"
FAIL, HOLD, PASS = "fail", "hold", "pass"
POLICIES = (FAIL, HOLD, PASS)
DEFAULT_POLICIES = {NO_DATA: FAIL, INCONCLUSIVE: HOLD, UNKNOWN: HOLD}
"""Flagger's outcome where users rely on it, and none where it is wrong about the release."""


class Passed(msgspec.Struct, frozen=True):
    """Every check of the tick passed."""

    results: tuple[CheckResult, ...] = ()


class Halted(msgspec.Struct, frozen=True):
    """A check did not pass. `counts` is False when nothing was learned, `fatal` when that has lasted too long."""

    news: tuple[Event, ...]
    why: str
    results: tuple[CheckResult, ...] = ()
    counts: bool = True
    fatal: bool = False


Judgement: TypeAlias = Passed | Halted


def analyse(known: Known) -> Judgement:
    """All checks of one tick."""
    verdict = gates.all_pass(known, "rollout", Phase.PROGRESSING)
    now = conditions.timestamp(known.now)
    results = tuple(CheckResult(name=hook, verdict=PASSED, time=now) for hook in verdict.passed)
    if verdict.failed is not None:
        results = (*results, CheckResult(name=verdict.failed.name, verdict=FAILED, time=now))
        failure = news.external_check_failed(known.canary, verdict.failed.name, verdict.error)
        return Halted((failure,), why=failure.text, results=(*results, *_unasked(known, results)))
    for question, metric in _questions(known):
        measured = known.get(question)
        complaint = _complaint(known, metric, measured, template=question.template)
        result = _result(known, metric, measured, complaint)
        results = (*results, result)
        if complaint is not None and (policy := policy_of(metric, result.verdict)) != PASS:
            return _halted(known, complaint, policy, results)
    return Passed(results)


def _questions(known: Known) -> Iterator[tuple[Measure, Metric]]:
    """What is measured, in Flagger's order: built-in checks and inline queries first, then templates."""
    metrics = known.canary.spec.analysis.metrics
    for index, metric in enumerate(metrics):
        if metric.built_in or metric.query:
            yield Measure(index), metric
    for index, metric in enumerate(metrics):
        if metric.template_ref is not None or not (metric.built_in or metric.query):
            yield Measure(index, template=True), metric


def policy_of(metric: Metric, verdict: str) -> str:
    """What becomes of a check with this verdict: `fail`, `hold` or `pass`."""
    wanted = {
        NO_DATA: metric.policies.no_data,
        INCONCLUSIVE: metric.policies.inconclusive,
        UNKNOWN: metric.policies.cannot_measure,
    }
    return wanted.get(verdict) or DEFAULT_POLICIES.get(verdict, FAIL)


def _halted(known: Known, complaint: str, policy: str, results: tuple[CheckResult, ...]) -> Halted:
    told = news.failure if results[-1].verdict == UNKNOWN else news.warning
    if policy == FAIL:
        return Halted((told(complaint),), why=complaint, results=(*results, *_unasked(known, results)))
    event = told(complaint, once=complaint, every=interval(known))
    return Halted((event,), why=complaint, results=results, counts=False, fatal=_held_too_long(known, results))


def _unasked(known: Known, results: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """Checks that held the run and were not asked this time, behind one that failed: their clocks start anew.

    Behind one that holds they run on, so that two which hold in turn do not hold for ever.
    """
    asked, now = {result.name for result in results}, conditions.timestamp(known.now)
    held = (_held(known, metric) for metric in known.canary.spec.analysis.metrics if metric.name not in asked)
    return tuple(msgspec.structs.replace(old, time=now) for old in held if old is not None)


def _held_too_long(known: Known, results: tuple[CheckResult, ...]) -> bool:
    """Whether this check has given no verdict for the whole progress deadline.

    The time of a result that holds the run is that of the first in a row, see `_since`.
    """
    since = conditions.seconds(results[-1].time)
    return since is not None and known.now - since >= known.canary.spec.progress_deadline


def _complaint(known: Known, metric: Metric, measured: Value | NoValues | QueryFailed, *, template: bool) -> str | None:
    """The event text of a check that does not pass; None when it passes."""
    match measured:
        case QueryFailed(message):
            return message
        case NoValues(message):
            return _no_values(known, metric, message, template=template)
        case Value(samples=int(samples)) if samples < metric.min_samples:
            head = f"Halt {known.canary.name}.{known.canary.namespace} advancement"
            return f"{head} {metric.name} has {samples} of the {metric.min_samples} samples that it needs"
        case Value(value):
            return _complained(known, metric, value, template=template)
        case never:
            assert_never(never)


def _no_values(known: Known, metric: Metric, message: str, *, template: bool) -> str:
    canary = known.canary
    if template:
        return f"Halt advancement no values found for custom metric: {metric.name}: {message}"
    if not metric.built_in:
        return f"Halt advancement no values found for metric: {metric.name}"
    flavour = names.flavour(canary, known.settings.mesh_provider)
    text = (
        f"Halt advancement no values found for {flavour} metric {metric.name} "
        f"probably {canary.target}.{canary.namespace} is not receiving traffic"
    )
    return f"{text}: running query failed: {message}" if metric.name == "request-success-rate" else text


def limits(metric: Metric) -> tuple[float | None, float | None]:
    """The inclusive range of a metric: `thresholdRange`, else the single deprecated bound."""
    if metric.threshold_range is not None:
        return metric.threshold_range.min, metric.threshold_range.max
    if metric.name == "request-success-rate":
        return metric.threshold, None
    return None, metric.threshold


def _range(metric: Metric, *, template: bool) -> tuple[float | None, float | None]:
    """The range as it is compared and told; a built-in duration's is one of whole milliseconds.

    A single bound of a template is a maximum, whatever the name of the metric.
    """
    if template and metric.threshold_range is None:
        return None, metric.threshold
    low, high = limits(metric)
    if template or metric.name != "request-duration":
        return low, high
    return None if low is None else _whole(low), None if high is None else _whole(high)


def _complained(known: Known, metric: Metric, value: float, *, template: bool) -> str | None:
    """The event text of a value outside of its range; None for one within."""
    low, high = _range(metric, template=template)
    duration = metric.name == "request-duration" and not template
    value = _whole(value) if duration else value
    if low is not None and value < low:
        bound, sign = low, "<"
    elif high is not None and value > high:
        bound, sign = high, ">"
    else:
        return None
    head = f"Halt {known.canary.name}.{known.canary.namespace} advancement"
    if template or not metric.built_in:
        return f"{head} {metric.name} {fixed(value)} {sign} {shortest(bound)}"
    if duration:
        return f"{head} request duration {_milliseconds(value)} {sign} {_milliseconds(bound)}"
    return f"{head} success rate {fixed(value)}% {sign} {shortest(bound)}%"


def fixed(number: float) -> str:
    """A value with two decimals, as Go writes it: `99.50`, `+Inf`."""
    return f"{number:.2f}" if math.isfinite(number) else f"{number:+}".replace("inf", "Inf")


def shortest(number: float) -> str:
    """A bound in its shortest decimal form: `99`, `99.5`."""
    return str(int(number)) if number == int(number) else repr(number)


def _whole(milliseconds: float) -> float:
    """A duration without fractions of a millisecond, as Flagger compares it; below one they are all there is."""
    return float(int(milliseconds)) if math.isfinite(milliseconds) and milliseconds >= 1 else milliseconds


def _milliseconds(value: float) -> str:
    """A duration in milliseconds as Go prints it."""
    return format_duration(value / 1000) if math.isfinite(value) else f"{value:g}"


def _result(
    known: Known, metric: Metric, measured: Value | NoValues | QueryFailed, complaint: str | None
) -> CheckResult:
    verdict = _verdict(metric, measured, complaint)
    result = CheckResult(name=metric.name, verdict=verdict, limit=_limit(metric), time=_since(known, metric, verdict))
    match measured:
        case Value(value, samples=int(samples)):
            counted = f"{samples} of at least {metric.min_samples}"
            return msgspec.structs.replace(result, value=fixed(value), samples=counted)
        case Value(value):
            return msgspec.structs.replace(result, value=fixed(value))
        case _:
            return result


def _verdict(metric: Metric, measured: Value | NoValues | QueryFailed, complaint: str | None) -> str:
    match measured:
        case Value(samples=int(samples)) if samples < metric.min_samples:
            return INCONCLUSIVE
        case Value():
            return FAILED if complaint else PASSED
        case NoValues():
            return NO_DATA
        case QueryFailed():
            return UNKNOWN
        case never:
            assert_never(never)


def _limit(metric: Metric) -> str:
    """The range in words."""
    low, high = limits(metric)
    parts = (
        None if low is None else f"at least {shortest(low)}",
        None if high is None else f"at most {shortest(high)}",
    )
    return " and ".join(filter(None, parts))


def _since(known: Known, metric: Metric, verdict: str) -> str:
    """When a check was made; of one that holds the run, when it began to."""
    before = _held(known, metric) if policy_of(metric, verdict) == HOLD else None
    return conditions.timestamp(known.now) if before is None else before.time


def _held(known: Known, metric: Metric) -> CheckResult | None:
    """What a check said last, if that held the run."""
    before = next((old for old in known.status.checks if old.name == metric.name), None)
    return before if before is not None and policy_of(metric, before.verdict) == HOLD else None
