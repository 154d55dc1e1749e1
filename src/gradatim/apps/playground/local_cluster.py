"""A cluster in one process: API server, controllers, pods, proxy, Prometheus and names; up in about two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from gradatim.apps.manifests import crds
from gradatim.apps.playground.naming import Names, forward_proxy
from gradatim.apps.playground.releases import NAMESPACE, Release
from gradatim.engine.clock import Clock
from gradatim.kube import auth
from gradatim.kube.client import Client
from gradatim.kube.errors import AlreadyExists
from gradatim.kube.http import HttpTransport
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim.api import Api
from gradatim.sim.apiserver import api_server
from gradatim.sim.controllers import Controllers
from gradatim.sim.http import Handler, serve
from gradatim.sim.pod_logs import PodLogs
from gradatim.sim.pods.processes import ProcessPods
from gradatim.sim.prometheus import Prometheus
from gradatim.sim.proxy_metrics import cluster_targets
from gradatim.sim.scrape import Scraper
from gradatim.sim.series import SeriesStore
from gradatim.sim.traefik import Traefik

CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
SPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
METRICS_SERVICE = "flagger-prometheus.ingress-nginx"
"""Where the scenario's MetricTemplate looks for Prometheus."""


class LocalCluster:
    """The running cluster, for those who play in it."""

    def __init__(self, server: Api, client: Client, api: str, folder: Path) -> None:
        self.server = server
        self.store = server.store
        self.client = client
        self.api = api
        self.kubeconfig = folder / "kubeconfig"
        self.proxy = ""
        """URL of the forward proxy that knows cluster names."""
        self.prometheus = ""
        self.traefik: Traefik

    async def apply(self, manifests: list[Manifest]) -> None:
        """Create objects as `kubectl create` would, through the API; those that are there already stay."""
        for manifest in manifests:
            ref = self.ref(manifest)
            with contextlib.suppress(AlreadyExists):
                await self.client.create(ref, manifest)

    def ref(self, manifest: Manifest) -> Ref:
        """The name of an object of a kind that is served."""
        wanted = (manifest["apiVersion"], manifest["kind"])
        resource = next(
            kind.resource for kind in self.store.kinds() if (kind.resource.api_version, kind.resource.kind) == wanted
        )
        namespace = manifest["metadata"].get("namespace", "default") if resource.namespaced else ""
        return Ref(resource, namespace, manifest["metadata"]["name"])


@asynccontextmanager
async def local_cluster(
    release: Release, folder: Path, port: int = 0, *, proxy_sees: Callable[[Api], Handler] | None = None
) -> AsyncIterator[LocalCluster]:
    """Start everything that a release needs, and take it down again.

    `proxy_sees` gives Traefik an API server of its own, such as one that is behind (`sim.lateness`).
    """
    async with AsyncExitStack() as stack:
        server, pods = api_server(time.time), ProcessPods()
        store, server.logs = server.store, PodLogs(server.store, pods)
        stack.push_async_callback(pods.close)
        api = await stack.enter_async_context(serve(server, "127.0.0.1", port))
        cluster = LocalCluster(server, await _client(stack, api), api, folder)
        cluster.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(api)))
        await _background(stack, Controllers(store, pods).run())
        await cluster.apply([_space(name) for name in (NAMESPACE, "ingress-nginx")])
        await cluster.apply([*crds(), *map(open_definition, release.crds)])
        seen = api if proxy_sees is None else await stack.enter_async_context(serve(proxy_sees(server)))
        cluster.traefik = await stack.enter_async_context(Traefik(seen, (release.traefik,)))
        await cluster.apply(release.prepare(cluster.traefik.web_port))
        cluster.prometheus = await _prometheus(stack, cluster)
        names = Names(store, {METRICS_SERVICE: cluster.prometheus.removeprefix("http://")})
        cluster.proxy = await stack.enter_async_context(forward_proxy(names))
        yield cluster


async def _client(stack: AsyncExitStack, api: str) -> Client:
    transport = HttpTransport(auth.load(master=api))
    stack.push_async_callback(transport.close)
    clock = Clock()
    return Client(transport, Limiter(0, 1), clock.ticks, "gradatim-playground", field_manager="kubectl-create")


async def _prometheus(stack: AsyncExitStack, cluster: LocalCluster) -> str:
    series = SeriesStore()
    scraper = Scraper(series, cluster_targets(cluster.store, cluster.traefik), interval=0.5)
    await _background(stack, scraper.run())
    runner = web.AppRunner(Prometheus(series, scraper).application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def _background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def _space(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def open_definition(resource: Resource) -> Manifest:
    """A definition that takes any content: the proxy's own kinds, of which we only need that they are served."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": resource.qualified},
        "spec": {
            "group": resource.group,
            "names": {
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
            },
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": schema,
                }
            ],
        },
    }


def _kubeconfig(api: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "playground", "cluster": {"server": api}}],
        "users": [{"name": "you", "user": {}}],
        "contexts": [
            {"name": "playground", "context": {"cluster": "playground", "user": "you", "namespace": NAMESPACE}}
        ],
        "current-context": "playground",
    }
