"""The program that runs inside the namespace: a control plane, Traefik, the operator, and all stories side by side.

It writes its findings as JSON to the file that it is given, also about stories that did not come to their end.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from cluster import binaries, crds
from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.nodes import Nodes
from cluster.operator import Account, Operator
from cluster.prometheus import Prometheus
from cluster.traffic.edge import edge
from cluster.traffic.entrances import ENTRANCES
from cluster.traffic.findings import Findings, Told
from cluster.traffic.pods import Pods
from cluster.traffic.space import ADVERTISED
from cluster.traffic.story import Gate, Story

ENDPOINTS_AFTER = "500ms"
"""How long EndpointSlices lag behind their pods, so that whoever relies on their being quick is found out."""
READY_AFTER = 0.8
"""Seconds until a pod is ready: longer than that, so that EndpointSlices are not in time by way of earlier changes."""
STOPS_WITHIN = 2.0
"""Seconds that pods go on serving when they are told to stop: longer than proxies need to hear of it."""


async def played(plane: ControlPlane) -> Findings:
    """Play everything."""
    async with Client(plane.admin) as admin, Gate(admin) as gate, Prometheus() as prometheus:
        await crds.install(admin, [*crds.ours(), *crds.definitions("traefik"), *crds.definitions("gatewayapi")])
        plane.restart_controllers()  # so that they collect garbage of these kinds from the beginning
        async with (
            nodes(admin) as made,
            Pods(made.serving.get),
            edge(admin, plane.admin.authority) as traefik,
        ):
            account = await Account.install(plane, admin)
            flags = {"metrics-server": prometheus.url, "mesh-provider": "nginx", "minimum-interval": "1s"}
            operator = await Operator.start(plane, admin, account, flags)
            try:
                stories = [Story(entrance, admin, traefik, gate, prometheus) for entrance in ENTRANCES]
                outcomes = await asyncio.gather(*(story.play() for story in stories), return_exceptions=True)
            finally:
                operator.kill()
    findings = Findings(forbidden=[str(one) for one in operator.audit.forbidden()], log=operator.process.last_words())
    for entrance, outcome in zip(ENTRANCES, outcomes, strict=True):
        if isinstance(outcome, Told):
            findings.told[entrance.mesh] = outcome
        else:
            findings.broken[entrance.mesh] = "".join(traceback.format_exception(outcome))
    return findings


@asynccontextmanager
async def nodes(admin: Client) -> AsyncIterator[Nodes]:
    """Pretended machines for as long as the block lasts."""
    made = Nodes(admin)
    made.ready_after, made.stops_within = (lambda _: READY_AFTER), STOPS_WITHIN
    await made.register()
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def main(out: Path) -> None:
    """Play, and write down what was found."""
    with ControlPlane.start(binaries.find(), ADVERTISED, ENDPOINTS_AFTER) as plane:
        findings = asyncio.run(played(plane))
    out.write_bytes(msgspec.json.encode(findings))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
