"""A small HTTP proxy in front of the API server that can misbehave in the ways networks and busy servers do.

It speaks plain HTTP to the operator and TLS to the API server, changes nothing on the way, and counts the writes that
the API server has carried out. Faults are attributes, to be set and cleared while requests are on their way.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from aiohttp import web

from cluster.control_plane import ControlPlane
from cluster.serving import Served

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DROPPED = frozenset({"connection", "host", "content-length", "transfer-encoding", "keep-alive"})
_REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


@dataclass(frozen=True)
class Passing:
    """One request on its way to the API server."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Passed:
    """One request and what the API server said to it."""

    request: Passing
    status: int
    headers: Mapping[str, str]
    body: bytes


class FaultyProxy(Served):
    """Use it in an `async with`; `url` is what the operator takes for the API server."""

    def __init__(self, plane: ControlPlane, seed: int = 0) -> None:
        super().__init__()
        self.answers: tuple[int, ...] = ()
        """Statuses, one of which requests get instead of the API server's answer; empty: they pass."""
        self.lost = 0.0
        """The share of requests that are carried out and whose answers never arrive."""
        self.share = 1.0
        """The share of requests that `answers` hits."""
        self.delay = 0.0
        """Seconds until every answer begins."""
        self.stalled = False
        """Whether streams stay open and bring nothing."""
        self.forgetful = False
        """Whether watches that want to go on from a version are told that it is too old (410)."""
        self.writes = 0
        """Writes that the API server has said yes to."""
        self.written: list[str] = []
        """Each of them, as `PATCH deployments shop`."""
        self.on_write: Callable[[int], Awaitable[None]] = _nothing
        """Awaited with the number of each write that was carried out, before its answer is passed on."""
        self.before: Callable[[Passing], Awaitable[None]] = _nothing
        """Awaited with each request but watches, before it is sent on."""
        self.after: Callable[[Passed], Awaitable[None]] = _nothing
        """Awaited with each answer but those of watches, before it is passed on."""
        self.hits = 0
        """Requests that a fault has hit."""
        self._plane = plane
        self._chance = random.Random(seed)
        self._streams: list[web.Request] = []
        self._upstream: aiohttp.ClientSession
        self.app.router.add_route("*", "/{path:.*}", self._pass)

    async def __aenter__(self) -> FaultyProxy:
        """Listen."""
        nobody = self._plane.bearer("the proxy", "")  # requests bring their own token
        tls = aiohttp.TCPConnector(limit=0, ssl=nobody.tls())
        self._upstream = aiohttp.ClientSession(connector=tls, auto_decompress=False)
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut everything."""
        self.cut()
        await super().__aexit__(kind, error, trace)
        await self._upstream.close()
        for _ in range(5):
            await asyncio.sleep(0)  # closing TLS takes a few rounds of the loop

    def cut(self) -> int:
        """End all open streams as a lost connection does; how many there were."""
        cut = list(self._streams)
        for request in cut:
            _abort(request)
        return len(cut)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.answers and self._chance.random() < self.share:
            self.hits += 1
            return _refusal(self._chance.choice(self.answers))
        if self.delay:
            self.hits += 1
            await asyncio.sleep(self.delay)
        if request.query.get("watch"):
            if self.forgetful and request.query.get("resourceVersion"):
                self.hits += 1
                return await _forgotten(request)
            return await self._stream(request)
        return await self._forward(request, body)

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        passing = Passing(request.method, request.path, body)
        await self.before(passing)
        try:
            async with self._ask(request, body) as got:
                text = await got.read()
        except aiohttp.ClientError:
            return _abort(request)
        await self.after(Passed(passing, got.status, got.headers, text))
        if request.method in WRITES and got.status < 300:
            self.writes += 1
            self.written.append(f"{request.method} {_about(request.path)}")
            await self.on_write(self.writes)
        if self.lost and self._chance.random() < self.lost:
            self.hits += 1
            return _abort(request)
        return web.Response(status=got.status, body=text, headers=_kept(got))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._streams.append(request)
        try:
            async with self._ask(request, b"") as got:
                response = web.StreamResponse(status=got.status, headers=_kept(got))
                await response.prepare(request)
                async for chunk in got.content.iter_any():
                    while self.stalled:
                        self.hits += 1
                        await asyncio.sleep(0.05)
                    await response.write(chunk)
                return response
        except (aiohttp.ClientError, ConnectionError):
            return _abort(request)
        finally:
            self._streams = [one for one in self._streams if one is not request]

    def _ask(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
        return self._upstream.request(
            request.method,
            self._plane.url + request.raw_path,
            data=body or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )


async def _nothing(_: object) -> None:
    """The operator lives on."""


def _kept(got: aiohttp.ClientResponse) -> dict[str, str]:
    return {key: value for key, value in got.headers.items() if key.lower() not in _DROPPED}


def _abort(request: web.Request) -> web.StreamResponse:
    """Cut the connection; what is returned reaches nobody."""
    with suppress(AttributeError):
        if request.transport is not None:
            request.transport.abort()
    return web.Response(status=502)


def _refusal(code: int) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": _REASONS[code],
        "message": "the proxy of the tests says no",
        "code": code,
    }
    return web.json_response(status, status=code, headers={"Retry-After": "1"} if code == 429 else {})


async def _forgotten(request: web.Request) -> web.StreamResponse:
    """What a watch gets whose version is not remembered any more: one event that says so, and its end."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    words = {"reason": "Expired", "code": 410, "message": "too old resource version: 1 (2)"}
    gone = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **words}
    await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
    return response


def _about(path: str) -> str:
    """`deployments shop` of `/apis/apps/v1/namespaces/x/deployments/shop`."""
    return " ".join(path.partition("/namespaces/")[2].split("/")[1:])
