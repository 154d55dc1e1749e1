"""The playground without the operator: API server, controllers, pods, Traefik, metrics and users, with real requests.

The objects are those of the scenario, unchanged; the canary is made and moved by hand, the way the operator would.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from gradatim import apps
from gradatim.ports.objects import DEPLOYMENT, INGRESS, SERVICE, Manifest, Ref, Resource
from gradatim.sim import promql
from gradatim.sim.api import Api
from gradatim.sim.builtin import install
from gradatim.sim.builtin.catalogue import INGRESS_CLASS, POD
from gradatim.sim.controllers import Controllers
from gradatim.sim.garbage import Garbage
from gradatim.sim.http import serve
from gradatim.sim.load import Load, Request
from gradatim.sim.namespaces import NAMESPACE, Namespaces
from gradatim.sim.pods.processes import ProcessPods
from gradatim.sim.prometheus import Prometheus
from gradatim.sim.proxy_metrics import cluster_targets
from gradatim.sim.scrape import Scraper
from gradatim.sim.series import SeriesStore
from gradatim.sim.store import Store
from gradatim.sim.traefik import Traefik

SCENARIO = Path(apps.__file__).parent / "scenario"
HOST = "test.prod.10.60.200.121.sslip.io"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
KINDS = {each.kind: each for each in (DEPLOYMENT, SERVICE, INGRESS)}
QUERY = yaml.safe_load((SCENARIO / "canary.yaml").read_text().split("---")[0])["spec"]["query"]
for word, value in {"namespace": "test", "target": "hello-v1", "interval": "2s"}.items():
    QUERY = QUERY.replace("{{ " + word + " }}", value)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that other processes have to do."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.03)


class World:
    """Everything that runs, and a way to write through the API server."""

    def __init__(self, store: Store, api: str, traefik: Traefik, metrics: SeriesStore) -> None:
        self.store, self.api, self.traefik, self.metrics = store, api, traefik, metrics

    async def send(self, method: str, resource: Resource, name: str, body: Manifest) -> None:
        """One write over HTTP."""
        where = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
        where += f"/namespaces/test/{resource.plural}{'/' + name if name else ''}"
        kind = "application/json" if method == "POST" else "application/merge-patch+json"
        async with aiohttp.request(method, self.api + where, json=body, headers={"content-type": kind}) as answer:
            assert answer.status < 300, await answer.text()

    async def weigh(self, weight: int) -> None:
        """Send so many per cent to the canary."""
        await self.send("PATCH", INGRESS, "prod-ingress-canary", {"metadata": {"annotations": {WEIGHT: str(weight)}}})

    async def rolled_out(self, name: str) -> None:
        """Wait until a Deployment runs what it should."""
        await eventually(lambda: self._runs(self.store.get(Ref(DEPLOYMENT, "test", name))))

    def _runs(self, obj: Manifest) -> bool:
        status, wanted = obj.get("status", {}), obj["spec"]["replicas"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        return status.get("observedGeneration") == obj["metadata"]["generation"] and counts == [wanted] * 3

    def ask(self, query: str) -> float | None:
        """The only value a query answers now."""
        value: Any = promql.instant(self.metrics, query, round(time.time() * 1000))
        assert len(value) < 2
        return value[0].value if value else None

    async def until(self, query: str, wanted: float) -> None:
        """Wait until a query answers about this."""
        await eventually(lambda: abs((self.ask(query) or 0.0) - wanted) < wanted / 50)


@contextlib.asynccontextmanager
async def playground() -> AsyncIterator[World]:
    """A cluster with the scenario's application, reachable through Traefik."""
    store = Store(time.time)
    install(store)
    Garbage(store)
    Namespaces(store).begin()
    store.create(Ref(NAMESPACE, "", "test"), {"metadata": {"name": "test"}})
    spec = {"controller": "k8s.io/ingress-nginx"}
    store.create(Ref(INGRESS_CLASS, "", "nginx"), {"metadata": {"name": "nginx"}, "spec": spec})
    pods = ProcessPods()
    controllers = asyncio.create_task(Controllers(store, pods).run())
    async with serve(Api(store)) as api, Traefik(api) as traefik:
        metrics = SeriesStore()
        scraping = asyncio.create_task(Scraper(metrics, cluster_targets(store, traefik), interval=0.25).run())
        world = World(store, api, traefik, metrics)
        try:
            for each in yaml.safe_load_all((SCENARIO / "app.yaml").read_text()):
                await world.send("POST", KINDS[each["kind"]], "", each)
            await traefik.wait_for_route(HOST)
            await world.rolled_out("hello-v1")
            yield world
        finally:
            for task in (scraping, controllers):
                task.cancel()
            await asyncio.gather(scraping, controllers, return_exceptions=True)
            await pods.close()


async def add_canary(world: World, image: str) -> None:
    """A second Deployment, its Service, and the canary Ingress, as the operator makes them."""
    made = world.store.get(Ref(DEPLOYMENT, "test", "hello-v1"))["spec"]
    made["selector"] = {"matchLabels": {"app": "hello-next"}}
    made["template"]["metadata"]["labels"] = {"app": "hello-next"}
    made["template"]["spec"]["containers"][0]["image"] = image
    made["replicas"] = 2
    await world.send("POST", DEPLOYMENT, "", {"metadata": {"name": "hello-next"}, "spec": made})
    ports = [{"port": 5000, "targetPort": 5000}]
    service = {"metadata": {"name": "hello-v1-canary"}, "spec": {"selector": {"app": "hello-next"}, "ports": ports}}
    await world.send("POST", SERVICE, "", service)
    ingress = world.store.get(Ref(INGRESS, "test", "prod-ingress"))
    annotations = {**ingress["metadata"]["annotations"], "nginx.ingress.kubernetes.io/canary": "true", WEIGHT: "0"}
    ingress["metadata"] = {"name": "prod-ingress-canary", "annotations": annotations}
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = "hello-v1-canary"
    await world.send("POST", INGRESS, "", ingress)
    await world.rolled_out("hello-next")


@pytest.mark.playground
@pytest.mark.asyncio
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "new connections"])
async def test_weights_are_followed_exactly_and_no_request_is_lost(keep_alive: bool) -> None:
    """The scenario's objects, a canary by hand, 300 requests a second, every weight."""
    async with playground() as world:
        await add_canary(world, "ghcr.io/kmaster8/hello:v2")
        request = Request("127.0.0.1", world.traefik.web_port, host=HOST, keep_alive=keep_alive)
        async with Load(request, 300) as load:
            for weight in (20, 50, 100, 0):
                await world.weigh(weight)
                await asyncio.sleep(0.3)
                load.take()
                await asyncio.sleep(0.7)
                seen = load.take()
                assert seen.share("v2") == pytest.approx(weight / 100, abs=0.02), str(seen)
        assert load.total.failed == 0, str(load.total)
        assert load.total.answered > 100


@pytest.mark.playground
@pytest.mark.asyncio
async def test_rolling_over_and_ending_pods_under_load_loses_nothing() -> None:
    """A rolling update behind the Service, then a scale-down: pods leave the proxy before they leave the world."""
    async with playground() as world:
        request = Request("127.0.0.1", world.traefik.web_port, host=HOST)
        async with Load(request, 200) as load:
            container = {"name": "hello", "image": "ghcr.io/kmaster8/hello:v2", "ports": [{"containerPort": 5050}]}
            spec = {"template": {"spec": {"containers": [container]}}}
            await world.send("PATCH", DEPLOYMENT, "hello-v1", {"spec": spec})
            await world.rolled_out("hello-v1")
            await world.send("PATCH", DEPLOYMENT, "hello-v1", {"spec": {"replicas": 1}})
            await eventually(lambda: len(world.store.list(POD)) == 1)
            load.take()
            await load.reach(load.total.answered + 50)
            assert load.take().share("v2") == 1.0
        assert load.total.failed == 0, str(load.total)
        assert load.total.versions["v1"] > 0


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_bad_version_shows_in_the_scenarios_query_and_a_good_one_in_the_built_in_ones() -> None:
    """Traefik's counters, seen as ingress-nginx's: under the main Service, with `canary` telling who answered."""
    series = 'nginx_ingress_controller_requests{namespace="test",ingress="prod-ingress",canary!=""'
    built_in = f'sum(rate({series},status!~"5.*"}}[2s])) / sum(rate({series}}}[2s])) * 100'
    async with playground() as world:
        await add_canary(world, "ghcr.io/kmaster8/hello:v3")
        request = Request("127.0.0.1", world.traefik.web_port, host=HOST)
        async with Load(request, 200) as load:
            await world.until('sum(rate(nginx_ingress_controller_requests{service="hello-v1"}[2s]))', 200)
            assert world.ask(QUERY) is None, "without any error there is no series for the numerator"
            assert world.ask(built_in) is None
            await world.weigh(50)
            await world.until(f"sum(rate({series}}}[2s]))", 100)
            assert world.ask(QUERY) == pytest.approx(40, abs=12)
            assert world.ask(built_in) is None, "every canary request fails: nothing good to count"
            await world.weigh(0)
            assert load.total.statuses[500] == load.total.versions["v3"]
        pods = 'http_request_duration_seconds_count{kubernetes_namespace="test",kubernetes_pod_name=~"hello-next-.+"'
        assert world.ask(f'sum({pods},status="500"}})') == pytest.approx(load.total.versions["v3"], rel=0.2)
        prometheus = Prometheus(world.metrics)
        answer = prometheus.query({"query": 'count(up{job="kubernetes-pods"} == 1)'})
        assert answer["result"][0]["value"][1] == "5"
