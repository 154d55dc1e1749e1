"""What a user does in the playground by the usual means: apply, set an image, scale, delete, and wait."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable

from gradatim.api.status import Phase
from gradatim.apps.playground.local_cluster import LocalCluster
from gradatim.apps.playground.releases import APP, NAMESPACE, REGISTRY
from gradatim.kube.errors import Conflict
from gradatim.ports.objects import CANARY, DEPLOYMENT, Manifest, Ref

PATIENCE = 120.0
"""Seconds that anything may take, unless a user has more patience."""

TARGET = Ref(DEPLOYMENT, NAMESPACE, APP)


class User:
    """Works in the playground's namespace, on its application and one Canary."""

    def __init__(self, cluster: LocalCluster, canary: str, patience: float = PATIENCE) -> None:
        self.cluster = cluster
        self.canary = Ref(CANARY, NAMESPACE, canary)
        self.patience = patience

    async def apply(self, manifests: list[Manifest]) -> None:
        """Create objects, in the playground's namespace unless they say otherwise."""
        made = copy.deepcopy(manifests)
        for manifest in made:
            manifest["metadata"].setdefault("namespace", NAMESPACE)
        await self.cluster.apply(made)

    async def set_image(self, tag: str) -> None:
        """What kubectl does: change the one field, and look again on a conflict."""
        while True:
            live = await self.cluster.client.get(TARGET)
            live["spec"]["template"]["spec"]["containers"][0]["image"] = f"{REGISTRY}:{tag}"
            try:
                await self.cluster.client.replace(TARGET, live)
                return
            except Conflict:
                continue

    async def pods_ready(self) -> None:
        """Wait until the application has all its pods."""
        wanted = self._target("spec").get("replicas", 1)
        await self.until(lambda: self._target("status").get("readyReplicas") == wanted, f"{wanted} ready pods")

    async def phase(self, *wanted: Phase) -> Phase:
        """Wait until the Canary is in one of these phases; says in which."""
        names = " or ".join(phase.value for phase in wanted)
        await self.until(lambda: self.now() in wanted, f"phase {names} of {CANARY.kind} {self.canary.name}")
        return self.now()

    def now(self) -> Phase:
        """The phase of the Canary."""
        return Phase(self.status().get("phase", ""))

    def status(self) -> Manifest:
        """What the Canary says of itself; empty when it is gone or says nothing yet."""
        found: Manifest = (self.cluster.store.peek(self.canary) or {}).get("status") or {}
        return found

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        try:
            async with asyncio.timeout(self.patience):
                while not holds():  # noqa: ASYNC110 - phases, pods and shares have no event in common
                    await asyncio.sleep(0.05)
        except TimeoutError:
            now = self.now().value
            raise TimeoutError(f"waited {self.patience:.0f} s for {what}; the Canary is in phase {now!r}") from None

    def _target(self, part: str) -> Manifest:
        found: Manifest = (self.cluster.store.peek(TARGET) or {}).get(part) or {}
        return found
