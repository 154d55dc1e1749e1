"""Requests lost over many full releases in the playground: real Traefik, constant load, with and without keep-alive.

    python3 dev.py run python bench/lost_requests.py [--releases 10] [--rate 500] [--provider nginx] [--json FILE]

Every other release is a bad one, which is rolled back. Counted as lost is every request that no version answered: no
answer at all, or an error page of the proxy. `--hard` adds what breaks careless operators: an operator killed at random
moments and started again, a target scaled while it is promoted, a deletion in mid-run with revertOnDeletion.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
from pathlib import Path

from gradatim.api.status import Phase
from gradatim.apps.playground.journal import Journal
from gradatim.apps.playground.local_cluster import LocalCluster, local_cluster
from gradatim.apps.playground.program import operator_process
from gradatim.apps.playground.releases import APP, HOST, MESHES, NAMESPACE, Release, release
from gradatim.apps.playground.story import Story
from gradatim.ports.objects import CANARY, DEPLOYMENT, Ref
from gradatim.sim.load import Load, Request, Tally


async def main() -> int:
    """Run and report; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--releases", type=int, default=10)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second, half of them without keep-alive")
    parser.add_argument("--provider", choices=MESHES, default="nginx")
    parser.add_argument("--hard", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    found = parser.parse_args()
    rows = await measure(release(found.provider), found.releases, found.rate, found.hard, random.Random(found.seed))
    for row in rows:
        counted = f"{row['requests']:>9,} requests {row['lost']:>5} lost"
        print(f"{row['what']:<44} {row['seconds']:6.1f} s {counted} {row['by']}")
    total = sum(row["lost"] for row in rows)
    print(f"{'all':<53} {sum(row['requests'] for row in rows):>9,} requests {total:>5} lost")
    if found.json:
        Path(found.json).write_text(json.dumps(rows, indent=1))
    return 1 if total else 0


async def measure(chosen: Release, releases: int, rate: float, hard: bool, chance: random.Random) -> list[dict]:
    """One row for the initialization, one for each release, one for the deletion."""
    folder = Path(tempfile.mkdtemp(prefix="gradatim-bench-"))
    async with local_cluster(chosen, folder) as cluster:
        journal = Journal(cluster.store, Ref(CANARY, NAMESPACE, chosen.canary))
        story = Story(cluster, chosen, journal, shortened=True)
        meter = Meter(cluster, rate)
        async with contextlib.AsyncExitStack() as stack:
            operator = await stack.enter_async_context(Restarting(cluster, chosen, folder))
            first = await story.begin()
            await meter.start(stack)
            if first.total.answered:
                meter.loads.append(first)
            await meter.note("initialization")
            for number in range(releases):
                bad = number % 2 == 1
                tag = f"v{number + 10}{'-bad' if bad else ''}"
                trouble = asyncio.create_task(_trouble(operator, cluster, chance)) if hard else None
                await story._set_image(tag)
                await story._phase(Phase.PROGRESSING)
                ended = await story._phase(Phase.SUCCEEDED, Phase.FAILED)
                if trouble is not None:
                    await trouble
                await asyncio.sleep(2)
                await meter.note(f"{tag}: {ended.value}")
            await first.stop()
    return meter.rows


class Meter:
    """Two crowds of users: one that keeps its connections, one that never does."""

    def __init__(self, cluster: LocalCluster, rate: float) -> None:
        self._cluster = cluster
        self._rate = rate
        self.loads: list[Load] = []
        self.rows: list[dict] = []
        self._began = asyncio.get_running_loop().time()

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Begin to send."""
        traefik = self._cluster.traefik
        for keep in (True, False):
            request = Request(traefik.address, traefik.web_port, HOST, keep_alive=keep)
            self.loads.append(await stack.enter_async_context(Load(request, self._rate / 2, connections=24)))

    async def note(self, what: str) -> None:
        """One row with everything since the last."""
        tallies = [load.take() for load in self.loads]
        now = asyncio.get_running_loop().time()
        lost = sum(tally.lost + sum(tally.strays.values()) for tally in tallies)
        row = {
            "what": what,
            "seconds": now - self._began,
            "requests": sum(tally.answered + tally.lost for tally in tallies),
            "lost": lost,
            "by": " ".join(map(_reasons, tallies)) if lost else "",
        }
        self._began = now
        self.rows.append(row)
        print(f"  {what}: {row['requests']:,} requests, {lost} lost {row['by']}", file=sys.stderr, flush=True)


def _reasons(tally: Tally) -> str:
    return " ".join(f"{reason}×{count}" for reason, count in (*tally.failures.items(), *tally.strays.items()))


class Restarting:
    """The operator's process, which can be killed and started again."""

    def __init__(self, cluster: LocalCluster, chosen: Release, folder: Path) -> None:
        self._make = lambda: operator_process(cluster.kubeconfig, chosen, cluster.prometheus, cluster.proxy, folder)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Restarting:
        self.process = await self._stack.enter_async_context(self._make())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def kill(self) -> None:
        """As a lost machine does."""
        self.process.kill()
        with contextlib.suppress(Exception):
            await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()
        self.process = await self._stack.enter_async_context(self._make())


async def _trouble(operator: Restarting, cluster: LocalCluster, chance: random.Random) -> None:
    """Kill the operator twice at random moments and scale the target once."""
    await asyncio.sleep(chance.uniform(0.1, 6))
    await operator.kill()
    await asyncio.sleep(chance.uniform(1, 8))
    ref = Ref(DEPLOYMENT, NAMESPACE, APP)
    live = cluster.store.find(ref)
    if live is not None and live["spec"].get("replicas"):
        await cluster.client.patch(ref, {"spec": {"replicas": 2}})
    await operator.kill()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
