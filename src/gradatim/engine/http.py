"""The one client for everything that is not the API server: metrics sources, hooks, chat rooms.

Every exchange has a deadline that covers all of it, redirects and body included; what is waited for before it, while no
connection may be opened, does not count. Nothing is remembered between requests: no cookies, no logins. What can go
wrong becomes HttpFailure, whose message shows no password.
"""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import ssl
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from gradatim.api.durations import format_duration
from gradatim.api.errors import Bug
from gradatim.core.addresses import split_credentials
from gradatim.engine.proxies import Proxies
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse

LARGEST_BODY = 1024 * 1024
"""Bytes of an answer that are read; what follows is left unread."""
REDIRECTS = 10
SHARE = 4
"""One part of this many of all files that may be open is for a client's exchanges, and as many may be kept idle."""
_CHUNK = 64 * 1024
_KEPT = "!$&'()*+,;=:@/%[]~"  # characters of a path that stay as they are; `%` since users escape by themselves


class _Hop(msgspec.Struct, frozen=True):
    """One request on the wire; redirects make several of one."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class HttpClient:
    """Sends requests; implements `ports.http.Http`. Use it in an `async with`.

    `environment` names the proxies; without one it is the process's own. `at_once` is how many exchanges there may be,
    with whomever: one load tester may be asked by every Canary of a cluster.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, at_once: int | None = None) -> None:
        self._proxies = Proxies(os.environ if environment is None else environment)
        self._free = asyncio.Semaphore(at_once or share())
        self._sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession] | None = None

    async def __aenter__(self) -> Self:
        """Be ready; connections are opened when they are needed."""
        self._sessions = _session(force_close=False), _session(force_close=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        for session in self._sessions or ():
            await session.close()
        self._sessions = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to a request, whatever its status; raises HttpFailure when none comes."""
        async with self._free:
            try:
                async with asyncio.timeout(request.timeout):
                    return await self._follow(request)
            except TimeoutError as error:
                raise HttpFailure(f"no answer within {format_duration(request.timeout)}") from error

    async def _follow(self, request: HttpRequest) -> HttpResponse:
        """Send, and send again where the answer says so."""
        hop = _Hop(request.method, request.url.strip(), request.headers, request.body)
        for _ in range(REDIRECTS + 1):
            hop = _logged_in(hop)
            response = await self._once(hop, request)
            location = response.headers.get("location", "")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response
            hop = _redirected(hop, response.status, location)
        raise HttpFailure(f"stopped after {REDIRECTS} redirects", retryable=False)

    async def _once(self, hop: _Hop, request: HttpRequest) -> HttpResponse:
        url = wire_url(hop.url)
        proxy, login = split_credentials(request.proxy or self._proxies.of(hop.url))
        to_proxy = {"Proxy-Authorization": _basic(login)} if login else {}
        tunnelled = url.scheme == "https"  # the proxy then has a request of its own
        try:
            async with self._session(hop.method).request(
                hop.method,
                url,
                headers=CIMultiDict([*hop.headers, *(() if tunnelled else to_proxy.items())]),
                data=hop.body or None,
                allow_redirects=False,
                ssl=request.verify_tls,
                proxy=proxy or None,
                proxy_headers=to_proxy if tunnelled and to_proxy else None,
            ) as response:
                return HttpResponse(response.status, _flat(response), await _body(response))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error, url) from error

    def _session(self, method: str) -> aiohttp.ClientSession:
        """Connections are kept for what may be repeated only: a kept one may be dead, and a hook must not run twice."""
        if self._sessions is None:
            raise Bug("the HTTP client is used outside of its `async with`")
        kept, fresh = self._sessions
        return kept if method in ("GET", "HEAD") else fresh


def share() -> int:
    """The exchanges that a client may have with the files that the process may open now."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if files == resource.RLIM_INFINITY else max(1, files // SHARE)


def _session(*, force_close: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=force_close)  # `send` has the only limit
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # `send` has the only deadline
        headers={"User-Agent": "gradatim"},
        skip_auto_headers=("Content-Type",),
        trust_env=False,
    )


def wire_url(url: str) -> URL:
    """A URL as it is sent; raises HttpFailure for one that cannot be.

    What users escaped stays as they wrote it, byte by byte, since some addresses are signed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise HttpFailure(f"invalid URL: {error}", retryable=False) from error
    if parts.scheme not in ("http", "https"):
        raise HttpFailure(f'unsupported protocol scheme "{parts.scheme}"', retryable=False)
    if not host or any(char <= " " for char in host):
        raise HttpFailure("invalid URL: it names no host", retryable=False)
    netloc = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    if port is not None:
        netloc += f":{port}"
    path, query = quote(parts.path or "/", safe=_KEPT), quote(parts.query, safe=_KEPT + "?")
    return URL(urlunsplit((parts.scheme, netloc, path, query, "")), encoded=True)


def _logged_in(hop: _Hop) -> _Hop:
    """The same with user and password as a header instead of in the URL; a header that is there goes first."""
    url, login = split_credentials(hop.url)
    headers = hop.headers
    if login and not any(name.lower() == "authorization" for name, _ in headers):
        headers = (*headers, ("Authorization", _basic(login)))
    return _Hop(hop.method, url, headers, hop.body)


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


def _redirected(hop: _Hop, status: int, location: str) -> _Hop:
    """What to send after a redirect. Logins and other headers of ours stay with the host they were meant for."""
    try:
        url = urljoin(hop.url, location)
        here, there = urlsplit(hop.url), urlsplit(split_credentials(url)[0])
    except ValueError as error:
        raise HttpFailure(f"invalid redirect: {error}", retryable=False) from error
    headers = hop.headers
    if here.hostname != there.hostname or (here.scheme, there.scheme) == ("https", "http"):
        headers = tuple(pair for pair in headers if pair[0].lower() in ("accept", "content-type"))
    if status in (307, 308) or hop.method in ("GET", "HEAD"):
        return _Hop(hop.method, url, headers, hop.body)
    headers = tuple(pair for pair in headers if pair[0].lower() != "content-type")
    return _Hop("GET", url, headers, b"")


def _flat(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The body, or its beginning."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) >= LARGEST_BODY:
            response.close()
            break
    return bytes(body[:LARGEST_BODY])


def _failure(error: Exception, url: URL) -> HttpFailure:
    """The sentence for what went wrong; certificates and what nobody could send are not worth another try."""
    place = f"{url.host}:{url.port}"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = error.certificate_error
            text = reason.verify_message if isinstance(reason, ssl.SSLCertVerificationError) else str(reason)
            return HttpFailure(f"the certificate of {place} is not trusted: {text}", retryable=False)
        case aiohttp.ClientConnectorDNSError():
            return HttpFailure(f"no such host {error.host}")
        case aiohttp.ClientProxyConnectionError():
            return HttpFailure(f"the proxy cannot be reached: {_reason(error)}")
        case aiohttp.ClientConnectorError():
            return HttpFailure(f"connecting to {place} failed: {_reason(error)}")
        case aiohttp.ClientHttpProxyError():
            return HttpFailure(f"the proxy answered {error.status}")
        case aiohttp.ServerDisconnectedError():
            return HttpFailure(f"{place} closed the connection without an answer")
        case aiohttp.ClientOSError():
            return HttpFailure(f"the connection to {place} broke: {error.strerror or error}")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return HttpFailure(f"{place} sent an answer that cannot be read")
        case aiohttp.InvalidURL():
            return HttpFailure("invalid URL", retryable=False)
        case aiohttp.ClientError() | OSError():
            return HttpFailure(f"the exchange with {place} failed: {error}")
    return HttpFailure(f"the request cannot be sent: {error}", retryable=False)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or str(error.os_error)
