"""The HTTP face of our Prometheus: parameters, JSON, errors."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gradatim.sim.prometheus import Prometheus
from gradatim.sim.scrape import Scraper, Target
from gradatim.sim.series import SeriesStore, labels_of


def filled() -> SeriesStore:
    """A counter that rises by one a second, for two codes."""
    store = SeriesStore()
    for second in range(60):
        for code in ("200", "500"):
            store.add(labels_of([("__name__", "requests_total"), ("code", code)]), second * 1000, float(second))
    return store


async def ask(method: str, path: str, **parameters: str) -> tuple[int, Any]:
    """One request to a fresh server, at second 59."""
    store = filled()
    target = Target("pods", "http://127.0.0.1:1/metrics", "hello-1")
    scraper = Scraper(store, lambda: [target], now=lambda: 59.0)
    await scraper.scrape()
    server = TestServer(Prometheus(store, scraper, now=lambda: 59.0).application())
    async with TestClient(server) as client:
        sent = {"params": parameters} if method == "GET" else {"data": parameters}
        response = await client.request(method, path, **sent)
        if response.content_type == "application/json":
            return response.status, await response.json()
        return response.status, await response.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_instant_query_answers_a_vector_at_the_given_time(method: str) -> None:
    status, answer = await ask(method, "/api/v1/query", query="sum(rate(requests_total[10s])) * 1.5", time="30.5")
    assert status == 200
    assert answer == {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [30.5, "3"]}]},
    }


@pytest.mark.asyncio
async def test_without_a_time_now_is_meant_and_rfc_3339_is_understood() -> None:
    _, now = await ask("GET", "/api/v1/query", query='requests_total{code="200"}')
    assert now["data"]["result"][0]["value"] == [59, "59"]
    _, then = await ask("GET", "/api/v1/query", query="scalar(sum(requests_total))", time="1970-01-01T00:00:20Z")
    assert then["data"] == {"resultType": "scalar", "result": [20, "40"]}


@pytest.mark.asyncio
async def test_no_series_is_an_empty_vector_and_a_selector_of_ranges_a_matrix() -> None:
    _, nothing = await ask("GET", "/api/v1/query", query="sum(rate(nothing[1m]))")
    assert nothing["data"] == {"resultType": "vector", "result": []}
    _, ranges = await ask("GET", "/api/v1/query", query='requests_total{code="500"}[1500ms]', time="3")
    assert ranges["data"]["resultType"] == "matrix"
    assert ranges["data"]["result"][0]["values"] == [[2, "2"], [3, "3"]]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("parameters", "status", "kind"),
    [
        ({}, 400, "bad_data"),
        ({"query": "sum("}, 400, "bad_data"),
        ({"query": "rate(requests_total)"}, 400, "bad_data"),
        ({"query": "1", "time": "yesterday"}, 400, "bad_data"),
        ({"query": "holt_winters(requests_total[1m], 0.5, 0.5)"}, 400, "bad_data"),
        ({"query": "requests_total + on () requests_total"}, 422, "execution"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_an_error_as_prometheus_says_it(
    parameters: dict[str, str], status: int, kind: str
) -> None:
    code, answer = await ask("GET", "/api/v1/query", **parameters)
    assert (code, answer["status"], answer["errorType"]) == (status, "error", kind)
    assert answer["error"]


@pytest.mark.asyncio
async def test_a_range_query_answers_points_at_every_step() -> None:
    _, answer = await ask("POST", "/api/v1/query_range", query="sum(requests_total)", start="10", end="20", step="5s")
    assert answer["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[10, "20"], [15, "30"], [20, "40"]]}],
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "0"},
        {"step": "soon"},
        {"end": "1"},
        {"start": ""},
        {"query": "m[1m]"},
        {"end": "99999", "step": "0.001"},
    ],
)
async def test_a_range_query_with_a_wrong_parameter_is_refused(wrong: dict[str, str]) -> None:
    given = {"query": "requests_total", "start": "10", "end": "20", "step": "5", **wrong}
    status, answer = await ask("GET", "/api/v1/query_range", **given)
    assert (status, answer["errorType"]) == (400, "bad_data")


@pytest.mark.asyncio
async def test_people_can_look_around() -> None:
    """Label names and values, series, targets and the probes that start scripts wait for."""
    assert (await ask("GET", "/api/v1/labels"))[1]["data"] == ["__name__", "code", "instance", "job"]
    assert (await ask("GET", "/api/v1/label/code/values"))[1]["data"] == ["200", "500"]
    _, found = await ask("GET", "/api/v1/series", **{"match[]": 'requests_total{code="500"}'})
    assert found["data"] == [{"__name__": "requests_total", "code": "500"}]
    assert (await ask("GET", "/api/v1/series", **{"match[]": "1 + 1"}))[0] == 400
    _, targets = await ask("GET", "/api/v1/targets")
    [target] = targets["data"]["activeTargets"]
    assert (target["health"], target["labels"]) == ("down", {"instance": "hello-1", "job": "pods"})
    assert (await ask("GET", "/-/ready"))[0] == 200
