"""The story that is played for each way of moving traffic, with users there from before the Canary until after it.

Initialization; a release of version 2, promoted; one of version 3, which is bad and rolled back; deletion. Every step
waits for a state of the world. Weights grow only when enough requests have been counted: a gate of the Canary sees to
that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from cluster.client import POD, STRATEGIC, Client, path
from cluster.hooks import Hooks
from cluster.namespaces import make_namespace, until
from cluster.parity.normal import stripped
from cluster.prometheus import Prometheus
from cluster.traffic.edge import Edge
from cluster.traffic.entrances import Entrance
from cluster.traffic.findings import Counts, Split, Told
from cluster.traffic.pods import BAD
from cluster.traffic.users import Users
from gradatim.ports.objects import CANARY, DEPLOYMENT, Manifest

ENOUGH = 600
"""Requests that are counted for one split."""
SOME = 200
"""The same where all of them should go to one version."""
PROMOTE = 101
"""A limit beyond all weights."""
PATIENCE = 60.0


class Gate(Hooks):
    """Lets the weight of a Canary grow up to a limit, and not further, however often it is asked."""

    def __init__(self, admin: Client) -> None:
        super().__init__()
        self.limits: dict[str, int] = {}
        self._admin = admin

    async def receive(self, path: str, body: str) -> int:
        """Whether the weight that the status tells may grow."""
        namespace = path.partition("/")[0]
        status = (await self._admin.get(CANARY, namespace, "shop")).get("status", {})
        return 200 if status.get("canaryWeight", 0) < self.limits.get(namespace, 0) else 403


@dataclass
class Story:
    """One application, its users, and what is told of them."""

    entrance: Entrance
    admin: Client
    edge: Edge
    gate: Gate
    prometheus: Prometheus
    told: Told = field(default_factory=Told)
    users: Users = field(init=False)

    @property
    def namespace(self) -> str:
        """Where it is played."""
        return self.entrance.namespace

    async def play(self) -> Told:
        """All of it."""
        await make_namespace(self.admin, self.namespace)
        for manifest in self.entrance.objects():
            await self.admin.apply(manifest, self.namespace)
        await self.edge.wait_for_route(self.entrance.host, patience=PATIENCE)
        self.told.before = await self._everything()
        async with Users(self.edge, self.entrance.host) as self.users:
            await self._initialize()
            await self._release("v2")
            await self._promote("v2")
            await self._release(BAD)
            await self._roll_back("v2")
            await self._delete("v2")
        self._note("deletion")
        self.told.after = await self._everything()
        return self.told

    async def _initialize(self) -> None:
        await self._serves("v1", 100, "before the Canary")
        await self.admin.create(CANARY, self.namespace, self.entrance.canary(self.gate.address(self.namespace)))
        await self._phase("Initialized")
        await self._pods_gone("shop")
        await self._serves("v1", 100, "initialization")

    async def _release(self, version: str) -> None:
        """Up to the last weight, or, for the bad one, to the first."""
        await self._image(version)
        for weight in self.entrance.steps[: 1 if version == BAD else None]:
            self.gate.limits[self.namespace] = weight
            await self._until(self._has(canaryWeight=weight), f"weight {weight} of {version}")
            await self._follows(weight)
            await self._serves(version, weight, f"{version} at weight {weight}")

    async def _promote(self, version: str) -> None:
        self.gate.limits[self.namespace] = PROMOTE
        await self._phase("Succeeded")
        self.gate.limits[self.namespace] = 0
        await self._pods_gone("shop")
        await self._serves(version, 100, f"{version} promoted")

    async def _roll_back(self, to: str) -> None:
        """The metric shows how bad it is; later the user takes it back, too."""
        answers = self.prometheus.of(self.namespace)
        answers.metric = "50"
        await self._phase("Failed")
        await self._pods_gone("shop")
        await self._serves(to, 100, f"back to {to}")
        answers.metric = "100"
        await self._image(to)

    async def _delete(self, version: str) -> None:
        await self.admin.delete(CANARY, self.namespace, "shop")

        async def gone() -> bool:
            return not await self.admin.find(CANARY, self.namespace, "shop")

        await self._until(gone, "the end of the Canary")
        await self._pods_gone("shop-primary")
        await self._serves(version, 100, "deletion")

    async def _serves(self, version: str, share: int, when: str) -> None:
        """Count enough requests from now on: so many of a hundred should be answered by this version."""
        self._note(when)
        await self.users.send(SOME if share == 100 else ENOUGH)
        self.told.splits.append(Split(when, version, share, self._note(when)))

    def _note(self, chapter: str) -> Counts:
        """Put everything counted since the last time into this chapter."""
        counts = self.users.counted()
        self.told.chapters[chapter] = self.told.chapters.get(chapter, Counts()) + counts
        return counts

    async def _image(self, version: str) -> None:
        template = {"spec": {"containers": [{"name": "shop", "image": f"shop:{version}"}]}}
        where = path(DEPLOYMENT, self.namespace, "shop")
        await self.admin.must("PATCH", where, {"spec": {"template": template}}, content_type=STRATEGIC)

    async def _phase(self, phase: str) -> None:
        await self._until(self._has(phase=phase), f"phase {phase}")

    async def _follows(self, weight: int) -> None:
        """Traefik says so itself."""

        async def follows() -> bool:
            with suppress(aiohttp.ClientError):
                return await self.edge.share(self.namespace) == weight
            return False

        await self._until(follows, f"Traefik at weight {weight}")

    async def _pods_gone(self, app: str) -> None:
        async def gone() -> bool:
            return not await self.admin.items(POD, self.namespace, labelSelector=f"app={app}")

        await self._until(gone, f"the end of the pods of {app}")

    def _has(self, **wanted: object) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            status = (await self.admin.get(CANARY, self.namespace, "shop")).get("status", {})
            return wanted.items() <= status.items()

        return reached

    async def _until(self, look: Callable[[], Awaitable[bool]], what: str) -> None:
        await until(look, f"{self.namespace}: {what}", PATIENCE)

    async def _everything(self) -> dict[str, Manifest]:
        """What there is of all kinds that users made, but for the versions that they run."""
        kinds = {(one["apiVersion"], one["kind"]) for one in self.entrance.objects()}
        found = {}
        for api_version, kind in sorted(kinds):
            for one in await self.admin.items(await self.admin.kind(api_version, kind), self.namespace):
                plain = stripped({"apiVersion": api_version, "kind": kind, **one})
                plain["spec"].pop("template", None)
                found[f"{kind}/{one['metadata']['name']}"] = plain
        return found
