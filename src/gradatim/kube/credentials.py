"""Who we are: the headers and the client certificate that go with every request.

Credentials change while we run (a token file is rotated, a plug-in's token expires, the server answers 401), so they
are asked for before each request. That is cheap: what is fresh is simply returned. Where they come from, and how they
are written down, is `auth.py` and `kubeconfig.py`; plug-ins are `exec_auth.py`.
"""

from __future__ import annotations

import logging
import string
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from gradatim.kube.errors import Unauthorized

log = logging.getLogger(__name__)

REREAD = 60.0
"""Seconds after which files are looked at again. Kubelets rotate tokens long before they expire."""

TOKEN = frozenset("!#$&'*+-.^_`|~" + string.ascii_lowercase + string.digits)
"""What a header name may hold, without `%`, which starts an escape."""


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate with its chain, and its key, both PEM."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Certificate(…)"  # keys have no business in logs


class Identity(msgspec.Struct, frozen=True):
    """What one request says about us. A header may occur several times."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: Certificate | None = None

    def __repr__(self) -> str:
        return "Identity(…)"


class Credentials(Protocol):
    """Where identities come from."""

    async def identity(self) -> Identity:
        """The identity to use now."""
        ...

    async def renew(self, refused: Identity) -> None:
        """The server answered 401 to this one: get another, if there may be another."""
        ...


class Access(msgspec.Struct, frozen=True):
    """Everything needed to reach one cluster.

    `ca` is PEM, empty for what the system trusts; `server_name` is what the server's certificate must say instead of
    the host; `proxy` empty means what the environment says; `namespace` is the one of the context.
    """

    server: str
    credentials: Credentials
    ca: bytes = b""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""
    namespace: str = "default"


class Fixed:
    """An identity that never changes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def identity(self) -> Identity:
        return self._identity

    async def renew(self, refused: Identity) -> None:
        """There is no other."""


class Files:
    """An identity partly read from files: a bearer token, a certificate and its key.

    A file that cannot be read any more leaves the last identity in place: rotation replaces files, and the moment in
    between is no reason to stop.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        token: Path | None = None,
        certificate: tuple[bytes | Path, bytes | Path] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._clock = clock
        self._token = token
        self._certificate = certificate
        self._headers = headers
        self._current: Identity | None = None
        self._read_at = 0.0

    async def identity(self) -> Identity:
        if self._current is None or self._clock() - self._read_at >= REREAD:
            return self._reread()
        return self._current

    async def renew(self, refused: Identity) -> None:
        if self._current == refused:
            self._reread()

    def _reread(self) -> Identity:
        """Small local files, once a minute: not worth a thread."""
        self._read_at = self._clock()
        try:
            self._current = self._read()
        except OSError as error:
            if self._current is None:
                raise Unauthorized(f"cannot read {error.filename}: {error.strerror}") from error
            log.warning("credentials could not be read again, the old ones stay", extra={"file": error.filename})
        return self._current

    def _read(self) -> Identity:
        headers = self._headers
        if self._token is not None:
            headers = (bearer(self._token.read_text(encoding="utf-8").strip()), *headers)
        if self._certificate is None:
            return Identity(headers)
        chain, key = (part.read_bytes() if isinstance(part, Path) else part for part in self._certificate)
        return Identity(headers, Certificate(chain, key))


def bearer(token: str) -> tuple[str, str]:
    """The header of a token."""
    return ("Authorization", f"Bearer {token}")


def basic(username: str, password: str) -> tuple[str, str]:
    """The header of a name and a password."""
    return ("Authorization", "Basic " + b64encode(f"{username}:{password}".encode()).decode())


def impersonation(
    user: str, uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, str], ...]:
    """The headers that ask to be treated as somebody else."""
    if not user:
        return ()
    found = [("Impersonate-User", user)]
    if uid:
        found.append(("Impersonate-Uid", uid))
    found += [("Impersonate-Group", group) for group in groups]
    for key, values in sorted(extra.items()):
        found += [(f"Impersonate-Extra-{_escape(key)}", value) for value in values]
    return tuple(found)


def _escape(key: str) -> str:
    """Percent-encode what no header name may hold; the server decodes it."""
    return "".join(chr(byte) if chr(byte) in TOKEN else f"%{byte:02X}" for byte in key.lower().encode())
