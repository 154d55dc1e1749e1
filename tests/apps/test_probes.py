"""What the operator serves: its metrics, whether it is alive, and whether it still hears from the cluster."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gradatim.api.canary import Canary
from gradatim.api.decode import decode_canary
from gradatim.api.errors import GradatimError
from gradatim.api.status import CanaryStatus, Phase
from gradatim.apps import probes
from gradatim.core.weights import Routes
from gradatim.engine.telemetry import Telemetry


class Server:
    """The probes on a port, and what stands in the way of being ready."""

    def __init__(self) -> None:
        self.telemetry = Telemetry("0.1.0", "nginx")
        self.why = ""
        self.url = ""

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """Status, text and content type."""
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path) as got:
            return got.status, await got.text(), got.headers["Content-Type"]


@asynccontextmanager
async def served() -> AsyncIterator[Server]:
    """Probes on a free port."""
    server = Server()
    async with probes.serve(0, server.telemetry, lambda: server.why) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


def shop() -> Canary:
    """A Canary whose target has another name."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": 'sh"op'}
    spec = {"targetRef": target, "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10}}
    return decode_canary({"metadata": {"name": "canary", "namespace": "prod"}, "spec": spec})


@pytest.mark.asyncio
async def test_the_metrics_page_is_read_by_prometheus_own_parser() -> None:
    async with served() as server:
        telemetry, canary = server.telemetry, shop()
        telemetry.census(lambda: {"prod": 1, "test": 2})
        running = CanaryStatus(phase=Phase.PROGRESSING)
        telemetry.observe(canary, CanaryStatus(phase=Phase.INITIALIZED), running, Routes(primary=80, canary=20))
        telemetry.observe(canary, running, CanaryStatus(phase=Phase.FAILED), None)
        telemetry.lasted(canary, 0.3)
        status, page, sort = await server.get("/metrics")
    assert (status, sort) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(page)}
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    target = (("name", 'sh"op'), ("namespace", "prod"))
    assert samples["flagger_info", (("mesh_provider", "nginx"), ("version", "0.1.0"))] == 1
    assert samples["flagger_canary_total", (("namespace", "test"),)] == 2
    assert samples["flagger_canary_status", target] == 2
    assert samples["flagger_canary_weight", (("namespace", "prod"), ("workload", 'sh"op'))] == 20
    assert samples["flagger_canary_weight", (("namespace", "prod"), ("workload", 'sh"op-primary'))] == 80
    assert samples["flagger_canary_duration_seconds_bucket", (("le", "0.25"), *target)] == 0
    assert samples["flagger_canary_duration_seconds_bucket", (("le", "0.5"), *target)] == 1
    assert samples["flagger_canary_duration_seconds_count", target] == 1
    assert families["flagger_canary_failures"].type == "counter"
    assert "process_resident_memory_bytes" in families
    assert "python_info" in families


@pytest.mark.asyncio
async def test_no_series_is_declared_twice() -> None:
    async with served() as server:
        _, page, _ = await server.get("/metrics")
    declared = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")]
    assert sorted(set(declared)) == sorted(declared)


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_it_is_alive_whatever_the_method(method: str) -> None:
    async with served() as server:
        server.why = "no connection to the API server for 90 s"
        status, text, _ = await server.get("/healthz", method)
    assert status == 200
    assert text == ("" if method == "HEAD" else "OK")


@pytest.mark.asyncio
async def test_it_is_ready_until_something_stands_in_the_way_and_then_says_what() -> None:
    async with served() as server:
        assert (await server.get("/readyz"))[:2] == (200, "OK")
        server.why = "no connection to the API server for 90 s"
        assert (await server.get("/readyz"))[:2] == (503, "no connection to the API server for 90 s")
        server.why = ""
        assert (await server.get("/readyz"))[:2] == (200, "OK")


@pytest.mark.asyncio
async def test_nothing_else_is_served() -> None:
    async with served() as server:
        assert (await server.get("/"))[0] == 404
        assert (await server.get("/metrics", "POST"))[0] == 405


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_named_with_a_way_out() -> None:
    async with served() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(GradatimError, match=rf"-port={port}: nothing can be served there \(.+\); give another one"):
            async with probes.serve(port, server.telemetry, lambda: ""):
                pass


def loopback() -> list[str]:
    """The loopback addresses that this machine has, as they stand in a URL."""
    found = []
    for family, address, shown in ((socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, 0))
            found.append(shown)
    return found


@pytest.mark.asyncio
async def test_all_addresses_of_the_machine_reach_it_on_the_same_port() -> None:
    assert loopback()
    async with served() as server:
        port = server.url.rpartition(":")[2]
        for address in loopback():
            server.url = f"http://{address}:{port}"
            assert (await server.get("/healthz"))[0] == 200
