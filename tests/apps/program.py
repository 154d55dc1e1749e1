"""The operator as a process against the simulated cluster over loopback, and an app to be released in it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from cluster.processes import Process
from cluster.prometheus import Prometheus
from cluster.simulated import Simulated, simulated
from gradatim.apps.manifests import crds
from gradatim.kube.paths import collection_path, object_path
from gradatim.ports.objects import CANARY, DEPLOYMENT, EVENT, LEASE, Manifest, Ref
from gradatim.sim.api import Request
from gradatim.sim.namespaces import namespace

COMMAND = (sys.executable, "-m", "gradatim.apps.cli", "operator")
NAMESPACE = "shop"
PATIENCE = 60.0
"""Seconds; far more than anything here takes, even on a busy machine."""
QUICK = ("-mesh-provider=nginx", "-minimum-interval=1s", "-settle-time=100ms", "-port=0")
"""What makes a release a matter of seconds: one interval for each step but the first."""

_PORT = re.compile(r"on port (\d+)$")


class Program:
    """One running operator."""

    def __init__(self, flags: Sequence[str], log: Path) -> None:
        self.process = Process([*COMMAND, *flags], log)
        self._log = log
        self._before = log.stat().st_size

    def lines(self) -> list[Manifest]:
        """What it has logged, decoded; a line that is no JSON fails the test."""
        with self._log.open("rb") as file:
            file.seek(self._before)
            return [json.loads(line) for line in file.read().decode().splitlines()]

    def messages(self) -> list[str]:
        """The sentences of its log."""
        return [line["msg"] for line in self.lines()]

    async def ended(self, within: float = PATIENCE) -> int:
        """Wait for its end; its exit code."""
        await until(lambda: not self.process.running, "the end of the operator", within)
        code = self.process.code
        assert code is not None
        return code

    async def url(self) -> str:
        """Where it serves its probes."""

        def port() -> str:
            self.process.check()
            found = [match[1] for text in self.messages() if (match := _PORT.search(text))]
            return found[0] if found else ""

        await until(port, "the port of the probes")
        return f"http://127.0.0.1:{port()}"

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages."""
        async with aiohttp.ClientSession() as session, session.get(await self.url() + path) as got:
            return got.status, await got.text()

    def terminate(self) -> None:
        """Ask it to stop, as a cluster does."""
        self.process.signal(signal.SIGTERM)


class Place:
    """A simulated cluster on a port, with our definitions, a scripted Prometheus, and operators that come and go."""

    def __init__(self, cluster: Simulated, prometheus: Prometheus, folder: Path) -> None:
        self.store, self.api, self.url = cluster.store, cluster.api, cluster.url
        self.prometheus = prometheus
        self._folder = folder
        self._programs: list[Program] = []

    def start(self, *flags: str, name: str = "operator") -> Program:
        """An operator with these flags after the usual ones."""
        usual = (f"-master={self.url}", f"-metrics-server={self.prometheus.url}", *QUICK)
        log = self._folder / f"{name}.log"
        log.touch()
        self._programs.append(Program([*usual, *flags], log))
        return self._programs[-1]

    def kill(self) -> None:
        """End every operator that still runs."""
        for program in self._programs:
            program.process.kill()

    def kubeconfig(self, **cluster: object) -> Path:
        """A file that leads to the simulator, but for what is said of the cluster."""
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [context],
            "current-context": "c",
        }
        path = self._folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    async def define(self) -> None:
        """Serve our three kinds."""
        for manifest in crds():
            await self._ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", manifest)

    async def create(self, *manifests: Manifest) -> None:
        """Create objects in our namespace, which is created first."""
        if self.store.peek(namespace(NAMESPACE)) is None:
            await self._ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for manifest in manifests:
            wanted = (manifest["apiVersion"], manifest["kind"])
            kind = next(
                kind for kind in self.store.kinds() if (kind.resource.api_version, kind.resource.kind) == wanted
            )
            await self._ask("POST", collection_path(kind.resource, NAMESPACE), manifest)

    async def release(self, image: str) -> None:
        """Give the target another image."""
        containers = [{"name": "shop", "image": image}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        path = object_path(Ref(DEPLOYMENT, NAMESPACE, "shop"))
        await self._ask("PATCH", path, patch, "application/merge-patch+json")

    async def phase(self, wanted: str) -> Manifest:
        """Wait until the Canary is in this phase; gives its status."""
        await until(lambda: self.status().get("phase") == wanted, f"{wanted}, status {self.status()}")
        return self.status()

    def status(self) -> Manifest:
        """What the Canary says of itself."""
        found: Manifest = (self.store.peek(Ref(CANARY, NAMESPACE, "shop")) or {}).get("status", {})
        return found

    def image(self, name: str) -> str:
        """What a Deployment runs."""
        found = self.store.peek(Ref(DEPLOYMENT, NAMESPACE, name)) or {}
        text: str = found["spec"]["template"]["spec"]["containers"][0]["image"]
        return text

    def events(self) -> list[str]:
        """The texts of all events, each as often as it was counted."""
        found = self.store.scan(EVENT, NAMESPACE)
        ours = [event for event in found if event["involvedObject"]["kind"] == CANARY.kind]
        return [text for event in ours for text in [event["message"]] * event["count"]]

    def leader(self) -> str:
        """Who holds the lease."""
        lease = self.store.peek(Ref(LEASE, "default", "flagger-leader-election")) or {}
        holder: str = lease.get("spec", {}).get("holderIdentity", "")
        return holder

    async def _ask(self, method: str, path: str, body: Any, sort: str = "application/json") -> None:
        answer = await self.api.handle(Request.to(method, path, body, content_type=sort))
        assert answer.status < 300, f"{method} {path}: {answer.body.decode()}"


@asynccontextmanager
async def place(folder: Path, *, defined: bool = True) -> AsyncIterator[Place]:
    """A cluster for one test; no operator outlives it."""
    async with simulated() as cluster, Prometheus(asyncio.get_running_loop().time) as prometheus:
        made = Place(cluster, prometheus, folder)
        try:
            if defined:
                await made.define()
            yield made
        finally:
            made.kill()


async def until(holds: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Wait until something holds that no event tells of, since a process or its log is part of it."""
    try:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110 - processes and their logs have no event to wait for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {within:.0f} s in vain for {what}") from None


def shop(**analysis: object) -> list[Manifest]:
    """A Deployment behind an Ingress, and a Canary that gives a new revision half of the traffic and then all."""
    labels, head = {"app": "shop"}, {"metadata": {"name": "shop"}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    rules = [{"host": "shop.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    steps = {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50, **analysis}
    canary = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"},
        "service": {"port": 80},
        "analysis": {"metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}], **steps},
    }
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", **head, "spec": deployment},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **head, "spec": {"rules": rules}},
        {"apiVersion": CANARY.api_version, "kind": CANARY.kind, **head, "spec": canary},
    ]
