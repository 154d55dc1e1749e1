"""Everything that is not the API server: a scripted Prometheus and a receiver of hooks, by their addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import msgspec

from cluster.hooks import Receiver
from cluster.prometheus import Script
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse
from simulated.lifeline import Lifeline

PROMETHEUS = "http://127.0.0.1:9090"
HOOKS = "http://127.0.0.1:8080"
"""Nothing listens at either of them."""

LATENCY = 0.01


class Outside:
    """The servers that all processes of a cluster share."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.prometheus = Script(clock)
        self.hooks = Receiver(clock)
        self.down: set[str] = set()
        """Addresses, such as `PROMETHEUS`, that refuse connections for now."""

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """What these servers say; HttpFailure where nobody listens."""
        parts = urlsplit(request.url)
        server = f"{parts.scheme}://{parts.netloc}"
        if server in self.down or server not in (PROMETHEUS, HOOKS):
            raise HttpFailure(f"{server}: connection refused")
        if server == HOOKS:
            return HttpResponse(await self.hooks.receive(parts.path.removeprefix("/"), request.body.decode()), {}, b"")
        text = parts.query if request.method == "GET" else request.body.decode()
        answer = self.prometheus.answer(parse_qs(text).get("query", [""])[0])
        return HttpResponse(self.prometheus.status, {"content-type": "application/json"}, msgspec.json.encode(answer))


class Connection:
    """One process's way to them."""

    def __init__(self, outside: Outside, lifeline: Lifeline) -> None:
        self.paths: list[str] = []
        """Whom it was used for, in order."""
        self._outside = outside
        self._lifeline = lifeline

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, within the request's own deadline."""
        self.paths.append(urlsplit(request.url).path)
        try:
            async with asyncio.timeout(request.timeout):
                await asyncio.sleep(LATENCY)
                await self._lifeline.hold()
                answer = await self._outside.answer(request)
                await self._lifeline.hold()
        except TimeoutError as error:
            raise HttpFailure(f"no answer within {request.timeout:.1f} s") from error
        return answer
