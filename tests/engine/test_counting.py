"""How the requests to one side are counted: the age of the oldest sample first, then the sum."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gradatim.api.decode import decode_canary
from gradatim.core.settings import Settings
from gradatim.engine.measuring import Counted, Measuring
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpRequest, HttpResponse
from gradatim.providers import registry

pytestmark = pytest.mark.asyncio


class Server:
    """Answers one query after the other; `none` is an empty vector."""

    def __init__(self, *answers: str, status: int = 200) -> None:
        self.answers, self.status = list(answers), status
        self.asked: list[str] = []
        self.hosts: set[str] = set()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """As the real one."""
        parts = urlsplit(request.url)
        self.hosts.add(parts.netloc)
        self.asked += parse_qs(parts.query)["query"]
        answer = self.answers.pop(0) if self.answers else "none"
        result = "" if answer == "none" else f'{{"metric": {{}}, "value": [1, "{answer}"]}}'
        body = f'{{"status": "success", "data": {{"resultType": "vector", "result": [{result}]}}}}'
        return HttpResponse(self.status, {}, body.encode())


def site(mesh: str, **spec: Any) -> Any:
    target = {"kind": "Deployment", "name": "shop"}
    canary = decode_canary(
        {"metadata": {"name": "c", "namespace": "test"}, "spec": {"targetRef": target, "analysis": {}, **spec}}
    )
    settings = Settings(metrics_server="http://prometheus:9090")
    return SimpleNamespace(canary=canary, settings=settings, providers=SimpleNamespace(mesh=registry.mesh(mesh)))


async def counted(server: Server, made: Any, *, primary: bool = False) -> Counted | None:
    return await Measuring(None, server).counted(made, primary=primary)  # type: ignore[arg-type]


async def test_the_age_is_asked_before_the_sum_so_that_no_sample_is_older_than_it_says() -> None:
    server = Server("3.5", "1200")
    assert await counted(server, site("traefik")) == Counted(total=1200.0, age=3.5)
    assert [text.split("{")[0] for text in server.asked] == [
        "time() - min( timestamp( traefik_service_request_duration_seconds_bucket",
        "sum( traefik_service_request_duration_seconds_bucket",
    ]
    assert all('service=~"test-shop-canary-' in text for text in server.asked)


async def test_a_canarys_own_metrics_server_is_the_one_that_is_asked() -> None:
    server = Server("1", "1")
    await counted(server, site("kubernetes", metricsServer="http://other:9090"), primary=True)
    assert server.hosts == {"other:9090"}
    assert all('kubernetes_pod_name=~"shop-primary-.+"' in text for text in server.asked)


@pytest.mark.parametrize("answers", [("none", "none"), ("1", "none"), ("none", "1")])
async def test_without_counters_nothing_is_counted(answers: tuple[str, str]) -> None:
    assert await counted(Server(*answers), site("traefik")) is None


async def test_where_a_mesh_cannot_tell_sides_apart_nobody_is_asked() -> None:
    server = Server()
    assert await counted(server, site("nginx"), primary=True) is None
    assert not server.asked


async def test_a_server_that_fails_is_no_answer() -> None:
    with pytest.raises(ProviderError):
        await counted(Server(status=503), site("traefik"))
