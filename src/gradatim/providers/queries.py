"""The built-in checks as PromQL, in the shapes that several meshes share.

Texts are Flagger's, blanks included: recordings, dashboards and scripted Prometheus servers know them. A mesh's own
series stand in its file, except for `HTTP`, which asks the applications and serves meshes without series of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradatim.ports.mesh import Queries, QueryScope


def ratio(series: str, matchers: Sequence[str], good: str, interval: str, *, before_last: bool = False) -> str:
    """The share of good requests in percent; `good` comes last among the matchers, or before the last one."""
    place = len(matchers) - 1 if before_last else len(matchers)
    fine = [*matchers[:place], good, *matchers[place:]]
    return f" {_sum(series, fine, interval)} / {_sum(series, matchers, interval)} * 100"


def p99(buckets: str, matchers: Sequence[str], interval: str, factor: str = "") -> str:
    """The 99th percentile of a histogram; `factor` (such as ` * 1000`) is appended."""
    rate = f"rate( {buckets}{{ {', '.join(matchers)} }}[{interval}] )"
    return f" histogram_quantile( 0.99, sum( {rate} ) by (le) ){factor}"


def mean(series: str, matchers: Sequence[str], interval: str, factor: str = "") -> str:
    """The mean of a histogram or summary, whose `_sum` and `_count` are read; `factor` is appended."""
    total, count = _sum(f"{series}_sum", matchers, interval), _sum(f"{series}_count", matchers, interval)
    return f" {total} / {count}{factor}"


def pods(scope: QueryScope) -> str:
    """The matcher for the target's pods and not the primary's, whose names have one word more.

    Those of a DaemonSet have one suffix, all others two.
    """
    suffix = "[0-9a-zA-Z]+"
    suffixes = suffix if scope.kind == "DaemonSet" else f"{suffix}(-{suffix})"
    return f'kubernetes_pod_name=~"{scope.target}-{suffixes}"'


def _http(scope: QueryScope) -> tuple[str, str]:
    return f'kubernetes_namespace="{scope.namespace}"', pods(scope)


def _one_side(scope: QueryScope, *, primary: bool) -> tuple[str, ...]:
    """The matchers for the pods of the primary, or for those of the target, whatever its kind."""
    theirs = f'"{scope.target}-primary-.+"'
    matchers = (
        (f"kubernetes_pod_name=~{theirs}",)
        if primary
        else (f'kubernetes_pod_name=~"{scope.target}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)?"', f"kubernetes_pod_name!~{theirs}")
    )
    return f'kubernetes_namespace="{scope.namespace}"', *matchers


HTTP = Queries(
    success_rate=lambda scope: ratio(
        "http_request_duration_seconds_count", _http(scope), 'status!~"5.*"', scope.interval
    ),
    duration=lambda scope: p99("http_request_duration_seconds_bucket", _http(scope), scope.interval),
    requests=lambda scope, primary: counters("http_request_duration_seconds_count", _one_side(scope, primary=primary)),
    duration_in_seconds=True,
)
"""Histograms of the applications, scraped with the labels `kubernetes_namespace` and `kubernetes_pod_name`."""


def counters(series: str, matchers: Sequence[str]) -> str:
    """A selector of counters as they are."""
    return f"{series}{{ {', '.join(matchers)} }}"


def _sum(series: str, matchers: Sequence[str], interval: str) -> str:
    return f"sum( rate( {series}{{ {', '.join(matchers)} }}[{interval}] ) )"
