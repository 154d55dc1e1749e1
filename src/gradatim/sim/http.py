"""The simulated API server on a port: aiohttp carries what `sim.api` answers.

Plain HTTP, no authentication; programs such as kubectl and Traefik take that on loopback.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import parse_qs

from aiohttp import web

from gradatim.sim.api import Request, Response
from gradatim.sim.rest.faults import Broken

LARGEST_BODY = 32 * 1024 * 1024
GOODBYE = 1.0
"""How long a stopping server waits for requests under way; watches are ended first."""


class Handler(Protocol):
    """Whatever answers as the API server does."""

    async def handle(self, request: Request) -> Response:
        """Answer one request; a stream goes on after this returns."""
        ...

    def close(self) -> None:
        """End every watch."""
        ...


@asynccontextmanager
async def serve(api: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; gives the address, such as `http://127.0.0.1:41234`."""
    server = web.Server(_Front(api).handle, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=GOODBYE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        api.close()
        await runner.cleanup()


class _Front:
    def __init__(self, api: Handler) -> None:
        self._api = api

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request._client_max_size = LARGEST_BODY
        asked = Request(
            request.method,
            request.path,
            parse_qs(request.query_string, keep_blank_values=True),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        try:
            answer = await self._api.handle(asked)
            if answer.stream is not None:
                return await _stream(request, answer)
        except Broken:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


async def _stream(request: web.BaseRequest, answer: Response) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    stream = answer.stream
    if stream is None:
        return response
    try:
        async for piece in stream:
            await response.write(piece)
        await response.write_eof()
    except (ConnectionResetError, ConnectionAbortedError):
        pass  # the client has gone
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
    return response
