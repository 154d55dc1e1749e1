"""What the operator serves: its metrics, and whether it is alive and ready."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import generate_latest

from gradatim.api.errors import GradatimError
from gradatim.engine.telemetry import Telemetry

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serve(port: int, telemetry: Telemetry, complaint: Callable[[], str]) -> AsyncIterator[int]:
    """Serve /metrics, /healthz and /readyz; `complaint` says why the operator is not ready, or nothing.

    Yields the port, which was chosen by the system for port 0. Raises GradatimError when it is taken.
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
    try:
        listener = _listen(port)
    except OSError as error:
        raise GradatimError(
            f"-port={port}: nothing can be served there ({error.strerror}); give another one"
        ) from error
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()
        listener.close()


def _listen(port: int) -> socket.socket:
    """One socket for both families of addresses, so that a port chosen by the system is one port."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise
    return socket.create_server(("0.0.0.0", port))
