"""What Canaries cost a real API server and the operator, and how punctual it is, beside the reference's figures.

    python3 dev.py run python bench/apiserver_load.py [--canaries 1,100,1000] [--json FILE]

For each number of Canaries, on a fresh control plane (etcd, kube-apiserver, kube-controller-manager; pods are pretended
and ready after half a second): NGINX, interval 10 s, stepWeight 20, maxWeight 100, one built-in metric. All are
initialized, left alone for a minute, and released: up to 100 at once, of more a hundred, and all evenly, three or four
a second. A rollout costs the control plane about a hundred requests, and everything shares this machine. Then all get
so many steps that they are in their analysis together, and the steps of a minute are looked at. Requests are those of
the API server's audit log; times are from the moment it received one request to the moment it received another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from load_cluster import ANALYSIS, INTERVAL, STEPS, World, world

from cluster.audit import Request

IDLE = 60.0
SPREAD = 0.3
"""Seconds between two releases when they come evenly."""
AT_ONCE = 100
"""Canaries that are released at once; more are more than the control plane can roll out in time on two cores."""
SMALL_STEP = 1
WATCHED = 60.0
"""Seconds for which the steps of all are looked at."""
SETTLED = 5.0
"""Seconds for the last events to be written after the last status."""

Figures = dict[str, Any]

REFERENCE: dict[int, dict[str, str]] = {
    1: {
        "initialized": "16",
        "idle requests": "11.0",
        "idle CPU": "0.1 %",
        "RSS": "61",
        "requests": "163",
        "writes": "28",
        "scale-up p50": "4",
        "duration": "84",
    },
    100: {
        "initialized": "61",
        "idle requests": "11.0",
        "idle CPU": "9.6 %",
        "RSS": "73",
        "requests": "190",
        "writes": "20",
        "scale-up p50": "11.6",
        "scale-up p99": "12.8",
        "duration": "161",
    },
    1000: {
        "initialized": "325",
        "idle requests": "1.1",
        "idle CPU": "9.4 %",
        "RSS": "121",
        "scale-up p50": "117",
        "scale-up p99": "138",
        "duration": "> 1200",
    },
}
"""Flagger 1.44, measured the same way; the idle requests are per Canary and interval."""


async def measure(count: int) -> Figures:
    """All figures for one number of Canaries."""
    async with world(count) as cluster:
        await cluster.set_up()
        began, cpu = time.monotonic(), cluster.cpu()
        await cluster.create_canaries()
        await cluster.phases("Initialized", 600)
        figures: Figures = {"canaries": count, "initialized": time.monotonic() - began, "load": os.getloadavg()}
        figures["initialized_cpu"] = cluster.cpu() - cpu
        await asyncio.sleep(SETTLED)
        figures["idle"] = await idle(cluster)
        if count <= AT_ONCE:
            figures["at once"] = await release(cluster, "registry.example/app:2", 0.0)
        else:
            figures["a hundred"] = await release(cluster.part(AT_ONCE), "registry.example/app:2", SPREAD * AT_ONCE)
        if count > 1:
            figures["evenly"] = await release(cluster, "registry.example/app:3", SPREAD * count)
            figures["together"] = await step_together(cluster, "registry.example/app:4")
        return figures


async def idle(cluster: World) -> Figures:
    """A minute in which nothing happens."""
    cluster.operator.audit.mark()
    cpu = cluster.cpu()
    await asyncio.sleep(IDLE)
    requests = cluster.operator.audit.per_verb()
    per_interval = sum(requests.values()) / len(cluster.names) / (IDLE / INTERVAL)
    return {
        "requests": dict(requests),
        "per_canary_and_interval": per_interval,
        "cpu_share": (cluster.cpu() - cpu) / IDLE,
        "memory": cluster.memory(),
    }


async def release(cluster: World, image: str, over: float) -> Figures:
    """A new image for all, to the end."""
    cluster.operator.audit.mark()
    cluster.releases.mark()
    cpu, began = cluster.cpu(), time.monotonic()
    await cluster.set_images(image, over)
    released = time.monotonic() - began
    await asyncio.sleep(ANALYSIS)
    await cluster.phases("Succeeded", 600)
    await asyncio.sleep(SETTLED)
    seconds = time.monotonic() - began
    spent = cluster.cpu() - cpu
    requests = cluster.operator.audit.requests()
    return {
        "set_images_seconds": released,
        **_requests(requests, len(cluster.names)),
        **_times(cluster.names, cluster.releases.requests(), requests),
        "cpu_seconds": spent,
        "cpu_ms_per_release": spent / len(cluster.names) * 1000,
        "cpu_share": spent / seconds,
        "memory": cluster.memory(),
        "load": os.getloadavg(),
    }


async def step_together(cluster: World, image: str) -> Figures:
    """A long release of all: how punctual steps are, and what they cost, while every one of them is in its analysis."""
    await cluster.set_steps(SMALL_STEP)
    await asyncio.sleep(SETTLED)
    await cluster.set_images(image, SPREAD * len(cluster.names))
    await cluster.until(lambda canary: canary["status"].get("canaryWeight", 0) > 0, 600)
    await asyncio.sleep(INTERVAL)
    cluster.operator.audit.mark()
    cpu = cluster.cpu()
    await asyncio.sleep(WATCHED)
    spent, requests = cluster.cpu() - cpu, cluster.operator.audit.requests()
    steps = defaultdict[tuple[str, str], list[float]](list)
    for one in requests:
        if one.resource == "ingresses" and one.code < 400:
            steps[one.namespace, one.name].append(_moment(one))
    late = [after - before - INTERVAL for moments in steps.values() for before, after in pairwise(moments)]
    return {
        "stepping": len(steps),
        "steps": sum(map(len, steps.values())),
        "late": _spread(late),
        "requests_per_second": len(requests) / WATCHED,
        "cpu_share": spent / WATCHED,
        "memory": cluster.memory(),
        "load": os.getloadavg(),
    }


def _requests(requests: Sequence[Request], count: int) -> Figures:
    verbs = Counter(request.verb for request in requests)
    kinds = Counter(f"{request.verb} {request.resource}" for request in requests)
    refused = Counter(
        f"{request.code} {request.verb} {request.resource}" for request in requests if request.code >= 400
    )
    return {
        "per_release": len(requests) / count,
        "writes_per_release": sum(request.writes for request in requests) / count,
        "per_verb": {verb: number / count for verb, number in sorted(verbs.items())},
        "per_kind": {kind: number / count for kind, number in sorted(kinds.items())},
        "refused": dict(refused),
    }


def _times(names: Sequence[tuple[str, str]], releases: Sequence[Request], requests: Sequence[Request]) -> Figures:
    begun = {(one.namespace, one.name): _moment(one) for one in releases}
    patched: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for one in requests:
        if one.verb == "patch" and one.code < 400:
            patched[one.resource, one.namespace, one.name].append(_moment(one))
    scaled, late, lasted = list[float](), list[float](), list[float]()
    for namespace, name in names:
        start = begun[namespace, name]
        scaled.append(patched["deployments", namespace, name][0] - start)
        steps = patched["ingresses", namespace, f"{name}-canary"][:STEPS]
        steps += patched["deployments", namespace, f"{name}-primary"][:1]
        late += [after - before - INTERVAL for before, after in pairwise(steps)]
        lasted.append(patched["canaries/status", namespace, name][-1] - start)
    return {"scale_up": _spread(scaled), "late": _spread(late), "duration": _spread(lasted)}


def _moment(request: Request) -> float:
    return datetime.fromisoformat(request.at).timestamp()


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100], "max": ordered[-1]}


Show = Callable[[Figures], str]


def _part(title: str) -> tuple[Callable[[Show], Show], Callable[[str, float], Show]]:
    """How to show something of one part of the figures, and one of its spreads less some seconds."""

    def of(show: Show) -> Show:
        return lambda figures: show(figures[title]) if title in figures else "–"

    def spread(key: str, less: float) -> Show:
        return of(lambda one: " / ".join(f"{one[key][part] - less:.2f}" for part in ("p50", "p99", "max")))

    return of, spread


def _release_rows(title: str) -> list[tuple[str, str, Show]]:
    of, spread = _part(title)
    return [
        (f"released {title}: requests each", "requests", of(lambda one: f"{one['per_release']:.1f}")),
        ("  of them writes", "writes", of(lambda one: f"{one['writes_per_release']:.1f}")),
        ("  all images set within, s", "", of(lambda one: f"{one['set_images_seconds']:.1f}")),
        ("  set image → scale-up, s: p50", "scale-up p50", of(lambda one: f"{one['scale_up']['p50']:.2f}")),
        ("    p99", "scale-up p99", of(lambda one: f"{one['scale_up']['p99']:.2f}")),
        ("    max", "", of(lambda one: f"{one['scale_up']['max']:.2f}")),
        ("  steps late by, s: p50 / p99 / max", "", spread("late", 0.0)),
        ("  duration, s: max", "duration", of(lambda one: f"{one['duration']['max']:.1f}")),
        ("    beyond the analysis: p50 / p99 / max", "", spread("duration", ANALYSIS)),
        ("  CPU ms each", "", of(lambda one: f"{one['cpu_ms_per_release']:.0f}")),
        ("  share of a core", "", of(lambda one: f"{one['cpu_share']:.1%}")),
        ("  RSS now / peak, MiB", "", of(lambda one: f"{one['memory']['now']:.0f} / {one['memory']['peak']:.0f}")),
    ]


def _together_rows() -> list[tuple[str, str, Show]]:
    of, spread = _part("together")
    return [
        ("all in their analysis: steps in a minute", "", of(lambda one: f"{one['steps']} of {one['stepping']}")),
        ("  late by, s: p50 / p99 / max", "", spread("late", 0.0)),
        ("  requests a second", "", of(lambda one: f"{one['requests_per_second']:.0f}")),
        ("  share of a core", "", of(lambda one: f"{one['cpu_share']:.1%}")),
        ("  RSS now / peak, MiB", "", of(lambda one: f"{one['memory']['now']:.0f} / {one['memory']['peak']:.0f}")),
    ]


ROWS: list[tuple[str, str, Show]] = [
    ("all initialized after, s", "initialized", lambda one: f"{one['initialized']:.1f}"),
    ("idle: requests each and interval", "idle requests", lambda one: f"{one['idle']['per_canary_and_interval']:.2g}"),
    ("  requests a minute by verb", "", lambda one: str(one["idle"]["requests"] or "none")),
    ("  share of a core", "idle CPU", lambda one: f"{one['idle']['cpu_share']:.2%}"),
    ("  RSS, MiB", "RSS", lambda one: f"{one['idle']['memory']['now']:.0f}"),
    *_release_rows("at once"),
    *_release_rows("a hundred"),
    *_release_rows("evenly"),
    *_together_rows(),
]


def table(results: Sequence[Figures]) -> str:
    """Ours beside the reference's, where it was measured."""
    heads = [f"{one['canaries']} canaries" for one in results]
    lines = [f"{'':<44}" + "".join(f"{head:>24}{'(ref.)':>10}" for head in heads)]
    for title, key, show in ROWS:
        cells = "".join(f"{show(one):>24}{REFERENCE.get(one['canaries'], {}).get(key, ''):>10}" for one in results)
        lines.append(f"{title:<44}{cells}")
    return "\n".join(lines)


def main() -> int:
    """Print a table, size by size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canaries", default="1,100,1000", help="numbers of Canaries, with commas between")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results = []
    for count in map(int, options.canaries.split(",")):
        results.append(asyncio.run(measure(count)))
        print(table(results[-1:]), "\n", flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    if len(results) > 1:
        print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
