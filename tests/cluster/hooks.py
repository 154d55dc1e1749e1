"""A receiver of webhooks and chat messages that answers as a test told it to, and keeps what it received."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from cluster.serving import Served
from gradatim.ports.objects import Manifest


@dataclass(frozen=True)
class Call:
    """One call as it arrived. The name is the last part of its path: `shop/gate` and `shop/x/gate` are both `gate`."""

    at: float
    namespace: str
    name: str
    payload: Manifest


class Receiver:
    """Who gets which answer, and what was received, whatever carries it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls: list[Call] = []
        self.delay = 0.0
        """Seconds until every answer."""
        self._clock = clock
        self._codes: dict[tuple[str, str], deque[int]] = {}

    def answer(self, namespace: str, name: str, *codes: int) -> None:
        """The statuses of this hook from now on, one a call, the last one for good; 200 unless set."""
        self._codes[namespace, name] = deque(codes)

    def of(self, namespace: str) -> list[Call]:
        """What this namespace's hooks received, in order."""
        return [call for call in self.calls if call.namespace == namespace]

    async def receive(self, path: str, body: str) -> int:
        """Keep a call to `NAMESPACE/NAME`; its status."""
        namespace, _, rest = path.partition("/")
        name = rest.rpartition("/")[2]
        payload = json.loads(body) if body.startswith("{") else {"body": body}
        self.calls.append(Call(self._clock(), namespace, name, payload))
        if self.delay:
            await asyncio.sleep(self.delay)
        codes = self._codes.get((namespace, name)) or (200,)
        return codes.popleft() if isinstance(codes, deque) and len(codes) > 1 else codes[0]


class Hooks(Receiver, Served):
    """The receiver behind a port; hooks of a namespace live under `URL/NAMESPACE/NAME`. Use it in an `async with`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        Receiver.__init__(self, clock)
        Served.__init__(self)
        self.app.router.add_post("/{path:[^/]+/.+}", self._receive)

    def address(self, namespace: str) -> str:
        """What a Canary's hooks begin with."""
        return f"{self.url}/{namespace}"

    async def _receive(self, request: web.Request) -> web.Response:
        return web.Response(status=await self.receive(request.match_info["path"], await request.text()))
