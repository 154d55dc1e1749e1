"""What pretended pods answer: one server for all their addresses, which learns from each connection whom it was for.

A pod behaves as the playground's do: it serves until the end of its grace period, asking clients to close meanwhile.
Whoever calls an address of no pod, or of one that is not up yet or gone, has the connection reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import TracebackType

from gradatim.ports.objects import Manifest
from gradatim.sim.pod_app import Application, Connection, Settings

PORT = 8080
BAD = "v3"
"""The version that answers every request with 500."""

Find = Callable[[str], Manifest | None]
"""The pod of an address, as long as it takes requests."""


class Pods:
    """The server. Use it in an `async with`."""

    def __init__(self, find: Find, port: int = PORT) -> None:
        self.find = find
        self.port = port
        self._applications: dict[str, _Quiet] = {}
        self._server: asyncio.Server

    async def __aenter__(self) -> Pods:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Door(self), "0.0.0.0", self.port, backlog=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def application(self, address: str) -> _Quiet | None:
        """What runs in the pod of this address now."""
        pod = self.find(address)
        if pod is None:
            self._applications.pop(address, None)
            return None
        made = self._applications.setdefault(address, _Quiet(_settings(pod, address)))
        made.draining = "deletionTimestamp" in pod["metadata"]
        return made


class _Quiet(Application):
    """The playground's application without its log."""

    def note(self, method: str, path: str, status: int, seconds: float) -> None:
        self.histogram.observe(method, path, status, seconds)


class _Door(asyncio.Protocol):
    """A connection before it is known to whom it goes."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        address: str = transport.get_extra_info("sockname")[0]
        application = self._pods.application(address)
        if application is None:
            _reset(transport)
            return
        connection = _Connection(application, lambda: self._pods.application(address) is application)
        transport.set_protocol(connection)
        connection.connection_made(transport)


class _Connection(Connection):
    """A connection to a pod, which ends with it."""

    def __init__(self, application: Application, is_up: Callable[[], bool]) -> None:
        super().__init__(application)
        self._is_up = is_up

    def data_received(self, data: bytes) -> None:
        if self._is_up():
            super().data_received(data)
        else:
            _reset(self.transport)


def _settings(pod: Manifest, address: str) -> Settings:
    (container,) = pod["spec"]["containers"]
    version = container["image"].rpartition(":")[2]
    meta = pod["metadata"]
    place = {"name": meta["name"], "namespace": meta["namespace"], "address": address}
    return Settings({**place, "version": version, "errors": 100 if version == BAD else 0})


def _reset(transport: asyncio.Transport) -> None:
    """Close at once and impolitely, as a machine does on which nobody listens any more."""
    at_once = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()
