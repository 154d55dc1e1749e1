"""Canaries that the API server takes and that are wrong, all at once, beside a healthy one.

Each is told what is wrong, naming the field and the fix, in a condition and in an event, before anything is moved or
scaled; once mended it goes on by itself. The healthy one is released in time. The cases are in `wrong_input.yaml`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.client import Client
from cluster.fixtures import Cluster
from cluster.namespaces import make_namespace, until
from cluster.operator import Account, Operator
from cluster.processes import Process, free_port
from cluster.prometheus import Prometheus
from gradatim.ports.objects import CANARY, DEPLOYMENT, EVENT, INGRESS, SERVICE, Manifest

HEALTHY = "healthy"
WITHIN = 30.0
"""Seconds in which a user is told."""
RELEASED_WITHIN = 120.0
"""Seconds for a release of two steps at an interval of one second: not a measurement, only an end to the waiting."""

_FILE: Manifest = yaml.safe_load((Path(__file__).parent / "wrong_input.yaml").read_text())


@dataclass(frozen=True)
class Case:
    """One entry of the file."""

    name: str
    says: list[str]
    how: str = "refused"
    spec: Manifest = field(default_factory=dict)
    target: Manifest | None = field(default_factory=dict)
    ingress: Manifest | None = field(default_factory=dict)
    objects: list[Manifest] = field(default_factory=list)
    mend: Any = None

    def canary(self) -> Manifest:
        """The Canary as the user wrote it."""
        spec = _merged(_of(_FILE["canary"], self.name), self.spec)
        return {"apiVersion": CANARY.api_version, "kind": "Canary", "metadata": {"name": self.name}, "spec": spec}

    def beside(self) -> Iterator[Manifest]:
        """What there is before the Canary."""
        if self.target is not None:
            yield _merged(_of(_FILE["target"], self.name), self.target)
        if self.ingress is not None:
            yield _merged(_of(_FILE["ingress"], self.name), self.ingress)
        yield from self.objects

    def target_name(self) -> str:
        """The target's name; empty where there is none."""
        return "" if self.target is None else str(self.target.get("metadata", {}).get("name", self.name))


CASES = [Case(**one) for one in _FILE["cases"]]
MENDED = [case for case in CASES if case.mend is not None]


@dataclass
class Seen:
    """The namespace at one moment, by kind and name."""

    canaries: dict[str, Manifest]
    deployments: dict[str, Manifest]
    services: dict[str, Manifest]
    ingresses: dict[str, Manifest]
    events: list[Manifest]
    at: float


@dataclass
class Played:
    """What happened: the state when all had been told, after the healthy release, and after mending."""

    namespace: str
    told: Seen
    released: Seen
    after: Seen
    began: float
    initialized: float = 0.0
    took: float = 0.0


@pytest.fixture(scope="module")
def played(cluster: Cluster, crds: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Everything is applied at once; the operator's log is kept beside it."""
    crds("own", "gatewayapi", "traefik")
    return asyncio.run(_play(cluster, tmp_path_factory.mktemp("operator") / "operator.log"))


async def _play(cluster: Cluster, log: Path) -> Played:
    async with Client(cluster.plane.admin) as admin, Prometheus() as prometheus:
        flags = {
            "metrics-server": prometheus.url,
            "mesh-provider": "nginx",
            "no-cross-namespace-refs": "true",
            "minimum-interval": "1s",
            "settle-time": "500ms",
        }
        account = await Account.install(cluster.plane, admin)
        operator = await Operator.start(cluster.plane, admin, account, flags, log=log)
        try:
            namespace = await make_namespace(admin, f"wrong-{secrets.token_hex(3)}")
            return await _Story(admin, namespace, prometheus.url).play()
        finally:
            operator.kill()


class _Story:
    def __init__(self, admin: Client, namespace: str, prometheus: str) -> None:
        self._admin, self._namespace, self._prometheus = admin, namespace, prometheus

    async def play(self) -> Played:
        """Apply all, release the healthy one, mend some."""
        healthy = Case(HEALTHY, [])
        await self._apply(*(one for case in (healthy, *CASES) for one in case.beside()))
        began = time.monotonic()
        await self._apply(healthy.canary())  # the first: of two for one target the older one is in the right
        await self._apply(*(case.canary() for case in CASES))
        await self._phase(HEALTHY, "Initialized")
        initialized = time.monotonic() - began
        await asyncio.sleep(max(0.0, began + WITHIN + 1 - time.monotonic()))
        told = await self._look()
        released = time.monotonic()
        container = {"name": "app", "image": "app:2"}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self._admin.merge(DEPLOYMENT, self._namespace, HEALTHY, patch)
        await self._phase(HEALTHY, "Succeeded", RELEASED_WITHIN)
        took = time.monotonic() - released
        after_release = await self._look()
        await asyncio.gather(*map(self._mend, MENDED))
        await asyncio.gather(*(self._phase(case.name, "Initialized", 120.0) for case in MENDED))
        after = await self._look()
        return Played(self._namespace, told, after_release, after, began, initialized, took)

    async def _apply(self, *manifests: Manifest) -> None:
        await asyncio.gather(*map(self._create, manifests))

    async def _create(self, manifest: Manifest) -> None:
        resource = await self._admin.kind(manifest["apiVersion"], manifest["kind"])
        text = yaml.safe_dump(manifest).replace("PROMETHEUS", self._prometheus)
        await self._admin.create(resource, self._namespace, yaml.safe_load(text))

    async def _mend(self, case: Case) -> None:
        if isinstance(case.mend, dict):
            await self._admin.merge(CANARY, self._namespace, case.name, {"spec": case.mend})
        else:
            await self._apply(*case.mend)

    async def _phase(self, name: str, wanted: str, seconds: float = 120.0) -> None:
        async def reached() -> bool:
            canary = await self._admin.get(CANARY, self._namespace, name)
            return canary.get("status", {}).get("phase") == wanted

        await until(reached, f"{name} {wanted}", seconds, every=0.1)

    async def _look(self) -> Seen:
        kinds = (CANARY, DEPLOYMENT, SERVICE, INGRESS)
        found = [
            {one["metadata"]["name"]: one for one in await self._admin.items(kind, self._namespace)} for kind in kinds
        ]
        return Seen(*found, events=await self._admin.items(EVENT, self._namespace), at=time.monotonic())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_said_in_a_condition_and_an_event(played: Played, case: Case) -> None:
    """The field, what is wrong with it, and what to do."""
    kind, status, reason = {
        "refused": ("Ready", "False", "InvalidSpec"),
        "waiting": ("Ready", "False", "NotPossible"),
        "warned": ("SpecWarning", "True", "Questionable"),
    }[case.how]
    says = [text.replace("NS", played.namespace) for text in case.says]
    condition = _condition(played.told.canaries[case.name], kind)
    assert condition is not None, played.told.canaries[case.name].get("status")
    assert (condition["status"], condition["reason"]) == (status, reason), condition
    for text in says:
        assert text in condition["message"]
    created = played.told.canaries[case.name]["metadata"]["creationTimestamp"]
    assert _seconds(condition["lastTransitionTime"]) - _seconds(created) <= WITHIN

    told = [one for one in _events(played.told, case.name) if one["type"] == "Warning"]
    wanted = says[1:2] if case.how == "waiting" else says
    assert any(all(text in one["message"] for text in wanted) for one in told), told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_of_a_wrong_one_is_moved_or_scaled(played: Played, case: Case) -> None:
    """The target runs as before and nobody's requests go elsewhere; what the spec itself forbids is not even begun."""
    if case.how == "warned":
        assert played.told.canaries[case.name]["status"]["phase"] == "Initialized"
        return
    for seen in (played.told, played.released):
        name = case.target_name()
        if name and case.spec.get("targetRef", {}).get("name") != HEALTHY:
            assert seen.deployments[name]["spec"]["replicas"] == 1
            assert seen.deployments[name]["metadata"]["generation"] == 1
        assert case.name not in seen.services
        assert f"{case.name}-canary" not in seen.ingresses
        if case.how == "refused":
            assert f"{name}-primary" not in seen.deployments


def test_nothing_is_told_again_and_again(played: Played) -> None:
    """A refusal is one event; a missing object is told at most once an interval, and written into the status once."""
    for case in CASES:
        for event in _events(played.released, case.name):
            if case.how != "waiting":
                assert event["count"] == 1 or "Invalid spec" not in event["message"], event
        before, after = (seen.canaries[case.name] for seen in (played.told, played.released))
        if case.how != "warned":
            assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"], case.name


def test_the_healthy_one_is_released_in_time(played: Played) -> None:
    """Nobody else's mistakes delay it."""
    assert played.initialized < RELEASED_WITHIN
    assert played.took < RELEASED_WITHIN
    healthy = played.released.canaries[HEALTHY]
    assert healthy["status"]["phase"] == "Succeeded"
    assert _condition(healthy, "SpecWarning") is None
    primary = played.released.deployments[f"{HEALTHY}-primary"]
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "app:2"
    said = [one["message"] for one in _events(played.released, HEALTHY) if one["type"] == "Warning"]
    assert not [text for text in said if "not ready" not in text]


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
def test_a_mended_one_goes_on_by_itself(played: Played, case: Case) -> None:
    """Once the spec is corrected, or what it refers to is there."""
    canary = played.after.canaries[case.name]
    ready = _condition(canary, "Ready")
    assert canary["status"]["phase"] == "Initialized"
    assert ready is not None
    assert ready["status"] == "True"
    assert _condition(canary, "Stalled") is None
    assert played.after.deployments[f"{case.name}-primary"]["status"]["availableReplicas"] == 1
    assert played.after.deployments[case.name]["spec"]["replicas"] == 0


def test_a_mesh_provider_that_nobody_has_ends_the_operator(cluster: Cluster, tmp_path: Path) -> None:
    """Flagger takes Istio for it; here the program ends with the names that there are."""
    from cluster.operator import COMMAND

    config = cluster.plane.admin.kubeconfig(tmp_path / "kubeconfig")
    flags = {"kubeconfig": str(config), "port": str(free_port()), "mesh-provider": "ngnix"}
    command = [*COMMAND, "operator", *(f"-{name}={value}" for name, value in flags.items())]
    process = Process(command, tmp_path / "operator.log")
    assert process.wait(15.0) == 1
    assert "unknown mesh provider ngnix; known are: " in process.last_words()


def _condition(canary: Manifest, kind: str) -> Manifest | None:
    conditions = canary.get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), None)


def _events(seen: Seen, name: str) -> list[Manifest]:
    return [one for one in seen.events if one["involvedObject"]["name"] == name]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _of(manifest: Manifest, name: str) -> Manifest:
    named: Manifest = yaml.safe_load(yaml.safe_dump(manifest).replace("NAME", name))
    return named


def _merged(base: Manifest, patch: Manifest) -> Manifest:
    """A JSON merge patch."""
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result
