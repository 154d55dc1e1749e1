"""What the operator serves: its metrics, and whether it is alive and ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import generate_latest

from gradatim.engine.telemetry import Telemetry

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serve(port: int, telemetry: Telemetry, complaint: Callable[[], str]) -> AsyncIterator[int]:
    """Serve /metrics, /healthz and /readyz; `complaint` says why the operator is not ready, or nothing.

    Yields the port, which was chosen by the system for port 0.
    """

    async def metrics(_: web.Request) -> web.Response:
        page = telemetry.render().encode() + generate_latest()
        return web.Response(body=page, headers={"Content-Type": EXPOSITION})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def readyz(_: web.Request) -> web.Response:
        why = complaint()
        return web.Response(status=503 if why else 200, text=why or "OK")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/readyz", readyz), web.route("*", "/healthz", healthz)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        await site.start()
        yield next((address[1] for address in runner.addresses), port)
    finally:
        await runner.cleanup()
