"""The operator's own metrics: Flagger's names and labels for releases, and ours for the operator's health.

Rendered by hand from plain mappings: with thousands of Canaries a client library's registry takes seconds a scrape.
Series of a Canary that is gone go with it. Source of the text format: Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from math import isfinite

from gradatim.api.canary import Canary, Metric
from gradatim.api.status import CanaryStatus, Phase
from gradatim.core import names
from gradatim.core.strategy import strategy_of
from gradatim.core.weights import Routes

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[tuple[str, str], ...]


class Telemetry:
    """All series, ready to be rendered."""

    def __init__(self, version: str, mesh_provider: str) -> None:
        self._info = (("version", version), ("mesh_provider", mesh_provider))
        self._status: dict[Labels, float] = {}
        self._weight: dict[Labels, float] = {}
        self._analysis: dict[Labels, float] = {}
        self._successes: dict[Labels, float] = {}
        self._failures: dict[Labels, float] = {}
        self._duration: dict[Labels, list[float]] = {}
        self._sharers: dict[Labels, set[str]] = {}
        """Canaries by the labels of their series, which do not tell kinds of targets apart."""
        self._total: Callable[[], Mapping[str, int]] = dict
        self.health: Callable[[], Iterable[tuple[str, str, str, float]]] = tuple
        """Further series as (name, type, help, value), asked at every scrape."""

    def census(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Where the number of Canaries per namespace comes from."""
        self._total = count

    def observe(self, canary: Canary, before: CanaryStatus, after: CanaryStatus, weights: Routes | None) -> None:
        """Note what one plan recorded."""
        self._sharers.setdefault(_labels(canary), set()).add(canary.name)
        self._status[_labels(canary)] = {Phase.PROGRESSING: 0.0, Phase.FAILED: 2.0}.get(after.phase, 1.0)
        if weights is not None:
            self._weight[_workload(canary, names.primary_workload(canary))] = float(weights.primary)
            self._weight[_workload(canary, canary.target)] = float(weights.canary)
        ended = self._ended(before, after)
        if ended is not None:
            skipped = canary.spec.skip_analysis and after.phase is Phase.SUCCEEDED
            labels = (
                *_labels(canary),
                ("deployment_strategy", strategy_of(canary.spec.analysis).value),
                ("analysis_status", "skipped" if skipped else "completed"),
            )
            ended[labels] = ended.get(labels, 0.0) + 1

    def _ended(self, before: CanaryStatus, after: CanaryStatus) -> dict[Labels, float] | None:
        """Where an end is counted: a promotion, or a failure. A release that was called off or withdrawn is neither."""
        withdrawn = before.phase is Phase.WAITING and before.history == after.history
        if after.phase is Phase.SUCCEEDED and before.phase is Phase.FINALISING:
            return self._successes
        if after.phase is Phase.FAILED and before.phase is not Phase.FAILED and not withdrawn:
            return self._failures
        return None

    def measured(self, canary: Canary, metric: Metric, value: float) -> None:
        """Note the value of a check; durations come in milliseconds and are shown in seconds."""
        shown = value / 1000 if metric.name == "request-duration" else value
        self._analysis[(*_labels(canary), ("metric", metric.name))] = shown

    def lasted(self, canary: Canary, seconds: float) -> None:
        """Note how long one tick of an analysis took."""
        counts = self._duration.setdefault(_labels(canary), [0.0] * (len(BUCKETS) + 2))
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def forget(self, canary: Canary) -> None:
        """Drop every series of a Canary that is gone, unless another one goes on with them."""
        sharers = self._sharers.get(_labels(canary), set())
        sharers.discard(canary.name)
        if sharers:
            return
        self._sharers.pop(_labels(canary), None)
        mine = set(_labels(canary))
        workloads = {names.primary_workload(canary), canary.target}
        for series in (self._status, self._analysis, self._successes, self._failures, self._duration):
            for labels in [labels for labels in series if mine <= set(labels)]:
                del series[labels]
        for workload in workloads:
            self._weight.pop(_workload(canary, workload), None)

    def render(self) -> str:
        """The whole page."""
        lines: list[str] = []
        _family(lines, "flagger_info", "gauge", "Information about the operator.", {self._info: 1.0})
        total: dict[Labels, float] = {
            (("namespace", namespace),): float(count) for namespace, count in self._total().items()
        }
        _family(lines, "flagger_canary_total", "gauge", "Canaries known, by namespace.", total)
        text = "Last known status of a canary: 0 running, 1 successful, 2 failed."
        _family(lines, "flagger_canary_status", "gauge", text, self._status)
        _family(lines, "flagger_canary_weight", "gauge", "Share of the traffic, in percent.", self._weight)
        _family(lines, "flagger_canary_metric_analysis", "gauge", "Last value of a check.", self._analysis)
        _family(lines, "flagger_canary_successes_total", "counter", "Promotions.", self._successes)
        _family(lines, "flagger_canary_failures_total", "counter", "Rollbacks.", self._failures)
        self._histogram(lines)
        for name, kind, text, value in self.health():
            _family(lines, name, kind, text, {(): value})
        return "\n".join(lines) + "\n"

    def _histogram(self, lines: list[str]) -> None:
        name = "flagger_canary_duration_seconds"
        lines += [f"# HELP {name} Seconds spent on one tick of an analysis.", f"# TYPE {name} histogram"]
        for labels, counts in sorted(self._duration.items()):
            seen = 0.0
            for bound, count in zip((*map(repr, BUCKETS), "+Inf"), counts, strict=False):
                seen += count
                lines.append(_line(f"{name}_bucket", (*labels, ("le", bound)), seen))
            lines += [_line(f"{name}_sum", labels, counts[-1]), _line(f"{name}_count", labels, seen)]


def _labels(canary: Canary) -> Labels:
    return (("name", canary.target), ("namespace", canary.namespace))


def _workload(canary: Canary, workload: str) -> Labels:
    return (("workload", workload), ("namespace", canary.namespace))


def _family(lines: list[str], name: str, kind: str, text: str, series: Mapping[Labels, float]) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    lines += [_line(name, labels, value) for labels, value in sorted(series.items())]


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    shown = repr(value).replace("inf", "+Inf").replace("-+", "-")
    if isfinite(value) and value == int(value):
        shown = str(int(value))
    return f"{name}{{{inner}}} {shown}" if inner else f"{name} {shown}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
