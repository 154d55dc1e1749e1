"""A small HTTP server on a port of its own, for as long as an `async with` lasts."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from aiohttp import web

Self = TypeVar("Self", bound="Served")


class Served:
    """Subclasses add their routes to `app` before they are entered."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.url = ""
        """Where it listens, known once entered."""
        self._runner: web.AppRunner

    async def __aenter__(self: Self) -> Self:
        """Listen on loopback."""
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()
