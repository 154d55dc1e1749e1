"""The demo application: what runs in a pod of the playground. A program by itself, nothing but the standard library.

It is started as `python pod_app.py CONFIG FD`: CONFIG is JSON (name, namespace, address, version, ports, errors, delay,
drain), FD one end of a socket pair. Over it the parent sends `{"listen": [ports]}`, and the program answers
`{"listening": [ports]}` or `{"failed": "why"}`. When the parent's end closes, the program ends.

On SIGTERM it behaves as a well-mannered server: it serves on while proxies learn that it goes, asks clients to close
their connections, finishes what is under way, and exits.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_PATHS = 50
REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
OWN_PATHS = ("/metrics", "/healthz", "/readyz")


class Settings:
    """How this pod behaves; the environment of the pod overrides what its image tag says."""

    def __init__(self, config: dict[str, object]) -> None:
        self.name = str(config["name"])
        self.namespace = str(config.get("namespace", "default"))
        self.address = str(config["address"])
        self.version = str(config["version"])
        self.drain = float(str(config.get("drain", 1.0)))
        self.errors = float(os.environ.get("HELLO_ERRORS") or str(config.get("errors", 0)))
        """Per cent of the requests that are answered with 500."""
        self.delay = float(os.environ.get("HELLO_DELAY") or str(config.get("delay", 0))) / 1000
        """Seconds before each answer."""
        self.start = float(os.environ.get("HELLO_START") or 0)
        """Seconds until it listens for the first time, and so is ready."""
        self.access_log = os.environ.get("HELLO_ACCESS_LOG", "") not in ("", "0")


class Histogram:
    """`http_request_duration_seconds` by method, path and status."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, int], list[float]] = {}
        """Counts per bucket (not cumulative), the number above all bounds, and the sum of seconds."""
        self.paths: set[str] = set()

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request; beyond a number of paths all others are one."""
        if path not in self.paths:
            if len(self.paths) >= MOST_PATHS:
                path = "other"
            self.paths.add(path)
        cells = self.series.setdefault((method, path, status), [0.0] * (len(BOUNDS) + 2))
        index = next((number for number, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        cells[index] += 1
        cells[-1] += seconds

    def page(self) -> str:
        """The text format that Prometheus reads."""
        name = "http_request_duration_seconds"
        lines = [f"# HELP {name} Time to answer.", f"# TYPE {name} histogram"]
        for (method, path, status), cells in self.series.items():
            quoted = path.replace("\\", r"\\").replace('"', r"\"")
            labels = f'method="{method}",path="{quoted}",status="{status}"'
            total = 0.0
            for bound, count in zip((*BOUNDS, "+Inf"), cells, strict=False):
                total += count
                lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total:g}')
            lines.append(f"{name}_sum{{{labels}}} {cells[-1]!r}")
            lines.append(f"{name}_count{{{labels}}} {total!r}")
        return "\n".join(lines) + "\n"


class Application:
    """Decides every answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.histogram = Histogram()
        self.connections: set[Connection] = set()
        self.draining = False
        self._asked = 0

    def answer(self, path: str) -> tuple[int, str, str]:
        """Status, content type and body for a path."""
        settings = self.settings
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self.histogram.page()
        if path == "/healthz":
            return 200, "text/plain", "ok\n"
        if path == "/readyz":
            return (503, "text/plain", "draining\n") if self.draining else (200, "text/plain", "ok\n")
        status = 500 if self._is_due_to_fail() else 200
        what = "hello" if status == 200 else "failure"
        return status, "text/plain", f"{what} from {settings.version} pod {settings.name}\n"

    def _is_due_to_fail(self) -> bool:
        """Spread evenly: of 100 requests exactly the given share fails."""
        before, self._asked = self._asked, self._asked + 1
        return int(self._asked * self.settings.errors / 100) > int(before * self.settings.errors / 100)

    def note(self, method: str, path: str, status: int, seconds: float) -> None:
        """Measure a request and write it to the log if it failed or everything is wanted."""
        self.histogram.observe(method, path, status, seconds)
        if status >= 500 or self.settings.access_log:
            print(f"{method} {path} {status} {seconds * 1000:.1f}ms", flush=True)  # noqa: T201 - this is its log


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: requests one after the other, pipelined ones included."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.buffer = b""
        self.transport: asyncio.Transport
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP connections are
        self.transport = transport
        self.application.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went."""
        self.application.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Collect until there is a whole request."""
        self.buffer += data
        self.next_request()

    def next_request(self) -> None:
        """Begin with the next request if it is complete and the one before is answered."""
        if self.busy or self.transport.is_closing():
            return
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].decode("latin-1")
        length = body_length(head, self.buffer[end + 4 :])
        if length is None:
            return
        self.buffer = self.buffer[end + 4 + length :]
        line = head.partition("\r\n")[0].split(" ")
        if len(line) != 3:
            self.transport.close()
            return
        method, target, protocol = line
        path = target.partition("?")[0]
        keep = "connection: close" not in head.lower() and protocol == "HTTP/1.1"
        self.busy = True
        began = time.perf_counter()
        delay = 0.0 if path in OWN_PATHS else self.application.settings.delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self.respond, method, path, keep, began)
        else:
            self.respond(method, path, keep, began)

    def respond(self, method: str, path: str, keep: bool, began: float) -> None:
        """Answer, measure, go on."""
        application = self.application
        status, kind, text = application.answer(path)
        keep = keep and not application.draining
        body = text.encode()
        head = (
            f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
            f"x-version: {application.settings.version}\r\nx-pod: {application.settings.name}\r\n"
            f"connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self.transport.write(head.encode() + (b"" if method == "HEAD" else body))
        if path not in OWN_PATHS:
            application.note(method, path, status, time.perf_counter() - began)
        self.busy = False
        if keep:
            self.next_request()
        else:
            self.transport.close()


def body_length(head: str, rest: bytes) -> int | None:
    """How many of the following bytes are the request's body; None while it is incomplete."""
    for line in head.lower().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name == "content-length":
            return int(value) if len(rest) >= int(value) else None
        if name == "transfer-encoding" and "chunked" in value:
            end = 0 if rest.startswith(b"0\r\n\r\n") else rest.find(b"\r\n0\r\n\r\n") + 2
            return end + 5 if end != 1 else None
    return 0


class Listeners:
    """The ports the pod listens on; Services may add some while it runs."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.servers: dict[int, asyncio.Server] = {}

    async def use(self, ports: list[int]) -> None:
        """Listen on exactly these ports."""
        loop = asyncio.get_running_loop()
        for port in [port for port in self.servers if port not in ports]:
            self.servers.pop(port).close()
        for port in ports:
            if port not in self.servers:
                make = lambda: Connection(self.application)  # noqa: E731 - a factory
                address = self.application.settings.address
                self.servers[port] = await loop.create_server(make, address, port, backlog=512, reuse_address=True)

    def close(self) -> None:
        """Take no more connections."""
        for server in self.servers.values():
            server.close()


async def drain(application: Application, listeners: Listeners) -> None:
    """Serve on for a while, then finish what is under way."""
    application.draining = True
    print("terminating: draining connections", flush=True)  # noqa: T201
    await asyncio.sleep(application.settings.drain)
    listeners.close()
    for _ in range(100):
        for connection in list(application.connections):
            if not connection.busy:
                connection.transport.close()
        if not application.connections:
            break
        await asyncio.sleep(0.02)
    print("bye", flush=True)  # noqa: T201


async def serve(config: dict[str, object], control: socket.socket) -> None:
    """Run until the parent goes away or SIGTERM has been obeyed."""
    settings = Settings(config)
    application = Application(settings)
    listeners = Listeners(application)
    reader, writer = await asyncio.open_connection(sock=control)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    print(f"{settings.version} starting as {settings.namespace}/{settings.name}", flush=True)  # noqa: T201
    obeying = asyncio.create_task(obey(listeners, reader, writer))
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait({obeying, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if ending.is_set():
        await drain(application, listeners)


async def obey(listeners: Listeners, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do what the parent says until it closes its end."""
    await asyncio.sleep(listeners.application.settings.start)
    while line := await reader.readline():
        ports = list(json.loads(line)["listen"])
        try:
            await listeners.use(ports)
            answer: dict[str, object] = {"listening": ports}
            print(f"listening on {listeners.application.settings.address}, ports {ports}", flush=True)  # noqa: T201
        except OSError as error:
            answer = {"failed": str(error)}
            print(f"cannot listen: {error}", flush=True)  # noqa: T201
        writer.write(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Read the arguments, run."""
    config = json.loads(sys.argv[1])
    control = socket.socket(fileno=int(sys.argv[2]))
    if config.get("crash"):
        print("this version crashes at start", flush=True)  # noqa: T201
        sys.exit(1)
    if config.get("broken"):
        print("this version never gets ready", flush=True)  # noqa: T201 - its parent does not let it listen
    asyncio.run(serve(config, control))


if __name__ == "__main__":
    main()
