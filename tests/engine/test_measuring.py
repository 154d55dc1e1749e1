"""What a measurement says: numbers, ratios without one of their sides, and how many samples a value stands on."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gradatim.api.decode import decode_canary, decode_metric_template
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.settings import Settings
from gradatim.engine.measuring import Measuring
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse
from gradatim.ports.mesh import QueryScope
from gradatim.providers import registry

SCOPE = QueryScope(
    name="shop",
    namespace="test",
    kind="Deployment",
    target="shop",
    service="shop",
    ingress="web",
    route="shop",
    interval="2m",
)
QUERIES = registry.mesh("nginx").queries
RATE, DURATION = QUERIES.success_rate(SCOPE), QUERIES.duration(SCOPE)
ALL = 'sum( rate( nginx_ingress_controller_requests{ namespace="test", ingress="web", canary!="" }[2m] ) )'


class Prometheus:
    """Answers with a number by query; what it does not know has no value, `down` is no answer at all."""

    def __init__(self, answers: dict[str, float], down: str = "") -> None:
        self.answers, self.down = answers, down
        self.asked: list[str] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        (query,) = parse_qs(urlsplit(request.url).query, keep_blank_values=True)["query"]
        self.asked.append(query)
        if self.down and self.down in query:
            raise HttpFailure("connection refused", retryable=True)
        value = self.answers.get(query)
        result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return HttpResponse(200, (), json.dumps(body).encode())


class Library:
    """One template of a Prometheus without a login."""

    def template(self, namespace: str, name: str) -> Any:
        provider = {"type": "prometheus", "address": "http://other:9090"}
        spec = {"provider": provider, "query": 'errors{app="{{ target }}"}'}
        return decode_metric_template({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


async def measured(prometheus: Prometheus, *, template: bool = False, **metric: Any) -> object:
    spec = {
        "provider": "nginx",
        "targetRef": {"kind": "Deployment", "name": "shop"},
        "ingressRef": {"kind": "Ingress", "name": "web"},
        "analysis": {"metrics": [{"interval": "2m", **metric}]},
    }
    canary = decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})
    site = SimpleNamespace(
        canary=canary,
        settings=Settings(metrics_server="http://prometheus:9090"),
        providers=SimpleNamespace(mesh=registry.mesh("nginx")),
    )
    measuring = Measuring(Library(), prometheus)  # type: ignore[arg-type]
    return await measuring.measure(site, canary.spec.analysis.metrics[0], 0.0, template=template)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_nobody_counts_what_nobody_asked_for() -> None:
    prometheus = Prometheus({RATE: 99.5})
    assert await measured(prometheus, name="request-success-rate") == Value(99.5)
    assert prometheus.asked == [RATE]


@pytest.mark.asyncio
async def test_built_in_checks_count_the_requests_of_their_window() -> None:
    prometheus = Prometheus({RATE: 99.5, DURATION: 120.0, ALL: 0.75})
    assert await measured(prometheus, name="request-success-rate", minSamples=50) == Value(99.5, samples=90)
    assert await measured(prometheus, name="request-duration", minSamples=50) == Value(120.0, samples=90)
    assert prometheus.asked == [RATE, ALL, DURATION, ALL]


@pytest.mark.asyncio
async def test_queries_of_ones_own_say_how_they_are_counted() -> None:
    prometheus = Prometheus({'errors{app="shop"}': 3.0, 'count(all{app="shop"})': 12.0})
    own = {"name": "errors", "minSamples": 5, "samplesQuery": 'count(all{app="{{ target }}"})'}
    found = await measured(prometheus, **own, query='errors{app="{{ target }}"}')
    assert found == Value(3.0, samples=12)
    assert await measured(prometheus, template=True, **own, templateRef={"name": "t"}) == found


@pytest.mark.asyncio
async def test_a_count_without_a_value_is_no_sample() -> None:
    prometheus = Prometheus({RATE: 100.0})
    assert await measured(prometheus, name="request-success-rate", minSamples=50) == Value(100.0, samples=0)


@pytest.mark.asyncio
async def test_no_value_needs_no_count() -> None:
    prometheus = Prometheus({})
    found = await measured(prometheus, name="errors", query="up", minSamples=5, samplesQuery="count(up)")
    assert found == NoValues()
    assert prometheus.asked == ["up"]


@pytest.mark.asyncio
async def test_a_count_that_cannot_be_asked_for_is_no_measurement() -> None:
    prometheus = Prometheus({"up": 1.0}, down="count")
    own = {"name": "errors", "minSamples": 5, "samplesQuery": "count(up)"}
    found = await measured(prometheus, **own, query="up")
    assert found == QueryFailed("Prometheus query failed for errors: request failed: connection refused")
    wrong = await measured(prometheus, **{**own, "samplesQuery": "{{ what }}"}, query="up")
    assert isinstance(wrong, QueryFailed)
    assert "not defined" in wrong.message


GOOD = (
    'sum( rate( nginx_ingress_controller_requests{ namespace="test", ingress="web", canary!="", status!~"5.*" }[2m] ) )'
)


@pytest.mark.asyncio
async def test_a_release_that_has_only_answered_errors_has_a_success_rate_of_zero() -> None:
    prometheus = Prometheus({ALL: 0.75})
    assert await measured(prometheus, name="request-success-rate") == Value(0.0)
    assert prometheus.asked == [RATE, ALL, GOOD]


@pytest.mark.asyncio
async def test_a_release_without_traffic_has_no_success_rate() -> None:
    assert await measured(Prometheus({}), name="request-success-rate") == NoValues()
    assert await measured(Prometheus({ALL: 0.0}), name="request-success-rate") == NoValues()


@pytest.mark.parametrize(
    ("query", "value"),
    [("errors / all * 100", 0.0), ("100 * (errors / all)", 0.0), ("100 - errors / all * 100", 100.0)],
)
@pytest.mark.asyncio
async def test_a_healthy_application_has_no_errors_although_it_has_no_series_of_them(query: str, value: float) -> None:
    found = await measured(Prometheus({"all": 3.0}), name="errors", query=query)
    assert found == Value(value)


@pytest.mark.asyncio
async def test_sides_of_a_ratio_that_do_not_meet_are_no_zero() -> None:
    """Both are there, and there is no quotient: their labels differ, and would for a release without errors too."""
    found = await measured(Prometheus({"all": 3.0, "errors": 2.0}), name="errors", query="errors / all")
    assert found == NoValues()


@pytest.mark.asyncio
async def test_errors_are_not_counted_as_zero_when_their_number_cannot_be_asked_for() -> None:
    found = await measured(Prometheus({"all": 3.0}, down="errors"), name="errors", query="errors / all")
    assert isinstance(found, QueryFailed)


@pytest.mark.asyncio
async def test_a_query_that_cannot_be_rendered_is_not_sent() -> None:
    prometheus = Prometheus({})
    found = await measured(prometheus, name="errors", query="errors{{ what }}")
    assert isinstance(found, QueryFailed)
    assert not prometheus.asked
