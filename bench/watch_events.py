"""How fast the cache takes list pages and watch events, and how much memory it keeps.

    python3 dev.py run python bench/watch_events.py [--objects 5000] [--events 100000] [--json FILE]

Three cases: every object kept, one in a hundred wanted (the usual one for Deployments), nothing wanted. The budget is
30,000 events a second on one core. Time is this process' own CPU time, so that a slow server does not flatter or
harm; `wall` shows both together.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.credentials import Access, Fixed, Identity
from gradatim.kube.http import HttpTransport
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import CANARY, DEPLOYMENT, Ref

BUDGET = 30_000.0
CASES = {"all kept": 1, "1 in 100 wanted": 100, "1 wanted": 0}


@contextmanager
def fake_server(objects: int) -> Iterator[tuple[str, int]]:
    """The server in its own process: its URL and the size of its objects."""
    script = Path(__file__).with_name("fake_server.py")
    with subprocess.Popen([sys.executable, str(script), str(objects)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield f"http://127.0.0.1:{told['port']}", told["object_bytes"]
        finally:
            process.terminate()


def resident_mb() -> float:
    """Resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def measure(server: str, objects: int, events: int, every: int) -> dict[str, float]:
    """Sync, take a burst, and say what it cost."""
    heard, done = 0, asyncio.Event()

    def on_change(ref: Ref, _owners: frozenset[Ref]) -> None:
        nonlocal heard
        heard += 1
        if ref == sentinel and armed:
            done.set()

    armed = False
    sentinel = Ref(DEPLOYMENT, "team-0", "podinfo-0")
    owner = Ref(CANARY, "test", "bench")
    http = HttpTransport(Access(server, Fixed(Identity())), {})
    client = Client(http, Limiter(0), time.monotonic, "gradatim-bench")
    cache = Cache(client, time.monotonic, "", on_change)
    before = resident_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    if every == 1:
        cache.watch_all(DEPLOYMENT)
        await cache.synced(DEPLOYMENT)
    else:
        wanted = range(0, objects, every) if every else (0,)
        refs = [Ref(DEPLOYMENT, f"team-{number % 20}", f"podinfo-{number}") for number in wanted]
        await asyncio.gather(*(cache.want(ref, owner) for ref in refs))
    sync_cpu, sync_wall = time.process_time() - cpu, time.perf_counter() - wall
    kept = resident_mb() - before
    while not cache.counts()[DEPLOYMENT].connected:
        await asyncio.sleep(0.01)
    armed, heard = True, 0
    cpu, wall = time.process_time(), time.perf_counter()
    burst = asyncio.create_task(http.request("GET", f"/burst/{events}", timeout=600))
    await done.wait()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await burst
    counts = cache.counts()[DEPLOYMENT]
    assert (counts.events, counts.skipped) == (events, 0), counts
    await cache.close()
    await http.close()
    return {
        "sync_s": sync_wall,
        "sync_cpu_s": sync_cpu,
        "kept_mb": kept,
        "kept_objects": counts.objects,
        "told": heard,
        "us_per_event": cpu / events * 1e6,
        "events_per_core_s": events / cpu,
        "events_per_wall_s": events / wall,
    }


def main() -> int:
    """Run all cases, print a table, and fail if one misses the budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    print(
        f"{'case':<16}{'sync s':>8}{'CPU s':>8}{'kept':>7}{'MB':>7}{'told':>8}"
        f"{'us/event':>10}{'ev/core s':>11}{'ev/wall s':>11}"
    )
    for name, every in CASES.items():
        with fake_server(options.objects) as (server, size):
            found = asyncio.run(measure(server, options.objects, options.events, every))
        results[name] = found
        print(
            f"{name:<16}{found['sync_s']:>8.2f}{found['sync_cpu_s']:>8.2f}{found['kept_objects']:>7.0f}"
            f"{found['kept_mb']:>7.1f}{found['told']:>8.0f}{found['us_per_event']:>10.1f}"
            f"{found['events_per_core_s']:>11,.0f}{found['events_per_wall_s']:>11,.0f}"
        )
        results["object_bytes"] = size
    worst = min(results[name]["events_per_core_s"] for name in CASES)
    print(
        f"{options.objects} objects of {results['object_bytes']} bytes; "
        f"budget {BUDGET:,.0f} events a core second, worst {worst:,.0f}"
    )
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0 if worst >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
