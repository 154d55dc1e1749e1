"""The scripted Prometheus, the scripted receiver and the server of the pretended pods do as they are told."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from cluster.hooks import Hooks
from cluster.processes import free_port
from cluster.prometheus import NOTHING, Prometheus
from cluster.traffic.pods import BAD, Pods
from gradatim.ports.objects import Manifest


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


def pod(version: str) -> Manifest:
    spec = {"containers": [{"name": "shop", "image": f"shop:{version}"}]}
    return {"metadata": {"name": "shop-1", "namespace": "ns"}, "spec": spec}


@pytest.mark.asyncio
async def test_each_pod_answers_under_its_own_address_as_its_version_does() -> None:
    pods = {"127.0.0.2": pod("v1"), "127.0.0.3": pod(BAD)}
    async with Pods(pods.get, free_port()) as server, aiohttp.ClientSession() as session:
        for address, seen in (("127.0.0.2", (200, "v1")), ("127.0.0.3", (500, BAD))):
            async with session.get(f"http://{address}:{server.port}/") as got:
                assert (got.status, got.headers["x-version"]) == seen


@pytest.mark.asyncio
async def test_a_pod_that_is_told_to_stop_still_answers_and_one_that_is_gone_resets_connections() -> None:
    """Also those that were opened while it was there: else nobody would see that requests are lost."""
    pods = {"127.0.0.2": pod("v1")}
    async with Pods(pods.get, free_port()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.2", server.port)
        for ending, connection in ((False, b"keep-alive"), (True, b"close")):
            if ending:
                pods["127.0.0.2"]["metadata"]["deletionTimestamp"] = "now"
                late, later = await asyncio.open_connection("127.0.0.2", server.port)
            writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
            assert b"connection: " + connection in await reader.readuntil(b"\r\n\r\n")
            await reader.readline()
        writer.close()
        del pods["127.0.0.2"]
        later.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await late.read()
        later.close()
        reader, writer = await asyncio.open_connection("127.0.0.2", server.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
