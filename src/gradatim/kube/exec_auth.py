"""Credentials from a plug-in: a program named in the kubeconfig that prints an ExecCredential.

Versions v1 and v1beta1 of client.authentication.k8s.io. The program runs beside the event loop, once for however many
requests wait for it, and again when what it gave expires or is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from gradatim.kube.credentials import Access, Certificate, Identity, bearer
from gradatim.kube.errors import ConfigError, Unauthorized
from gradatim.kube.tls import context
from gradatim.ports.objects import Manifest

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

RUN_TIMEOUT = 60.0
EARLY = 10.0
"""Seconds before its expiry at which a credential is no longer used."""
SHORTEST = 1.0
"""Seconds for which whatever the plug-in gave is used, so that expired credentials do not start it without end."""


class Plugin(msgspec.Struct, frozen=True):
    """What the kubeconfig says about the program; `source` says where, for error messages."""

    source: str
    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""
    cluster: Manifest | None = None
    """What the program is told about the cluster, if it wants to know."""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class _ExecCredential(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str | None = None
    kind: str | None = None
    status: _Status | None = None


class Exec:
    """Credentials that a program gives. `wall` is the wall clock, because expiry is told in it."""

    def __init__(
        self,
        plugin: Plugin,
        wall: Callable[[], float],
        *,
        headers: tuple[tuple[str, str], ...] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._plugin = plugin
        self._wall = wall
        self._headers = headers
        self._environ = environ
        self._current: Identity | None = None
        self._until = 0.0
        self._running: asyncio.Task[Identity] | None = None

    async def identity(self) -> Identity:
        if self._current is not None and self._wall() < self._until:
            return self._current
        return await self._shared()

    async def renew(self, refused: Identity) -> None:
        if self._current == refused or self._current is None:
            self._until = 0.0
            await self._shared()

    async def _shared(self) -> Identity:
        """One run for all who wait. It goes on when one of them gives up, or a slow plug-in would never finish."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="exec-credential")
            self._running.add_done_callback(self._ran)
        return await asyncio.shield(self._running)

    def _ran(self, task: asyncio.Task[Identity]) -> None:
        self._running = None
        if not task.cancelled():
            task.exception()  # whoever waited has been told; if nobody waits any more, nobody needs to know

    async def _run(self) -> Identity:
        status = self._read(await self._output())
        now = self._wall()
        self._until = max(self._expiry(status) - EARLY, now + SHORTEST)
        headers = ((bearer(status.token),) if status.token else ()) + self._headers
        self._current = Identity(headers, self._certificate(status))
        return self._current

    async def _output(self) -> bytes:
        plugin = self._plugin
        spec: Manifest = {"interactive": False}
        if plugin.cluster is not None:
            spec["cluster"] = plugin.cluster
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        environ = {**self._environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.args,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise self._failed(f"{plugin.command} cannot be started: {error.strerror}", hint=True) from error
        try:
            async with asyncio.timeout(RUN_TIMEOUT):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise self._failed(f"{plugin.command} did not finish within {RUN_TIMEOUT:.0f} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            last = complaint.decode(errors="replace").strip()[-500:]
            raise self._failed(f"{plugin.command} failed with exit code {process.returncode}: {last}", hint=True)
        return output

    def _read(self, output: bytes) -> _Status:
        try:
            credential = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.DecodeError as error:  # never quote the output: it may hold the token
            raise self._failed(f"{self._plugin.command} printed something that is no ExecCredential") from error
        if credential.kind != "ExecCredential" or credential.api_version != self._plugin.api_version:
            raise self._failed(
                f"{self._plugin.command} printed a {credential.kind} of {credential.api_version}, "
                f"but exec.apiVersion is {self._plugin.api_version}; make both the same"
            )
        status = credential.status or _Status()
        if not status.token and not status.client_certificate_data:
            raise self._failed(f"{self._plugin.command} gave neither a token nor a certificate")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._failed(f"{self._plugin.command} gave a certificate without its key, or a key without it")
        return status

    def _expiry(self, status: _Status) -> float:
        if not status.expiration_timestamp:
            return float("inf")
        try:
            return datetime.fromisoformat(status.expiration_timestamp).timestamp()
        except ValueError as error:
            raise self._failed(f"expirationTimestamp {status.expiration_timestamp!r} is no RFC 3339 time") from error

    def _certificate(self, status: _Status) -> Certificate | None:
        if not status.client_certificate_data or not status.client_key_data:
            return None
        certificate = Certificate(status.client_certificate_data.encode(), status.client_key_data.encode())
        try:
            context(b"", insecure=True, certificate=certificate)
        except ConfigError as error:
            raise self._failed(error.message) from error
        return certificate

    def _failed(self, what: str, hint: bool = False) -> Unauthorized:
        advice = f"\n{self._plugin.install_hint}" if hint and self._plugin.install_hint else ""
        return Unauthorized(f"{self._plugin.source}: {what}{advice}")


def located(command: str, folder: Path) -> str:
    """A command with a folder in it is meant relative to the kubeconfig, any other is looked up in PATH."""
    return str(folder / command) if os.path.dirname(command) else command


def cluster_info(access: Access, config: object | None) -> Manifest:
    """What `provideClusterInfo` passes to the program."""
    info: Manifest = {"server": access.server, "config": config}
    if access.ca:
        info["certificate-authority-data"] = b64encode(access.ca).decode()
    if access.insecure:
        info["insecure-skip-tls-verify"] = True
    if access.server_name:
        info["tls-server-name"] = access.server_name
    if access.proxy:
        info["proxy-url"] = access.proxy
    return info
