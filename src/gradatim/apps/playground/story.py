"""The release that the playground plays: version 1 serves, version 2 is promoted, version 3 is rolled back."""

from __future__ import annotations

import asyncio
import copy

from gradatim.api.status import Phase
from gradatim.apps.playground.journal import Journal
from gradatim.apps.playground.local_cluster import LocalCluster
from gradatim.apps.playground.releases import APP, HOST, NAMESPACE, REGISTRY, Release
from gradatim.apps.playground.user import PATIENCE, User
from gradatim.ports.objects import CANARY, Manifest
from gradatim.sim.load import Load, Request

Outcome = tuple[str, bool]


class Story:
    """Plays a release and says whether it went as it should."""

    def __init__(self, cluster: LocalCluster, release: Release, journal: Journal, *, shortened: bool) -> None:
        self._cluster = cluster
        self._release = release
        self._journal = journal
        self._shortened = shortened
        self._user = User(cluster, release.canary, PATIENCE if shortened else 10 * PATIENCE)
        self.outcomes: list[Outcome] = []

    async def begin(self) -> Load:
        """Install the application and the Canary; returns the users, who are there before the first pod is moved."""
        self._journal.chapter = "three pods of version 1"
        self._journal.say(f"kubectl apply -f app.yaml   ({APP}, three pods of v1)")
        await self._user.apply(self._release.app())
        await self._user.pods_ready()
        load = self._load()
        if self._release.mesh == "nginx":  # only there do users reach the pods before the Canary exists
            await self._cluster.traefik.wait_for_route(HOST)
            await self._start(load)
        self._journal.chapter = "initialization"
        self._journal.say(f"kubectl apply -f canary.yaml   ({self._release.title})")
        manifests = self._release.analysis()
        if self._shortened:
            manifests = shortened(manifests, self._release.interval)
        await self._user.apply(manifests)
        await self._user.phase(Phase.INITIALIZED)
        if self._release.mesh != "nginx":
            await self._cluster.traefik.wait_for_route(HOST)
            await self._start(load)
        await asyncio.sleep(2)
        return load

    async def users(self) -> Load:
        """Nothing but the users, for those who want to play by hand."""
        load = self._load()
        await load.__aenter__()
        return load

    def _load(self) -> Load:
        return Load(Request(self._cluster.traefik.address, self._cluster.traefik.web_port, HOST), rate=100.0)

    async def play(self) -> None:
        """Release a good version and a bad one."""
        await self._release_version("v2", "version 2, which is good", Phase.SUCCEEDED)
        await asyncio.sleep(2)
        await self._release_version("v3", "version 3, which answers 5xx", Phase.FAILED)
        await asyncio.sleep(1.5)
        serving = max(self._journal.shares, key=lambda version: self._journal.shares[version], default="nobody")
        self.outcomes.append((f"afterwards all users are answered by {serving}", set(self._journal.shares) == {"v2"}))

    async def _release_version(self, tag: str, what: str, wanted: Phase) -> None:
        self._journal.chapter = what
        self._journal.say(f"kubectl -n {NAMESPACE} set image deployment/{APP} hello={REGISTRY}:{tag}")
        await self._user.set_image(tag)
        await self._user.phase(Phase.PROGRESSING)
        ended = await self._user.phase(Phase.SUCCEEDED, Phase.FAILED)
        done = {Phase.SUCCEEDED: "promoted", Phase.FAILED: "rolled back"}
        self.outcomes.append((f"{tag} was {done[ended]} ({self._why()})", ended is wanted))

    def _why(self) -> str:
        canary = self._journal.canary
        ready = canary.status.condition("Ready") if canary is not None else None
        return ready.message.rstrip(".") if ready is not None else "no reason given"

    async def _start(self, load: Load) -> None:
        await load.__aenter__()
        self._journal.listen(load)
        self._journal.say(f"100 requests a second to http://{HOST}/ begin")


def shortened(manifests: list[Manifest], interval: str) -> list[Manifest]:
    """The same with another analysis interval."""
    made = copy.deepcopy(manifests)
    for manifest in made:
        if manifest["kind"] == CANARY.kind:
            manifest["spec"]["analysis"]["interval"] = interval
    return made
