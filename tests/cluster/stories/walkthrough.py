"""The scenario that started the product, walked through by kubectl as its document does, on the real server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from cluster.client import NAMESPACE, Client
from cluster.control_plane import ControlPlane
from cluster.kubectl import PATIENCE, Kubectl
from cluster.namespaces import make_namespace, until
from cluster.prometheus import Answers, Prometheus
from gradatim.ports.objects import CANARY, DEPLOYMENT, EVENT, Manifest

HERE = Path(__file__).resolve().parents[3]
MANIFESTS = HERE / "src" / "gradatim" / "apps" / "scenario"
NAME = "test"
"""The namespace that the manifests name."""
IMAGE = "ghcr.io/kmaster8/hello"
OF_CANARIES = "--field-selector=involvedObject.kind=Canary"
TOLD = "-o=custom-columns=TYPE:.type,REASON:.reason,FROM:.source.component,MESSAGE:.message"
ERRORS = 'status=~"5.*|4.*"'
"""What only the numerator of the scenario's query asks for."""


@dataclass
class Walk:
    """What kubectl printed at each step of the document."""

    printed: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Manifest] = field(default_factory=dict)
    servers: set[str] = field(default_factory=set)
    """Who the operator asked for metrics, by name."""
    queries: set[str] = field(default_factory=set)
    watched: list[str] = field(default_factory=list)
    """Status and weight as `kubectl get --watch` shows them, in the last part of the walk."""
    failure: str = ""


async def walk(plane: ControlPlane, admin: Client, prometheus: Prometheus) -> Walk:
    """The whole walk; where it came to a halt, what was seen until then."""
    walk = Walk()
    await make_namespace(admin, NAME)
    answers = prometheus.of(NAME)
    kubectl = Kubectl(plane.admin.kubeconfig(plane.home / "walk.kubeconfig"), NAME)
    try:
        await _installed(admin, kubectl, walk, answers)
        await _healthy(admin, kubectl, walk)
        await _failing(admin, kubectl, walk, answers)
        await _weighted(admin, kubectl, walk, answers)
    except (AssertionError, TimeoutError) as error:
        walk.failure = str(error)
    walk.servers = {query.server for query in answers.queries}
    walk.queries = {query.text for query in answers.queries}
    await admin.delete(NAMESPACE, "", NAME)
    return walk


async def _installed(admin: Client, kubectl: Kubectl, walk: Walk, answers: Answers) -> None:
    """Points 1 to 4: the application runs, the Canary is applied and initialized."""
    answers.metric, answers.without = "12.5", ERRORS
    walk.printed["app"] = await kubectl("apply", "-f", str(MANIFESTS / "app.yaml"))
    await kubectl("rollout", "status", "deployment/hello-v1", f"--timeout={PATIENCE:.0f}s")
    walk.printed["canary"] = await kubectl("apply", "-f", str(MANIFESTS / "canary.yaml"))
    await _phase(admin, "Initialized")
    await _pods(admin, 0)
    walk.printed["initialized"] = await kubectl("get", "canaries", "--show-kind")
    walk.printed["deployments"] = await kubectl("get", "deployments")
    walk.printed["services"] = await kubectl("get", "services")
    walk.objects["original"] = await kubectl.json("get", "ingress", "prod-ingress")
    walk.objects["ingress"] = await kubectl.json("get", "ingress", "prod-ingress-canary")
    walk.objects["canary"] = await kubectl.json("get", "canary", "hello")


async def _healthy(admin: Client, kubectl: Kubectl, walk: Walk) -> None:
    """Points 5 and 6: a first try whose image cannot be pulled is replaced at once, and version 2 is promoted."""
    await kubectl("set", "image", "deployment/hello-v1", "hello=broken:v2")
    await _phase(admin, "Progressing")
    walk.printed["set"] = await kubectl("set", "image", "deployment/hello-v1", f"hello={IMAGE}:v2")

    await _told(admin, "Advance hello.test canary iteration 1/3")
    await _pods(admin, 3)
    walk.printed["progressing"] = await kubectl("get", "canaries", "--show-kind")
    walk.printed["analysed"] = await kubectl("get", "deployments")
    await _phase(admin, "Succeeded")
    await _told(admin, "Promotion completed!")
    walk.printed["succeeded"] = await kubectl("get", "canaries", "--show-kind")
    walk.printed["described"] = await kubectl("describe", "canary", "hello")
    walk.printed["events"] = await kubectl("get", "events", OF_CANARIES, TOLD)
    walk.objects["promoted"] = await kubectl.json("get", "deployment", "hello-v1-primary")


async def _failing(admin: Client, kubectl: Kubectl, walk: Walk, answers: Answers) -> None:
    """Point 7: with errors the release rolls back instead."""
    answers.metric, answers.without = "7.25", ""
    await kubectl("set", "image", "deployment/hello-v1", f"hello={IMAGE}:v3")
    await _phase(admin, "Failed")
    await _told(admin, "Canary failed!")
    walk.printed["failed"] = await kubectl("get", "canaries", "--show-kind")
    walk.printed["later events"] = await kubectl("get", "events", OF_CANARIES, TOLD)
    walk.objects["kept"] = await kubectl.json("get", "deployment", "hello-v1-primary")
    walk.objects["stopped"] = await kubectl.json("get", "deployment", "hello-v1")


async def _weighted(admin: Client, kubectl: Kubectl, walk: Walk, answers: Answers) -> None:
    """Point 7 again: with a step weight instead of iterations the same Canary shifts traffic by percentages."""
    answers.without = ERRORS
    analysis = {"iterations": None, "stepWeight": 25, "maxWeight": 75, "interval": "1s"}
    patch = json.dumps({"spec": {"analysis": analysis}})
    await kubectl("patch", "canary", "hello", "--type=merge", f"--patch={patch}")
    async with kubectl.reading("get", "canaries", "--watch", "--no-headers") as lines:
        await kubectl("set", "image", "deployment/hello-v1", f"hello={IMAGE}:v4")
        async for line in lines:
            _, phase, weight, _ = line.split()
            shown = f"{phase} {weight}"
            if walk.watched[-1:] != [shown]:
                walk.watched.append(shown)
            if phase == "Succeeded":
                break


async def _phase(admin: Client, wanted: str) -> None:
    async def reached() -> bool:
        found = await admin.get(CANARY, NAME, "hello")
        return bool(found.get("status", {}).get("phase") == wanted)

    await until(reached, f"hello {wanted}", PATIENCE)


async def _pods(admin: Client, wanted: int) -> None:
    """Pods come and go after the Deployment says how many there should be."""

    async def there() -> bool:
        status = (await admin.get(DEPLOYMENT, NAME, "hello-v1"))["status"]
        return bool(status.get("replicas", 0) == status.get("readyReplicas", 0) == wanted)

    await until(there, f"{wanted} pods of hello-v1", PATIENCE)


async def _told(admin: Client, text: str) -> None:
    """Events come after the status that they tell of."""

    async def told() -> bool:
        return any(text in one["message"] for one in await admin.items(EVENT, NAME))

    await until(told, f"the event {text}", PATIENCE)
