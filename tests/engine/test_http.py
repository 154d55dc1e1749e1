"""The HTTP client against servers on loopback that are slow, broken, elsewhere or not what they claim."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from cluster.pki import Authority
from gradatim.api.canary import Webhook
from gradatim.api.errors import Bug
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.engine.clock import Clock
from gradatim.engine.hooks import call
from gradatim.engine.http import LARGEST_BODY, HttpClient, share, wire_url
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Wire = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    """A client without any proxy of this machine."""
    async with HttpClient({}) as http:
        yield http


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives every request to one handler; yields its URL."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def wired(talk: Wire) -> AsyncIterator[str]:
    """A server that speaks as `talk` does, HTTP or not; yields its URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def get(url: str, timeout: float = 5.0, **more: object) -> HttpRequest:
    return HttpRequest(method="GET", url=url, timeout=timeout, **more)  # type: ignore[arg-type]


def post(url: str, body: bytes = b"{}", timeout: float = 5.0, **more: object) -> HttpRequest:
    json = (("Content-Type", "application/json"),)
    return HttpRequest(**{"method": "POST", "url": url, "headers": json, "body": body, "timeout": timeout, **more})


async def failure(http: HttpClient, request: HttpRequest) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        await http.send(request)
    return caught.value


async def echo(request: web.Request) -> web.Response:
    """Tell what arrived."""
    told = {name: value for name, value in request.headers.items() if name not in ("Host", "Accept-Encoding")}
    seen = {"method": request.method, "url": request.raw_path, "headers": told, "body": await request.text()}
    return web.json_response(seen)


def seen(response: HttpResponse) -> dict[str, object]:
    return msgspec.json.decode(response.body, type=dict[str, object])


@pytest.mark.asyncio
async def test_an_exchange(client: HttpClient) -> None:
    """Headers go out in order, several values of one too; the answer comes back whatever its status."""

    async def handler(request: web.Request) -> web.Response:
        many = ", ".join(request.headers.getall("X-Many"))
        return web.Response(status=418, text=f"{await request.text()} {many}", headers={"X-Answer": "Yes"})

    async with serving(handler) as url:
        response = await client.send(post(url, b"hello", headers=(("X-Many", "a"), ("X-Many", "b"))))
    assert (response.status, response.text, response.headers["x-answer"]) == (418, "hello a, b", "Yes")


@pytest.mark.asyncio
async def test_nothing_is_added_that_nobody_asked_for(client: HttpClient) -> None:
    async with serving(echo) as url:
        assert seen(await client.send(get(f"{url}/x"))) == {
            "method": "GET",
            "url": "/x",
            "headers": {"User-Agent": "gradatim", "Accept": "*/*"},
            "body": "",
        }


@pytest.mark.asyncio
async def test_an_answer_that_does_not_come_has_a_deadline(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(handler) as url:
        error = await failure(client, get(url, timeout=0.1))
    assert (error.message, error.retryable) == ("no answer within 100ms", True)


@pytest.mark.asyncio
async def test_the_deadline_covers_a_body_that_drips(client: HttpClient) -> None:
    """Every part comes quickly, the whole never does."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    async with serving(handler) as url:
        began = time.monotonic()
        error = await failure(client, get(url, timeout=0.2))
    assert error.message == "no answer within 200ms"
    assert time.monotonic() - began < 2


@pytest.mark.asyncio
async def test_the_deadline_covers_all_redirects_together(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.06)
        raise web.HTTPFound("/again")

    async with serving(handler) as url:
        assert (await failure(client, get(url, timeout=0.2))).message == "no answer within 200ms"


@pytest.mark.asyncio
async def test_a_server_that_accepts_and_says_nothing(client: HttpClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with wired(talk) as url:
        assert (await failure(client, post(url, timeout=0.1))).retryable


@pytest.mark.asyncio
async def test_a_server_that_hangs_up(client: HttpClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with wired(talk) as url:
        error = await failure(client, get(url))
    assert error.message == f"{url.removeprefix('http://')} closed the connection without an answer"
    assert error.retryable


@pytest.mark.asyncio
async def test_a_server_that_resets_the_connection(client: HttpClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with wired(talk) as url:
        error = await failure(client, post(url))
    assert error.retryable
    assert url.removeprefix("http://") in error.message


@pytest.mark.asyncio
async def test_an_answer_that_breaks_off(client: HttpClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    async with wired(talk) as url:
        error = await failure(client, get(url))
    assert error.message == f"{url.removeprefix('http://')} sent an answer that cannot be read"
    assert error.retryable


@pytest.mark.asyncio
async def test_a_server_that_does_not_speak_http(client: HttpClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with wired(talk) as url:
        error = await failure(client, get(url))
    assert error.message == f"{url.removeprefix('http://')} sent an answer that cannot be read"


@pytest.mark.asyncio
async def test_a_port_where_nobody_listens(client: HttpClient) -> None:
    async with serving(echo) as url:
        pass
    error = await failure(client, get(url))
    assert error.message.startswith(f"connecting to {url.removeprefix('http://')} failed: ")
    assert error.retryable


@pytest.mark.asyncio
async def test_a_host_that_does_not_exist(client: HttpClient) -> None:
    error = await failure(client, get("http://does-not-exist.invalid/"))
    assert (error.message, error.retryable) == ("no such host does-not-exist.invalid", True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", 'unsupported protocol scheme "ftp"'),
        ("host:80/x", 'unsupported protocol scheme "host"'),
        ("", 'unsupported protocol scheme ""'),
        ("http:///x", "invalid URL: it names no host"),
        ("http://ho st/x", "invalid URL: it names no host"),
        ("http://[::1/x", "invalid URL: Invalid IPv6 URL"),
        ("http://host:port/x", "invalid URL: Port could not be cast to integer value as 'port'"),
    ],
)
async def test_an_address_that_cannot_be_used_is_not_worth_another_try(
    client: HttpClient, url: str, message: str
) -> None:
    error = await failure(client, get(url))
    assert (error.message, error.retryable) == (message, False)


@pytest.mark.asyncio
async def test_a_header_that_cannot_be_sent_is_not_worth_another_try(client: HttpClient) -> None:
    async with serving(echo) as url:
        error = await failure(client, get(url, headers=(("Authorization", "Bearer a\nX-Evil: b"),)))
    assert error.message.startswith("the request cannot be sent: ")
    assert not error.retryable


@pytest.mark.asyncio
async def test_user_and_password_in_the_address_become_a_header_and_are_never_shown(client: HttpClient) -> None:
    async with serving(echo) as url:
        answer = seen(await client.send(get(url.replace("//", "//me:s%40cret@") + "/x")))
    assert answer["headers"] == {"User-Agent": "gradatim", "Accept": "*/*", "Authorization": "Basic bWU6c0BjcmV0"}
    error = await failure(client, get(url.replace("//", "//me:s%40cret@")))
    assert "cret" not in error.message


@pytest.mark.asyncio
async def test_a_header_goes_before_what_the_address_says(client: HttpClient) -> None:
    async with serving(echo) as url:
        request = get(url.replace("//", "//me:secret@"), headers=(("authorization", "Bearer abc"),))
        headers = seen(await client.send(request))["headers"]
    assert headers == {"User-Agent": "gradatim", "Accept": "*/*", "Authorization": "Bearer abc"}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://host", "http://host/"),
        ("http://host/a b/ü?q=x y&z=%2F+%20#top", "http://host/a%20b/%C3%BC?q=x%20y&z=%2F+%20"),
        ("http://host/%7Ea/%2fb", "http://host/%7Ea/%2fb"),
        ("http://host/api?query=sum%28up%7Ba%3D~%22b%22%7D%29", "http://host/api?query=sum%28up%7Ba%3D~%22b%22%7D%29"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ('http://host/"<x>"', "http://host/%22%3Cx%3E%22"),
    ],
)
def test_what_users_escaped_stays_as_they_wrote_it(url: str, sent: str) -> None:
    assert str(wire_url(url)) == sent


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "method", "body", "kept"),
    [
        (301, "GET", "", False),
        (302, "GET", "", False),
        (303, "GET", "", False),
        (307, "POST", "{}", True),
        (308, "POST", "{}", True),
    ],
)
async def test_redirects_of_a_hook(client: HttpClient, status: int, method: str, body: str, kept: bool) -> None:
    """Three kinds turn into a GET without a body, two repeat the request."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/there":
            return await echo(request)
        return web.Response(status=status, headers={"Location": "there?x=1"})

    async with serving(handler) as url:
        answer = seen(await client.send(post(f"{url}/here")))
    assert (answer["method"], answer["url"], answer["body"]) == (method, "/there?x=1", body)
    headers = answer["headers"]
    assert isinstance(headers, dict)
    assert ("Content-Type" in headers) is kept


@pytest.mark.asyncio
async def test_a_redirected_get_keeps_its_headers_on_the_same_host(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/there":
            return await echo(request)
        return web.Response(status=302, headers={"Location": "/there"})

    async with serving(handler) as url:
        answer = seen(await client.send(get(f"{url}/here", headers=(("X-Scope-OrgID", "a"), ("Authorization", "b")))))
    assert answer["headers"] == {
        "User-Agent": "gradatim",
        "Accept": "*/*",
        "X-Scope-OrgID": "a",
        "Authorization": "b",
    }


@pytest.mark.asyncio
async def test_logins_do_not_follow_a_redirect_to_another_host(client: HttpClient) -> None:
    """Neither those in headers nor those in the address, whatever the header is called."""
    async with serving(echo) as there:

        async def handler(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": there.replace("127.0.0.1", "localhost")})

        async with serving(handler) as url:
            request = post(url.replace("//", "//me:secret@"), headers=(("DD-API-KEY", "x"), ("Content-Type", "a/b")))
            answer = seen(await client.send(request))
    headers = answer["headers"]
    assert isinstance(headers, dict)
    assert "Authorization" not in headers
    assert "DD-API-KEY" not in headers
    assert headers["Content-Type"] == "a/b"


@pytest.mark.asyncio
async def test_a_circle_of_redirects_is_left(client: HttpClient) -> None:
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.Response(status=302, headers={"Location": "/"})

    async with serving(handler) as url:
        error = await failure(client, get(url))
    assert (error.message, error.retryable) == ("stopped after 10 redirects", False)
    assert count == 11


@pytest.mark.asyncio
async def test_a_redirect_to_nowhere_is_an_answer(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, text="but where?")

    async with serving(handler) as url:
        assert (await client.send(post(url))).text == "but where?"


@pytest.mark.asyncio
@pytest.mark.parametrize("location", ["ftp://elsewhere/", "http://[::1/", "http:///"])
async def test_a_redirect_that_cannot_be_followed(client: HttpClient, location: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with serving(handler) as url:
        assert not (await failure(client, get(url))).retryable


@pytest.mark.asyncio
async def test_a_certificate_nobody_knows_is_refused_unless_asked(client: HttpClient, tmp_path: Path) -> None:
    pair = Authority(tmp_path).server("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    async with serving(echo, context) as url:
        error = await failure(client, post(url))
        assert error.message.startswith(f"the certificate of {url.removeprefix('https://')} is not trusted: ")
        assert not error.retryable
        assert (await client.send(post(url, verify_tls=False))).status == 200


@pytest.mark.asyncio
async def test_a_server_without_tls_behind_an_https_address(client: HttpClient) -> None:
    async with serving(echo) as url:
        error = await failure(client, get(url.replace("http://", "https://")))
    assert error.retryable


@pytest.mark.asyncio
async def test_of_a_large_answer_the_beginning_is_read(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 100_000)
        return response

    async with serving(handler) as url:
        response = await client.send(get(url))
    assert len(response.body) == LARGEST_BODY


@pytest.mark.asyncio
async def test_compressed_answers_are_read(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text="hello " * 100)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with serving(handler) as url:
        assert (await client.send(get(url))).text == "hello " * 100


@pytest.mark.asyncio
async def test_cookies_are_forgotten(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text=request.headers.get("Cookie", "none"))
        response.set_cookie("session", "1")
        return response

    async with serving(handler) as url:
        await client.send(get(url))
        assert (await client.send(get(url))).text == "none"


@pytest.mark.asyncio
async def test_connections_are_kept_for_queries_and_never_for_hooks(client: HttpClient) -> None:
    """A kept connection may be dead; a query is asked again then, a hook must not be called twice."""

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    async with serving(handler) as url:
        assert len({(await client.send(get(url))).text for _ in range(3)}) == 1
        assert len({(await client.send(post(url))).text for _ in range(3)}) == 3


class Gathering:
    """A receiver that answers nobody before all are there."""

    def __init__(self, all_of_them: int) -> None:
        self.there = 0
        self._all = all_of_them
        self._complete = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        """Wait for the others."""
        self.there += 1
        if self.there == self._all:
            self._complete.set()
        await self._complete.wait()
        return web.Response()


@pytest.mark.parametrize("request_to", [get, post], ids=["queries", "hooks"])
@pytest.mark.asyncio
async def test_as_many_as_there_are_canaries_ask_one_server_at_once(
    client: HttpClient, request_to: Callable[[str], HttpRequest]
) -> None:
    """A load tester of a whole cluster holds each of its callers; nobody's time may run out in a queue."""
    gathering = Gathering(120)
    async with serving(gathering) as url:
        answers = await asyncio.gather(*(client.send(request_to(url)) for _ in range(120)))
    assert {answer.status for answer in answers} == {200}


@pytest.mark.asyncio
async def test_waiting_for_a_connection_that_may_be_opened_is_no_part_of_the_deadline() -> None:
    """Who waits is not too late, however often others before it were."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/never":
            await asyncio.Event().wait()
        return web.Response()

    async with serving(handler) as url, HttpClient({}, at_once=1) as http:
        before = [asyncio.create_task(failure(http, get(f"{url}/never", timeout=0.02))) for _ in range(10)]
        assert (await http.send(get(url, timeout=0.1))).status == 200
        assert {error.message for error in await asyncio.gather(*before)} == {"no answer within 20ms"}


@pytest.mark.parametrize(("files", "exchanges"), [((4096, 8192), 1024), ((-1, -1), sys.maxsize), ((2, 2), 1)])
@pytest.mark.asyncio
async def test_there_are_always_files_left_for_others(
    monkeypatch: pytest.MonkeyPatch, files: tuple[int, int], exchanges: int
) -> None:
    """Three in four: for what is kept idle, for the news, and for the API server. No limit (-1) is none here either."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: files)
    assert share() == exchanges


@pytest.mark.asyncio
async def test_a_proxy_is_used_with_its_login(client: HttpClient) -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.raw_path} {request.headers.get('Proxy-Authorization')}")

    async with serving(proxy) as url:
        request = get("http://prometheus.test/x", proxy=url.replace("//", "//me:secret@"))
        assert (await client.send(request)).text == "http://prometheus.test/x Basic bWU6c2VjcmV0"


@pytest.mark.asyncio
async def test_the_proxy_of_the_environment_is_used_unless_there_is_another() -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.Response(text=f"proxied {request.raw_path}")

    async def other(request: web.Request) -> web.Response:
        return web.Response(text="the other one")

    async with serving(proxy) as url, serving(other) as own, HttpClient({"HTTP_PROXY": url}) as http:
        assert (await http.send(get("http://prometheus.test/x"))).text == "proxied http://prometheus.test/x"
        assert (await http.send(get("http://prometheus.test/x", proxy=own))).text == "the other one"
        assert (await http.send(get(own))).text == "the other one"


@pytest.mark.asyncio
async def test_a_proxy_that_is_down_shows_no_password(client: HttpClient) -> None:
    async with serving(echo) as url:
        pass
    error = await failure(client, get("http://prometheus.test/x", proxy=url.replace("//", "//me:secret@")))
    assert error.message.startswith("the proxy cannot be reached: ")
    assert "secret" not in error.message


@pytest.mark.asyncio
async def test_an_https_address_is_reached_through_a_tunnel_with_the_login(client: HttpClient, tmp_path: Path) -> None:
    """The proxy sees where to, its own login, and nothing of what is sent."""
    pair = Authority(tmp_path).server("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        there, back = await asyncio.open_connection("127.0.0.1", int(asked[0].split()[1].rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    async with serving(echo, context) as url, wired(tunnel) as proxy:
        request = post(url, verify_tls=False, proxy=proxy.replace("//", "//me:secret@"))
        headers = seen(await client.send(request))["headers"]
    assert asked[0].startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1")
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in asked[0]
    assert isinstance(headers, dict)
    assert "Proxy-Authorization" not in headers


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.asyncio
async def test_a_proxy_that_refuses(client: HttpClient) -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.Response(status=407)

    async with serving(proxy) as url:
        error = await failure(client, get("https://prometheus.test/x", proxy=url))
    assert error.message == "the proxy answered 407"


@pytest.mark.asyncio
async def test_sending_can_be_cancelled(client: HttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(handler) as url:
        task = asyncio.create_task(client.send(get(url)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_a_client_that_was_not_entered_says_so() -> None:
    with pytest.raises(Bug, match="outside of its `async with`"):
        await HttpClient({}).send(get("http://127.0.0.1:1"))


@pytest.mark.asyncio
async def test_a_hook_all_the_way(client: HttpClient) -> None:
    """Hook and client together: a receiver that refuses twice, then one that hangs."""
    codes = [500, 429, 200]

    async def receiver(request: web.Request) -> web.Response:
        return web.Response(status=codes.pop(0), text="busy", headers={"Retry-After": "0"})

    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with serving(receiver) as url:
        assert await call(Webhook("load", url, retries=2), b"{}", client, Clock(), sleep) == HookPassed()
        assert pauses == [1, 0]
    async with serving(hang) as url:
        failed = await call(Webhook("load", url, timeout="50ms"), b"{}", client, Clock(), sleep)
    assert failed == HookFailed(f"POST {url} giving up after 1 attempt(s): no answer within 50ms", answered=False)
