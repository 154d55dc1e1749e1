"""Where all stories are played: one operator, its scripted servers, and a look at every request on its way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.audit import Request
from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.faulty_proxy import FaultyProxy, Passed, Passing
from cluster.hooks import Hooks
from cluster.namespaces import until
from cluster.operator import Account, Grant, Operator
from cluster.prometheus import Prometheus
from cluster.stories.lacking import TAKEN, Lacked, lacking
from cluster.stories.servers import Servers
from cluster.stories.telling import PATIENCE, Telling, Told
from cluster.stories.timeline import Timeline
from cluster.stories.walkthrough import Walk, walk
from gradatim.ports.objects import CANARY, DEPLOYMENT, LEASE, Manifest

_ORDINARY = "a last step above 100 is 100"
SYSTEMS = ("gatewayapi", "keda", "traefik")


@dataclass(frozen=True)
class Played:
    """Everything that came of it."""

    told: Mapping[str, Told]
    walked: Walk
    requests: list[Request]
    granted: set[Grant]
    lacked: Mapping[Grant, Lacked]
    owning: int
    """How many objects were made whose owner reference blocks the deletion of their Canary."""
    warnings: list[str]
    """What the API server warned of, in answer to writes: fields that it dropped, or versions that will go."""


@dataclass
class _Watcher:
    """Sees every answer that the operator gets."""

    tellings: list[Telling] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    owning: int = 0

    async def passing(self, passing: Passing) -> None:
        """One request, on its way to the API server."""
        for telling in self.tellings:
            await telling.asked(passing)

    async def passed(self, passed: Passed) -> None:
        """One answer, on its way to the operator."""
        if passed.status == 201 and b'"blockOwnerDeletion":true' in passed.request.body:
            self.owning += 1
        if warning := passed.headers.get("Warning"):
            self.warnings.append(f"{passed.request.method} {passed.request.path}: {warning}")
        for telling in self.tellings:
            await telling.answered(passed)


async def play(plane: ControlPlane, stories: Sequence[Timeline], log: Path) -> Played:
    """All stories and the walk-through at once, as many Canaries of one cluster are."""
    async with Client(plane.admin) as admin, Prometheus() as prometheus, Hooks() as hooks, FaultyProxy(plane) as proxy:
        servers, watcher = Servers(plane, admin, prometheus, hooks), _Watcher()
        proxy.before, proxy.after = watcher.passing, watcher.passed
        account = await Account.install(plane, admin)
        # Names of the cluster are found by the scripted Prometheus, which answers to all of them.
        environ = {"HTTP_PROXY": prometheus.url, "NO_PROXY": "127.0.0.1"}
        flags = servers.flags()
        operator = await Operator.start(plane, admin, account, flags, server=proxy.url, log=log, environ=environ)
        try:
            for number, story in enumerate(stories):
                watcher.tellings.append(Telling(servers, story, f"story-{number}-{secrets.token_hex(3)}"))
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_lives(operator))
                walking = group.create_task(walk(plane, admin, prometheus))
                told = await asyncio.gather(*(one.play() for one in watcher.tellings))
                await _lose_primaries(admin, watcher.tellings)
                # The walk has intervals of ten seconds, and so most of the machine is free for the others now.
                await _elect(servers, account)
                (ordinary,) = [story for story in stories if story.name == _ORDINARY]
                lacked = await asyncio.gather(*(lacking(servers, ordinary, one) for one in TAKEN))
                walked = await walking
                watch.cancel()
        finally:
            operator.kill()
        return Played(
            told={one.story.name: seen for one, seen in zip(watcher.tellings, told, strict=True)},
            walked=walked,
            requests=operator.audit.requests(),
            granted=account.granted(),
            lacked=dict(zip(TAKEN, lacked, strict=True)),
            owning=watcher.owning,
            warnings=watcher.warnings,
        )


async def _lives(operator: Operator) -> None:
    """Raise when it has ended, so that nobody waits for it in vain."""
    while True:
        operator.process.check()
        await asyncio.sleep(0.5)


async def _lose_primaries(admin: Client, tellings: Sequence[Telling]) -> None:
    """Two primaries are deleted whose targets hold what failed; each comes back as what was promoted.

    The first makes the operator follow what is kept, the second makes it ask for one that it did not follow so far.
    """
    lost = 0
    for namespace in (telling.namespace for telling in tellings):
        canary = await admin.find(CANARY, namespace, "podinfo")
        status = (canary or {}).get("status", {})
        promoted = status.get("lastPromotedSpec")
        if status.get("phase") != "Failed" or promoted in (None, "", status["lastAppliedSpec"]):
            continue
        before = await admin.get(DEPLOYMENT, namespace, "podinfo-primary")
        await admin.delete(DEPLOYMENT, namespace, "podinfo-primary")

        async def back(namespace: str = namespace, before: Manifest = before) -> bool:
            now = await admin.find(DEPLOYMENT, namespace, "podinfo-primary")
            return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]

        await until(back, f"the primary in {namespace} is back", PATIENCE)
        after = await admin.get(DEPLOYMENT, namespace, "podinfo-primary")
        images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in (before, after)]
        assert images[0] == images[1], "a primary came back as something else"
        lost += 1
        if lost == 2:
            return
    raise AssertionError(f"{lost} stories end with a rollback, two are needed")


async def _elect(servers: Servers, account: Account) -> None:
    """Lead, renew and give back the Lease: by an operator of its own, since a busy machine may cost the lead."""
    candidate = await Operator.start(servers.plane, servers.admin, account, servers.candidate(account))
    try:

        async def renewed() -> bool:
            return (LEASE.group, LEASE.plural, "update") in candidate.audit.used()

        await until(renewed, "a renewal of the Lease", PATIENCE)
    finally:
        candidate.stop()
