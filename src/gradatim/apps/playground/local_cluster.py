"""A cluster in one process: API server, controllers, pods, proxy, Prometheus and names; up in about two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
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
from gradatim.sim.api import Api, Request
from gradatim.sim.builtin import install
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.controllers import Controllers
from gradatim.sim.crds import Definitions
from gradatim.sim.garbage import Garbage
from gradatim.sim.http import serve
from gradatim.sim.pods.processes import ProcessPods
from gradatim.sim.prometheus import Prometheus
from gradatim.sim.proxy_metrics import cluster_targets
from gradatim.sim.scrape import Scraper
from gradatim.sim.series import SeriesStore
from gradatim.sim.store import Store
from gradatim.sim.traefik import Traefik

CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
SPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
METRICS_SERVICE = "flagger-prometheus.ingress-nginx"
"""Where the scenario's MetricTemplate looks for Prometheus."""


class LocalCluster:
    """The running cluster, for those who play in it."""

    def __init__(self, store: Store, client: Client, api: str, folder: Path) -> None:
        self.store = store
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
async def local_cluster(release: Release, folder: Path, port: int = 0) -> AsyncIterator[LocalCluster]:
    """Start everything that a release needs, and take it down again."""
    async with AsyncExitStack() as stack:
        store = Store(time.time)
        install(store)
        Definitions(store)
        Garbage(store)
        pods = ProcessPods()
        stack.push_async_callback(pods.close)
        logs = _Logs(store, pods)
        api = await stack.enter_async_context(serve(Api(store, logs.read), "127.0.0.1", port))
        cluster = LocalCluster(store, await _client(stack, api), api, folder)
        cluster.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(api)))
        await _background(stack, Controllers(store, pods).run())
        await cluster.apply([_space(name) for name in (NAMESPACE, "ingress-nginx")])
        await cluster.apply([*crds(), *map(_open_crd, release.crds)])
        cluster.traefik = await stack.enter_async_context(Traefik(api, (release.traefik,)))
        await cluster.apply(release.prepare(cluster.traefik.web_port))
        cluster.prometheus = await _prometheus(stack, cluster)
        names = Names(store, {METRICS_SERVICE: cluster.prometheus.removeprefix("http://")})
        cluster.proxy = await stack.enter_async_context(forward_proxy(names))
        yield cluster


class _Logs:
    """What `kubectl logs` shows."""

    def __init__(self, store: Store, pods: ProcessPods) -> None:
        self._store = store
        self._pods = pods

    def read(self, namespace: str, name: str, request: Request) -> str | AsyncIterator[bytes]:
        """The lines so far; with `follow` also those to come, until the pod is gone."""
        tail = int(request.first("tailLines") or 0)
        lines = self._lines(namespace, name)[-tail:]
        text = "".join(f"{line}\n" for line in lines)
        return self._follow(namespace, name, text) if request.flag("follow") else text

    async def _follow(self, namespace: str, name: str, shown: str) -> AsyncIterator[bytes]:
        seen = len(self._lines(namespace, name))
        yield shown.encode()
        while self._store.find(Ref(POD, namespace, name)) is not None:
            await asyncio.sleep(0.2)
            lines = self._lines(namespace, name)
            for line in lines[seen:]:
                yield f"{line}\n".encode()
            seen = max(seen, len(lines))

    def _lines(self, namespace: str, name: str) -> list[str]:
        pod = self._store.find(Ref(POD, namespace, name))
        return [] if pod is None else self._pods.logs(pod["metadata"]["uid"])


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


def _open_crd(resource: Resource) -> Manifest:
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
