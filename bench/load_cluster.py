"""The cluster of the load bench: a real control plane, Canaries with everything they need, and the operator beside it.

The nodes and Prometheus run in a process of their own, so that their work delays neither the bench nor each other's
measuring. What is counted is the API server's audit log: of the operator's service account, and of the user who
releases (`kubectl set image`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cluster import binaries, crds
from cluster.audit import Audit
from cluster.client import STRATEGIC, Client, path
from cluster.control_plane import AUDITED, ControlPlane, Credentials
from cluster.namespaces import make_namespace
from cluster.nodes import Nodes
from cluster.operator import Account, Operator
from cluster.prometheus import Prometheus
from gradatim.ports.objects import CANARY, DEPLOYMENT, INGRESS, Manifest

INTERVAL = 10.0
STEPS = 5
ANALYSIS = STEPS * INTERVAL
KUBECTL = "kubectl"
"""The user who releases."""
PER_NAMESPACE = 50
TOGETHER = 50
"""Requests of the bench under way at once."""


Names: TypeAlias = tuple[tuple[str, str], ...]
"""Namespace and name of each Canary, its target and its Ingress."""


class World:
    """Everything that runs, for one number of Canaries."""

    def __init__(self, plane: ControlPlane, client: Client, operator: Operator, releases: Audit, names: Names) -> None:
        self.plane, self.client, self.operator, self.releases = plane, client, operator, releases
        self.names = names

    def part(self, count: int) -> World:
        """The same with so many of the Canaries, taken from all over."""
        some = self.names[:: len(self.names) // count][:count]
        return World(self.plane, self.client, self.operator, self.releases, some)

    async def each(self, work: Callable[[str, str], Awaitable[object]]) -> None:
        """Do something for every Canary, some at a time."""
        names = iter(self.names)

        async def worker() -> None:
            for namespace, name in names:
                await work(namespace, name)

        await asyncio.gather(*(worker() for _ in range(TOGETHER)))

    async def phases(self, wanted: str, seconds: float) -> None:
        """Return when every Canary is in this phase."""
        await self.until(lambda canary: canary.get("status", {}).get("phase") == wanted, seconds)

    async def until(self, true: Callable[[Manifest], bool], seconds: float) -> None:
        """Return when this holds for all of these Canaries. A list every other second, by a user who is not counted."""
        mine = set(self.names)

        def holds(canary: Manifest) -> bool:
            return (canary["metadata"]["namespace"], canary["metadata"]["name"]) not in mine or true(canary)

        async with asyncio.timeout(seconds):
            while not all(map(holds, await self.client.items(CANARY))):
                self.operator.process.check()
                await asyncio.sleep(2.0)

    async def set_steps(self, weight: int) -> None:
        """Another `stepWeight` for every Canary."""
        patch = {"spec": {"analysis": {"stepWeight": weight}}}
        await self.each(lambda namespace, name: self.client.merge(CANARY, namespace, name, patch))

    async def set_up(self) -> None:
        """Deployments that have their pods, and the Ingresses in front of them."""
        for namespace in dict.fromkeys(namespace for namespace, _ in self.names):
            await make_namespace(self.client, namespace)

        async def one(namespace: str, name: str) -> None:
            await self.client.create(INGRESS, namespace, _ingress(name))
            await self.client.create(DEPLOYMENT, namespace, _deployment(name))

        await self.each(one)
        while any(not one.get("status", {}).get("availableReplicas") for one in await self.client.items(DEPLOYMENT)):
            await asyncio.sleep(2.0)

    async def create_canaries(self) -> None:
        """All of them, as fast as the server takes them."""
        await self.each(lambda namespace, name: self.client.create(CANARY, namespace, _canary(name)))

    async def set_images(self, image: str, over: float) -> None:
        """`kubectl set image` for every Canary: at once, or evenly over some seconds."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
        user = self.plane.user(KUBECTL, "system:masters", AUDITED)
        async with Client(user) as kubectl:

            async def one(number: int, namespace: str, name: str) -> None:
                await asyncio.sleep(over * number / len(self.names))
                async with line:
                    await kubectl.must("PATCH", path(DEPLOYMENT, namespace, name), patch, content_type=STRATEGIC)

            line = asyncio.Semaphore(TOGETHER)
            await asyncio.gather(*(one(number, *names) for number, names in enumerate(self.names)))

    def memory(self) -> dict[str, float]:
        """Resident memory of the operator now and at its peak, in MiB."""
        told = Path(f"/proc/{self.operator.process.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in told.splitlines())
        return {name: int(values[key].split()[0]) / 1024 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}

    def cpu(self) -> float:
        """CPU seconds of the operator so far."""
        return self.operator.process.usage()[0]


@asynccontextmanager
async def world(count: int) -> AsyncIterator[World]:
    """Start everything but the Canaries, and end it all."""
    with ControlPlane.start(binaries.find()) as plane:
        async with Client(plane.admin) as client:
            await crds.install(client, crds.ours())
            with _Surroundings(plane.admin) as prometheus:
                account = await Account.install(plane, client)
                log = Path(os.environ.get("GRADATIM_BENCH_LOG", plane.home / "operator.log"))
                flags = {"metrics-server": prometheus, "mesh-provider": "nginx"}
                operator = await Operator.start(plane, client, account, flags, log=log)
                try:
                    names = tuple((f"team-{number // PER_NAMESPACE}", f"app-{number}") for number in range(count))
                    yield World(plane, client, operator, Audit(plane.audit, KUBECTL), names)
                finally:
                    operator.stop()


class _Surroundings:
    """Pretended nodes and a Prometheus that is always content, in a process of their own."""

    def __init__(self, credentials: Credentials) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_surround, args=(credentials, theirs), daemon=True)

    def __enter__(self) -> str:
        self._process.start()
        url: str = self._ours.recv()
        return url

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _surround(credentials: Credentials, told: Connection) -> None:
    async def serve() -> None:
        async with Client(credentials) as client, Prometheus() as prometheus:
            nodes = Nodes(client)
            await nodes.register()
            told.send(prometheus.url)
            await nodes.run()

    asyncio.run(serve())


def _deployment(name: str) -> Manifest:
    """One replica, with what a usual container declares."""
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9797}],
        "env": [{"name": f"SETTING_{number}", "value": f"value of setting {number}"} for number in range(8)],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 3},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name, "team": "bench"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def _ingress(name: str) -> Manifest:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": f"{name}.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }


def _canary(name: str) -> Manifest:
    metric = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
    analysis = {"interval": "10s", "threshold": 5, "stepWeight": 20, "maxWeight": 100, "metrics": [metric]}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "provider": "nginx",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": name},
            "progressDeadlineSeconds": 600,
            "service": {"port": 80, "targetPort": 8080},
            "analysis": analysis,
        },
    }
