"""Proxies that follow routes seconds late and do not say so: what is lost, and what the metrics server saves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from cluster.prometheus import Script
from gradatim.ports.http import HttpRequest, HttpResponse
from gradatim.ports.objects import TRAEFIK_SERVICE, Manifest, Ref
from gradatim.sim.history import Event
from stories.shop import SPLIT, Shop, shop

Clock = Callable[[], float]

LAG = 6.0
"""Seconds that the proxy is behind; the settle time is 2."""
SCRAPES = 5.0
DRAIN = 30.0
ROUTE = Ref(TRAEFIK_SERVICE, "shop", "shop")


class Counting(Script):
    """A metrics server that reads, every few seconds, what the late proxy has counted for each Service."""

    def __init__(self, made: Shop) -> None:
        self._time = asyncio.get_running_loop().time
        super().__init__(self._time)
        self._began = self._time()
        self._routed: list[tuple[float, frozenset[str]]] = []
        self.asked: list[str] = []
        made.cluster.store.subscribe(self._notice)

    def _notice(self, event: Event) -> None:
        if event.ref == ROUTE:
            services = () if event.type == "DELETED" else event.object["spec"]["weighted"]["services"]
            self._routed.append((self._time() + LAG, frozenset(one["name"] for one in services if one["weight"])))

    def _value(self, text: str, server: str) -> str:
        if " timestamp( " not in text and not text.startswith("sum( traefik_"):
            return super()._value(text, server)
        self.asked.append(text)
        age = (self._time() - self._began) % SCRAPES
        if "timestamp" in text:
            return str(age)
        return str(self._requests("shop-primary" if "-primary-" in text else "shop-canary", self._time() - age))

    def _requests(self, service: str, until: float) -> float:
        """Ten a second for every second in which the proxy knew the Service."""
        ends = [at for at, _ in self._routed[1:]] + [math.inf]
        known = ((at, end) for (at, services), end in zip(self._routed, ends, strict=True) if service in services)
        return 10 * sum(max(0.0, min(end, until) - at) for at, end in known)


@asynccontextmanager
async def late(drain: float) -> AsyncIterator[tuple[Shop, Counting]]:
    """A shop behind a late proxy, whose route was there before the Canary."""
    async with shop("traefik", drain=drain, lag=LAG) as (made, _):
        counting = Counting(made)
        made.cluster.outside.prometheus = counting
        service = {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": 8080}]}
        apex: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": service}
        weighted = {"services": [{"name": "shop", "port": 80, "weight": 1}]}
        route = {**SPLIT, "metadata": {"name": "shop"}, "spec": {"weighted": weighted}}
        await made.space.create(apex, route)
        await made.open(revertOnDeletion=True)
        await made.space.phase("Initialized")
        await asyncio.sleep(2 * LAG)
        made.users.lost.clear()  # a late proxy loses the endpoints of the apex, too; see the decision
        yield made, counting


async def released(made: Shop) -> float:
    """A release that is promoted; seconds from the last shift to its end."""
    await made.release("shop:2")
    await made.space.phase("Finalising")
    began = asyncio.get_running_loop().time()
    await made.space.phase("Succeeded")
    return asyncio.get_running_loop().time() - began


@pytest.mark.asyncio
async def test_without_the_metrics_server_a_proxy_later_than_the_settle_time_loses_requests(
    virtual_time: Clock,
) -> None:
    async with late(0.0) as (made, counting):
        assert await released(made) == pytest.approx(2, abs=1)
        assert made.users.lost
        assert not counting.asked, "nobody has asked for that"


@pytest.mark.asyncio
async def test_a_promotion_keeps_the_canarys_pods_until_the_proxy_has_followed(virtual_time: Clock) -> None:
    async with late(DRAIN) as (made, counting):
        assert LAG < await released(made) < LAG + 2 * SCRAPES + 3
        assert not made.users.lost
        assert all("-canary-" in text for text in counting.asked)


@pytest.mark.asyncio
async def test_a_rollback_moves_traffic_at_once_and_takes_pods_when_the_proxy_has_followed(virtual_time: Clock) -> None:
    async with late(DRAIN) as (made, _):
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 60, "a share of 60")
        made.error_rate(50)
        await made.space.told("Rolling back")
        assert (made.canary_share(), made.replicas("shop")) == (0, 2)
        await made.space.phase("Failed", within=LAG + 2 * SCRAPES + 3)
        assert made.replicas("shop") == 0
        assert not made.users.lost


@pytest.mark.asyncio
async def test_a_deletion_keeps_the_primarys_pods_until_the_proxy_has_followed(virtual_time: Clock) -> None:
    async with late(DRAIN) as (made, counting):
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 60, "a share of 60")
        await made.space.delete("flagger.app/v1beta1", "Canary", "shop")
        await made.space.gone(within=LAG + 2 * SCRAPES + 5)
        await asyncio.sleep(LAG)
        assert not made.users.lost
        assert any("-primary-" in text for text in counting.asked)


async def hang(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(1000)
    raise AssertionError("nobody waits that long")


async def fail(request: HttpRequest) -> HttpResponse:
    return HttpResponse(503, {}, b"")


@pytest.mark.parametrize("answer", [hang, fail])
@pytest.mark.asyncio
async def test_a_metrics_server_in_trouble_keeps_pods_as_long_as_allowed_and_no_longer(
    virtual_time: Clock, answer: Callable[[HttpRequest], object]
) -> None:
    """The release ends well all the same, and the traffic has long been moved."""
    async with late(DRAIN) as (made, _):
        await made.release("shop:2")
        await made.space.phase("Finalising")
        made.cluster.outside.answer = answer  # type: ignore[method-assign, assignment]
        began = asyncio.get_running_loop().time()
        assert made.canary_share() == 0
        await made.space.phase("Succeeded")
        assert DRAIN < asyncio.get_running_loop().time() - began < DRAIN + 5
        assert not made.users.lost


@pytest.mark.asyncio
async def test_a_newer_revision_does_not_wait_for_the_last_request_to_a_bad_one(virtual_time: Clock) -> None:
    async with late(DRAIN) as (made, _):
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 60, "a share of 60")
        made.error_rate(50)
        await made.space.told("Rolling back")
        made.error_rate(0)
        await made.release("shop:3")
        await made.space.told("Restarting analysis", within=2)
        assert (await made.space.phase("Succeeded"))["status"]["phase"] == "Succeeded"
        assert made.image("shop-primary") == "shop:3"
        assert not made.users.lost
