"""Cluster names on this machine: where `service.namespace` leads, and the proxy that leads there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from cluster.serving import Served
from gradatim.apps.playground.naming import Names, forward_proxy
from gradatim.ports.objects import ENDPOINT_SLICE, Manifest, Ref
from gradatim.sim.apiserver import api_server
from gradatim.sim.store import Store

FIXED = {"flagger-prometheus.ingress-nginx": "127.0.0.1:9090"}


def slices(*found: tuple[str, str, bool, int]) -> Store:
    """A cluster with one endpoint slice each: service, address, whether it is ready, and port."""
    store = api_server(lambda: 1_790_000_000.0).store
    for number, (service, address, ready, port) in enumerate(found):
        body: Manifest = {
            "metadata": {"name": f"{service}-{number}", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
            "ports": [{"name": "http", "port": port}],
        }
        store.create(Ref(ENDPOINT_SLICE, "default", body["metadata"]["name"]), body)
    return store


@pytest.mark.parametrize("host", ["shop.default", "shop.default.svc", "shop.default.svc.cluster.local"])
def test_a_service_is_found_by_all_its_names(host: str) -> None:
    names = Names(slices(("shop", "127.1.2.3", True, 8000)), FIXED)
    assert names.resolve(host, 80) == "127.1.2.3:8000"


def test_only_ready_endpoints_are_led_to() -> None:
    names = Names(slices(("shop", "127.1.2.3", False, 8000), ("shop", "127.1.2.4", True, 8001)), {})
    assert names.resolve("shop.default", 80) == "127.1.2.4:8001"


@pytest.mark.parametrize("host", ["shop.prod", "other.default", "shop", "example.com", ""])
def test_nobody_answers_to_other_names(host: str) -> None:
    assert Names(slices(("shop", "127.1.2.3", True, 8000)), FIXED).resolve(host, 80) is None


def test_fixed_addresses_go_first() -> None:
    names = Names(slices(), FIXED)
    assert names.resolve("flagger-prometheus.ingress-nginx", 9090) == "127.0.0.1:9090"
    assert names.resolve("flagger-prometheus.ingress-nginx.svc.cluster.local", 1) == "127.0.0.1:9090"


class Echo(Served):
    """Answers with what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.app.router.add_route("*", "/{path:.*}", self._echo)

    async def _echo(self, request: web.Request) -> web.Response:
        told = {
            "method": request.method,
            "path": request.path_qs,
            "host": request.host,
            "token": request.headers.get("x-token"),
            "body": await request.text(),
        }
        return web.json_response(told, status=201, headers={"x-served-by": "echo"})


@asynccontextmanager
async def proxied(service: str = "echo") -> AsyncIterator[str]:
    """A proxy that knows an echo by this name; gives its URL."""
    async with Echo() as echo:
        address, _, port = echo.url.removeprefix("http://").partition(":")
        async with forward_proxy(Names(slices((service, address, True, int(port))), {})) as url:
            yield url


@pytest.mark.asyncio
async def test_the_proxy_passes_requests_and_answers_on() -> None:
    async with proxied() as proxy, aiohttp.ClientSession() as session:
        url = "http://echo.default:80/api/v1/query?query=up%7Ba%3D%22b%22%7D"
        async with session.post(url, data="hello", headers={"x-token": "t"}, proxy=proxy) as got:
            assert got.status == 201
            assert got.headers["x-served-by"] == "echo"
            told = await got.json()
    assert told["method"] == "POST"
    assert told["path"] == "/api/v1/query?query=up%7Ba%3D%22b%22%7D"
    assert told["token"] == "t"
    assert told["body"] == "hello"


async def asked(url: str, proxy: str) -> tuple[int, str]:
    """Status and text of an answer."""
    async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as got:
        return got.status, await got.text()


@pytest.mark.asyncio
async def test_a_name_without_endpoints_is_a_bad_gateway_that_says_so() -> None:
    async with proxied() as proxy:
        assert await asked("http://nobody.default/", proxy) == (502, "no endpoints for nobody.default")


@pytest.mark.asyncio
async def test_an_endpoint_that_is_gone_is_a_bad_gateway_too() -> None:
    async with forward_proxy(Names(slices(("gone", "127.0.0.1", True, 9)), {})) as proxy:
        status, text = await asked("http://gone.default/", proxy)
    assert status == 502
    assert text.startswith("gone.default at 127.0.0.1:9 does not answer: ")
