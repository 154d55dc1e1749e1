"""The scripted Prometheus and the scripted receiver do as they are told."""

from __future__ import annotations

import aiohttp
import pytest

from cluster.hooks import Hooks
from cluster.prometheus import NOTHING, Prometheus


async def value(session: aiohttp.ClientSession, url: str, query: str) -> str | None:
    async with session.get(f"{url}/api/v1/query", params={"query": query}) as got:
        result = (await got.json())["data"]["result"]
        return result[0]["value"][1] if result else None


@pytest.mark.asyncio
async def test_answers_depend_on_the_namespace_named_in_the_query() -> None:
    async with Prometheus() as prometheus, aiohttp.ClientSession() as session:
        prometheus.of("a").metric = "7"
        prometheus.of("a-b").histogram = NOTHING
        assert await value(session, prometheus.url, 'sum(x{namespace="a"})') == "7"
        assert await value(session, prometheus.url, 'sum(x{namespace="a-b"})') == "100"
        assert await value(session, prometheus.url, 'histogram_quantile(0.99, x{namespace="a-b"})') is None
        assert await value(session, prometheus.url, 'sum(x{namespace="z"})') == "100"
        assert await value(session, prometheus.url, "vector(1)") == "1"
        assert [query.text for query in prometheus.of("a").queries] == ['sum(x{namespace="a"})']


@pytest.mark.asyncio
async def test_answers_can_be_lined_up_and_series_be_missing() -> None:
    async with Prometheus() as prometheus, aiohttp.ClientSession() as session:
        answers = prometheus.of("a")
        answers.coming.extend(["1", "2"])
        answers.without = "errors"
        queries = (
            'x{namespace="a"}',
            'errors{namespace="a"} / x{namespace="a"}',
            'x{namespace="a"}',
            'x{namespace="a"}',
        )
        assert [await value(session, prometheus.url, query) for query in queries] == ["1", None, "2", "100"]


@pytest.mark.asyncio
async def test_it_is_found_under_any_name_by_those_who_take_it_for_their_proxy() -> None:
    async with Prometheus() as prometheus, aiohttp.ClientSession(proxy=prometheus.url) as session:
        prometheus.of("a")
        assert await value(session, "http://prometheus.monitoring:9090", 'x{namespace="a"}') == "100"
        assert [query.server for query in prometheus.of("a").queries] == ["prometheus.monitoring:9090"]


@pytest.mark.asyncio
async def test_a_failing_prometheus_answers_with_its_status() -> None:
    async with Prometheus() as prometheus, aiohttp.ClientSession() as session:
        prometheus.status = 503
        async with session.post(f"{prometheus.url}/api/v1/query", data={"query": "up"}) as got:
            assert got.status == 503


@pytest.mark.asyncio
async def test_a_hook_answers_with_its_code_and_its_payload_is_kept() -> None:
    async with Hooks() as hooks, aiohttp.ClientSession() as session:
        hooks.answer("ns", "gate", 403)
        for name, code in (("gate", 403), ("chat/slack", 200)):
            async with session.post(f"{hooks.address('ns')}/{name}", json={"name": name}) as got:
                assert got.status == code
        assert [(call.name, call.payload) for call in hooks.of("ns")] == [
            ("gate", {"name": "gate"}),
            ("slack", {"name": "chat/slack"}),
        ]
        assert hooks.of("other") == []


@pytest.mark.asyncio
async def test_a_hook_can_change_its_mind() -> None:
    async with Hooks() as hooks, aiohttp.ClientSession() as session:
        hooks.answer("ns", "gate", 403, 500, 200)
        codes = []
        for _ in range(4):
            async with session.post(f"{hooks.address('ns')}/gate", json={}) as got:
                codes.append(got.status)
        assert codes == [403, 500, 200, 200]
