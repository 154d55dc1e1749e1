"""The metrics page is what Prometheus reads, under Flagger's names, and forgets who is gone."""

from __future__ import annotations

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from gradatim.api.canary import Analysis, Canary, CanarySpec, Metric, ObjectRef
from gradatim.api.status import CanaryStatus, PastRelease, Phase
from gradatim.core.weights import Routes
from gradatim.engine.telemetry import Telemetry

SHOP = Canary("rollout", "test", CanarySpec(ObjectRef('sh"op', kind="Deployment"), Analysis(step_weight=10)))
LABELS = {"name": 'sh"op', "namespace": "test"}


def samples(telemetry: Telemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(telemetry.render())
        for sample in family.samples
    }


def of(series: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return series, frozenset(labels.items())


def test_a_release_is_seen_in_status_weight_counters_and_checks() -> None:
    telemetry = Telemetry("1", "nginx")
    telemetry.census(lambda: {"test": 2, "empty": 0})
    running = CanaryStatus(phase=Phase.PROGRESSING)
    telemetry.observe(SHOP, CanaryStatus(phase=Phase.INITIALIZED), running, Routes(80, 20))
    telemetry.measured(SHOP, Metric("request-duration"), 250.0)
    telemetry.measured(SHOP, Metric("errors"), 1.5)
    telemetry.lasted(SHOP, 0.3)
    telemetry.observe(SHOP, running, CanaryStatus(phase=Phase.FAILED), None)
    found = samples(telemetry)
    assert found[of("flagger_info", version="1", mesh_provider="nginx")] == 1
    assert found[of("flagger_canary_total", namespace="empty")] == 0
    assert found[of("flagger_canary_status", **LABELS)] == 2
    assert found[of("flagger_canary_weight", workload='sh"op', namespace="test")] == 20
    assert found[of("flagger_canary_weight", workload='sh"op-primary', namespace="test")] == 80
    assert found[of("flagger_canary_metric_analysis", metric="request-duration", **LABELS)] == 0.25
    assert found[of("flagger_canary_metric_analysis", metric="errors", **LABELS)] == 1.5
    ended = {"deployment_strategy": "canary", "analysis_status": "completed", **LABELS}
    assert found[of("flagger_canary_failures_total", **ended)] == 1
    assert found[of("flagger_canary_duration_seconds_bucket", le="0.5", **LABELS)] == 1
    assert found[of("flagger_canary_duration_seconds_bucket", le="0.25", **LABELS)] == 0
    assert found[of("flagger_canary_duration_seconds_count", **LABELS)] == 1


def test_a_status_that_stays_counts_no_second_end() -> None:
    telemetry = Telemetry("1", "nginx")
    failed = CanaryStatus(phase=Phase.FAILED)
    telemetry.observe(SHOP, CanaryStatus(phase=Phase.PROGRESSING), failed, None)
    telemetry.observe(SHOP, failed, failed, None)
    assert [value for (name, _), value in samples(telemetry).items() if name == "flagger_canary_failures_total"] == [1]


def test_what_was_called_off_or_withdrawn_is_neither_promoted_nor_failed() -> None:
    telemetry = Telemetry("1", "nginx")
    waiting, failed = CanaryStatus(phase=Phase.WAITING), CanaryStatus(phase=Phase.FAILED)
    succeeded = CanaryStatus(phase=Phase.SUCCEEDED)
    telemetry.observe(SHOP, CanaryStatus(phase=Phase.PROGRESSING), succeeded, None)
    telemetry.observe(SHOP, waiting, succeeded, None)
    telemetry.observe(SHOP, waiting, failed, None)
    assert not [name for name, _ in samples(telemetry) if name.endswith("_total")]
    telemetry.observe(SHOP, CanaryStatus(phase=Phase.FINALISING), succeeded, None)
    given_up = CanaryStatus(
        phase=Phase.FAILED, history=(PastRelease(revision="g1", outcome="Failed", reason="not approved", ended=""),)
    )
    telemetry.observe(SHOP, waiting, given_up, None)
    assert [value for (name, _), value in samples(telemetry).items() if name.endswith("_total")] == [1, 1]


def test_a_check_without_bounds_can_be_shown() -> None:
    """A quotient with nothing below it is infinite; the page is still one that can be read."""
    telemetry = Telemetry("1", "nginx")
    telemetry.measured(SHOP, Metric("up"), float("inf"))
    telemetry.measured(SHOP, Metric("down"), float("-inf"))
    telemetry.measured(SHOP, Metric("part"), 1e-05)
    shown = {
        dict(labels)["metric"]: value for (name, labels), value in samples(telemetry).items() if "analysis" in name
    }
    assert shown == {"up": float("inf"), "down": float("-inf"), "part": 1e-05}


def test_nothing_is_left_of_a_canary_that_is_gone() -> None:
    telemetry = Telemetry("1", "nginx")
    telemetry.observe(SHOP, CanaryStatus(), CanaryStatus(phase=Phase.SUCCEEDED), Routes(100, 0))
    telemetry.measured(SHOP, Metric("errors"), 1.0)
    telemetry.lasted(SHOP, 1)
    telemetry.forget(SHOP)
    assert {name for name, _ in samples(telemetry)} == {"flagger_info"}


def test_a_canary_that_is_gone_takes_no_series_of_another_with_a_target_of_the_same_name() -> None:
    telemetry = Telemetry("1", "nginx")
    target = ObjectRef('sh"op', kind="DaemonSet")
    daemons = msgspec.structs.replace(SHOP, name="agents", spec=CanarySpec(target, Analysis(iterations=2)))
    for canary in (SHOP, daemons):
        telemetry.observe(canary, CanaryStatus(), CanaryStatus(phase=Phase.SUCCEEDED), Routes(100, 0))
    telemetry.forget(daemons)
    assert {name for name, _ in samples(telemetry)} > {"flagger_canary_status", "flagger_canary_weight"}
    telemetry.forget(SHOP)
    assert {name for name, _ in samples(telemetry)} == {"flagger_info"}
