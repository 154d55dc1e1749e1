"""The real transport: HTTP/1.1 on aiohttp, and the only module here that knows it.

Requests and watches have pools of their own, so that a crowd of requests never keeps a watch from starting. Nothing is
compressed: inside a cluster, bandwidth is cheaper than both ends' processor time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from gradatim.kube.credentials import Access, Certificate, Identity
from gradatim.kube.errors import ConfigError, Unauthorized, Unavailable
from gradatim.kube.proxies import proxy_for
from gradatim.kube.tls import context
from gradatim.kube.transport import Reply, StreamReply

CONNECT_TIMEOUT = 10.0
HEADERS_TIMEOUT = 30.0
"""How long a watch may take to start; it is answered at once, long before its first event."""
KEEP_IDLE = 30.0
"""Idle connections are dropped after this; load balancers in between tend to forget them after a minute."""
CONNECTIONS = 32
"""Requests under way at once. The rest waits in line here: aiohttp's own limit lets late comers overtake.

Each connection costs a quarter of a megabyte (asyncio's buffer for TLS); 32 carry a thousand requests a second to a
server that takes 30 ms for each.
"""
BUFFER = 256 * 1024


REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
"""The whole of a request is timed by `request` itself, credentials included."""


class _Asked(msgspec.Struct, frozen=True):
    """A request on its way."""

    method: str
    path: str
    query: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    body: bytes | None = None
    timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT


class HttpTransport:
    """Carries requests to the server an Access describes, as the identity its credentials give."""

    def __init__(self, access: Access, environ: Mapping[str, str] = os.environ) -> None:
        self._access = access
        self._base = access.server.rstrip("/")
        self._proxy = access.proxy or proxy_for(self._base, environ)
        self._secure = self._base.startswith("https://")
        self._shown: Certificate | None = None
        self._context: ssl.SSLContext | None = None
        self._line = asyncio.Semaphore(CONNECTIONS)
        self._requests: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Reply:
        """Ask and wait for the whole answer."""
        if self._requests is None:
            self._requests = _session()
        try:
            async with asyncio.timeout(timeout), self._line:
                response = await self._ask(self._requests, _Asked(method, path, query, headers, body))
                async with response:
                    return Reply(response.status, response.headers, await response.read())
        except TimeoutError as error:
            raise _no_answer(error, self._base, f"no answer within {timeout:.1f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(error, self._base) from error

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        idle_timeout: float,
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Ask and read the answer as it comes."""
        idle = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle_timeout)
        return self._stream(_Asked(method, path, query, headers, timeout=idle))

    @asynccontextmanager
    async def _stream(self, asked: _Asked) -> AsyncIterator[StreamReply]:
        if self._streams is None:
            self._streams = _session()
        try:
            async with asyncio.timeout(HEADERS_TIMEOUT):
                response = await self._ask(self._streams, asked)
                body = await response.read() if response.status >= 400 else b""
        except TimeoutError as error:
            raise _no_answer(error, self._base, f"no answer within {HEADERS_TIMEOUT:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(error, self._base) from error
        chunks = self._chunks(response)
        try:
            yield StreamReply(response.status, response.headers, chunks, body)
        finally:
            await chunks.aclose()
            response.close()

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except TimeoutError as error:
            raise _no_answer(error, self._base, "the stream fell silent") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(error, self._base) from error

    async def _ask(self, session: aiohttp.ClientSession, asked: _Asked) -> aiohttp.ClientResponse:
        """Send the request; on 401, once more with renewed credentials."""
        credentials = self._access.credentials
        identity = await credentials.identity()
        response = await self._send(session, asked, identity)
        if response.status != 401:
            return response
        await credentials.renew(identity)
        renewed = await credentials.identity()
        if renewed == identity:
            return response
        response.release()
        return await self._send(session, asked, renewed)

    async def _send(self, session: aiohttp.ClientSession, asked: _Asked, identity: Identity) -> aiohttp.ClientResponse:
        path = f"{self._base}{asked.path}"
        headers = CIMultiDict(asked.headers or {})
        headers.extend(identity.headers)
        return await session.request(
            asked.method,
            URL(f"{path}?{urlencode(asked.query, quote_via=quote)}" if asked.query else path, encoded=True),
            data=asked.body,
            headers=headers,
            proxy=self._proxy,
            ssl=self._tls(identity.certificate),
            server_hostname=self._access.server_name or None,
            allow_redirects=False,
            timeout=asked.timeout,
        )

    def _tls(self, certificate: Certificate | None) -> ssl.SSLContext | bool:
        """One context for each certificate in turn: connections are pooled by context."""
        if not self._secure:
            return True
        if self._context is None or certificate != self._shown:
            try:
                self._context = context(self._access.ca, self._access.insecure, certificate)
            except ConfigError as error:  # found while running: a file was rotated, a plug-in answered something else
                raise Unauthorized(error.message) from error
            self._shown = certificate
        return self._context

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._requests, self._streams):
            if session is not None:
                await session.close()


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_IDLE, socket_factory=_socket)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        read_bufsize=BUFFER,
        auto_decompress=True,
    )


def _socket(address: tuple[object, ...]) -> socket.socket:
    """A socket that notices a vanished peer within a minute, however quiet the watch is."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def _no_answer(error: BaseException, server: str, what: str = "") -> Unavailable:
    unsent = isinstance(
        error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientHttpProxyError
    )
    return Unavailable(f"{server}: {what or _cause(error)}", unsent=unsent)


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error}"
    return str(error) or type(error).__name__
