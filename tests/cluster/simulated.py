"""The simulator on a port, put together as the real control plane is: controllers, garbage, pretended pods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gradatim.sim.api import Api
from gradatim.sim.apiserver import api_server
from gradatim.sim.controllers import Controllers
from gradatim.sim.http import serve
from gradatim.sim.pods.instant import InstantPods
from gradatim.sim.store import Store

NODES = ("node-1", "node-2", "node-3")


@dataclass(frozen=True)
class Simulated:
    """A running simulator."""

    store: Store
    api: Api
    url: str


@asynccontextmanager
async def simulated() -> AsyncIterator[Simulated]:
    """A whole simulated cluster on real time, for as long as the block lasts."""
    api = api_server(time.time)
    store = api.store
    controllers = asyncio.create_task(Controllers(store, InstantPods(), nodes=NODES).run())
    try:
        async with serve(api) as url:
            yield Simulated(store, api, url)
    finally:
        controllers.cancel()
        with suppress(asyncio.CancelledError):
            await controllers
