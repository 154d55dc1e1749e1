# ruff: noqa: SIM117 (a server, its client and a stream are three lines, not one)
"""The real transport against real servers on loopback."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gradatim.kube.client import Client
from gradatim.kube.credentials import Access, Certificate, Fixed, Identity
from gradatim.kube.envelope import Key
from gradatim.kube.errors import Unauthorized, Unavailable
from gradatim.kube.http import HttpTransport
from gradatim.kube.limiter import Limiter
from gradatim.kube.watch import Reflector
from gradatim.ports.objects import DEPLOYMENT

from .certificates import Authority, Pem
from .http_servers import Handler, Proxy, server_tls, serving
from .test_watch import Everything
from .world import deployment

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pem:
    return authority.server("127.0.0.1", "localhost")


class Rotating:
    """Credentials that become better when they are refused."""

    def __init__(self, *identities: Identity) -> None:
        self.left = list(identities)
        self.renewed = 0

    async def identity(self) -> Identity:
        return self.left[0]

    async def renew(self, refused: Identity) -> None:
        self.renewed += 1
        if len(self.left) > 1 and self.left[0] == refused:
            del self.left[0]


def token(word: str) -> Identity:
    return Identity((("Authorization", f"Bearer {word}"),))


@asynccontextmanager
async def transport(
    server: str, credentials: Any = None, environ: dict[str, str] | None = None, **access: Any
) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(Access(server, credentials or Fixed(Identity()), **access), environ or {})
    try:
        yield made
    finally:
        await made.close()


def answering(handler: Handler | None = None) -> tuple[Handler, list[web.Request]]:
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        requests.append(request)
        return await handler(request) if handler else web.json_response({"path": request.raw_path})

    return answer, requests


async def test_a_request_arrives_as_it_was_meant() -> None:
    handler, requests = answering()
    identity = Identity((("Authorization", "Bearer x"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")))
    async with serving(handler) as server, transport(f"{server}/prefix/", Fixed(identity)) as http:
        reply = await http.request(
            "PATCH",
            "/api/v1/namespaces/a%2Fb/x",
            query={"labelSelector": "a in (b, c)", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml", "User-Agent": "me"},
            body=b"{}",
            timeout=5,
        )
        (request,) = requests
        assert request.method == "PATCH"
        assert request.raw_path == "/prefix/api/v1/namespaces/a%2Fb/x?labelSelector=a%20in%20%28b%2C%20c%29&force=true"
        assert request.query["labelSelector"] == "a in (b, c)"
        assert await request.read() == b"{}"
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert request.headers["User-Agent"] == "me"
        assert request.headers.getall("Impersonate-Group") == ["a", "b"]
        assert request.headers["Accept-Encoding"] == "identity"
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert reply.body.startswith(b'{"path"')


async def test_connections_are_used_again() -> None:
    handler, requests = answering()
    async with serving(handler) as server, transport(server) as http:
        for _ in range(5):
            await http.request("GET", "/", timeout=5)
        assert len({id(request.transport) for request in requests}) == 1


async def test_answers_are_passed_on_whatever_their_code_and_redirects_are_not_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.path[1:]), headers={"Location": "http://elsewhere"}, body=b"hello")

    async with serving(answer) as server, transport(server) as http:
        for code in (200, 302, 404, 409, 500, 503):
            reply = await http.request("GET", f"/{code}", timeout=5)
            assert (reply.status, reply.body) == (code, b"hello")


async def test_cookies_are_not_kept() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b"})

    handler, requests = answering(answer)
    async with serving(handler) as server, transport(server) as http:
        for _ in range(2):
            await http.request("GET", "/", timeout=5)
        assert all("Cookie" not in request.headers for request in requests)


async def needs_good_token(request: web.Request) -> web.Response:
    good = request.headers.get("Authorization") == "Bearer good"
    return web.json_response({}, status=200 if good else 401)


async def test_after_401_the_request_is_sent_once_more_with_renewed_credentials() -> None:
    handler, requests = answering(needs_good_token)
    credentials = Rotating(token("old"), token("good"))
    async with serving(handler) as server, transport(server, credentials) as http:
        reply = await http.request("POST", "/", body=b"{}", timeout=5)
        assert reply.status == 200
        assert [await request.read() for request in requests] == [b"{}", b"{}"]
        assert credentials.renewed == 1


async def test_a_watch_survives_401_too() -> None:
    handler, _ = answering(needs_good_token)
    async with serving(handler) as server, transport(server, Rotating(token("old"), token("good"))) as http:
        async with http.stream("GET", "/", query={}, headers={}, idle_timeout=5) as reply:
            assert reply.status == 200


async def test_401_again_or_without_other_credentials_is_passed_on() -> None:
    handler, requests = answering(needs_good_token)
    async with serving(handler) as server:
        async with transport(server, Rotating(token("old"), token("older"), token("good"))) as http:
            assert (await http.request("GET", "/", timeout=5)).status == 401
            assert len(requests) == 2
        async with transport(server, Fixed(token("old"))) as http:
            assert (await http.request("GET", "/", timeout=5)).status == 401
            assert len(requests) == 3


async def test_nobody_at_home_is_unavailable_and_certainly_unsent() -> None:
    handler, _ = answering()
    async with serving(handler) as server:
        pass
    async with transport(server) as http:
        with pytest.raises(Unavailable, match="cannot connect") as caught:
            await http.request("POST", "/", body=b"{}", timeout=5)
        assert caught.value.unsent
        with pytest.raises(Unavailable) as caught:
            async with http.stream("GET", "/", query={}, headers={}, idle_timeout=5):
                pass
        assert caught.value.unsent


async def test_no_answer_in_time_is_unavailable_and_may_have_been_sent() -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(answer) as server, transport(server) as http:
        started = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s") as caught:
            await http.request("POST", "/", timeout=0.1)
        assert not caught.value.unsent
        assert time.monotonic() - started < 3


async def test_a_connection_that_breaks_in_the_middle_of_an_answer_is_unavailable() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(answer) as server, transport(server) as http:
        with pytest.raises(Unavailable) as caught:
            await http.request("POST", "/", timeout=5)
        assert not caught.value.unsent


async def test_chunks_come_as_they_are_written_and_a_cut_is_an_error() -> None:
    goes_on = asyncio.Event()
    rest: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await goes_on.wait()
        await response.write(b"sec")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(answer) as server, transport(server) as http:
        async with http.stream("GET", "/", query={"watch": "1"}, headers={}, idle_timeout=5) as reply:
            assert reply.status == 200
            assert await anext(reply.chunks) == b"first\n"
            goes_on.set()
            with pytest.raises(Unavailable):
                rest.extend([chunk async for chunk in reply.chunks])


async def test_a_stream_that_is_refused_has_its_answer_in_the_body() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"kind": "Status"}, status=410)

    async with serving(answer) as server, transport(server) as http:
        async with http.stream("GET", "/", query={}, headers={}, idle_timeout=5) as reply:
            assert (reply.status, reply.body) == (410, b'{"kind": "Status"}')
            assert [chunk async for chunk in reply.chunks] == []


async def test_a_silent_stream_is_given_up() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async with serving(answer) as server, transport(server) as http:
        async with http.stream("GET", "/", query={}, headers={}, idle_timeout=0.1) as reply:
            with pytest.raises(Unavailable, match="silent"):
                await anext(reply.chunks)


async def test_leaving_a_stream_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            closed.set()
            raise
        return response

    async with serving(answer) as server, transport(server) as http:
        async with http.stream("GET", "/", query={}, headers={}, idle_timeout=5) as reply:
            await anext(reply.chunks)
        async with asyncio.timeout(5):
            await closed.wait()


async def test_requests_that_hang_do_not_keep_a_watch_from_starting() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.sleep(60)
        return web.Response()

    async with serving(answer) as server, transport(server) as http:
        slow = [asyncio.create_task(http.request("GET", "/slow", timeout=60)) for _ in range(120)]
        await asyncio.sleep(0)
        async with asyncio.timeout(5), http.stream("GET", "/", query={}, headers={}, idle_timeout=5) as reply:
            assert reply.status == 200
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_tls_with_the_clusters_own_authority(tmp_path: Path, authority: Authority, pair: Pem) -> None:
    handler, _ = answering()
    async with serving(handler, server_tls(tmp_path, pair)) as server:
        async with transport(server, ca=authority.pem) as http:
            assert (await http.request("GET", "/", timeout=5)).status == 200
        async with transport(server, ca=Authority("another").pem) as http:
            with pytest.raises(Unavailable, match=r"cannot connect: .*certificate") as caught:
                await http.request("GET", "/", timeout=5)
            assert caught.value.unsent
        async with transport(server, insecure=True) as http:
            assert (await http.request("GET", "/", timeout=5)).status == 200


async def test_the_name_in_the_servers_certificate_must_be_the_one_expected(
    tmp_path: Path, authority: Authority
) -> None:
    handler, _ = answering()
    tls = server_tls(tmp_path, authority.server("kube.internal"))
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)  # type: ignore[assignment]
    async with serving(handler, tls) as server:
        async with transport(server, ca=authority.pem) as http:
            with pytest.raises(Unavailable, match="cannot connect"):
                await http.request("GET", "/", timeout=5)
        async with transport(server, ca=authority.pem, server_name="kube.internal") as http:
            assert (await http.request("GET", "/", timeout=5)).status == 200
            async with http.stream("GET", "/", query={}, headers={}, idle_timeout=5) as reply:
                assert reply.status == 200
    assert names[-1] == "kube.internal"


async def test_a_client_certificate_is_shown_and_a_new_one_makes_new_connections(
    tmp_path: Path, authority: Authority, pair: Pem
) -> None:
    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        subject = request.transport.get_extra_info("peercert")["subject"]
        return web.Response(text=dict(field[0] for field in subject)["commonName"])

    one, two = (Identity(certificate=Certificate(*authority.client(name))) for name in ("one", "two"))
    credentials = Rotating(one, two)
    async with serving(who, server_tls(tmp_path, pair, authority.pem)) as server:
        async with transport(server, credentials, ca=authority.pem) as http:
            assert (await http.request("GET", "/", timeout=5)).body == b"one"
            assert (await http.request("GET", "/", timeout=5)).body == b"one"
            await credentials.renew(one)
            assert (await http.request("GET", "/", timeout=5)).body == b"two"
        async with transport(server, ca=authority.pem) as http:
            with pytest.raises(Unavailable):
                await http.request("GET", "/", timeout=5)


async def test_a_certificate_that_broke_while_running_is_no_end(
    tmp_path: Path, authority: Authority, pair: Pem
) -> None:
    handler, _ = answering()
    credentials = Rotating(Identity(certificate=Certificate(b"half", b"written")), Identity())
    async with serving(handler, server_tls(tmp_path, pair)) as server:
        async with transport(server, credentials, ca=authority.pem) as http:
            with pytest.raises(Unauthorized, match="cannot be used together"):
                await http.request("GET", "/", timeout=5)
            await credentials.renew(credentials.left[0])
            assert (await http.request("GET", "/", timeout=5)).status == 200


async def test_a_proxy_of_the_kubeconfig(tmp_path: Path, authority: Authority, pair: Pem) -> None:
    handler, _ = answering()
    proxy = Proxy()
    async with proxy.running() as address, serving(handler, server_tls(tmp_path, pair)) as server:
        async with transport(server, ca=authority.pem, proxy=f"http://me:secret@{address}") as http:
            assert (await http.request("GET", "/x", timeout=5)).status == 200
        assert proxy.asked == [f"CONNECT {server.removeprefix('https://')} HTTP/1.1"]
        assert proxy.authorizations == ["Proxy-Authorization: Basic bWU6c2VjcmV0"]


async def test_a_proxy_of_the_environment_unless_the_server_is_exempt() -> None:
    handler, _ = answering()
    proxy = Proxy()
    async with proxy.running() as address, serving(handler) as server:
        proxy.hosts["cluster.test"] = server.removeprefix("http://")
        environ = {"HTTP_PROXY": f"http://{address}"}
        async with transport("http://cluster.test", environ=environ) as http:
            assert (await http.request("GET", "/plain", timeout=5)).status == 200
        assert proxy.asked == ["GET http://cluster.test/plain HTTP/1.1"]
        async with transport(server, environ=environ) as http:  # loopback never goes through a proxy
            assert (await http.request("GET", "/x", timeout=5)).status == 200
        assert len(proxy.asked) == 1


async def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(
    tmp_path: Path, authority: Authority, pair: Pem
) -> None:
    handler, requests = answering()
    async with Proxy(refuse=True).running() as address, serving(handler, server_tls(tmp_path, pair)) as server:
        async with transport(server, ca=authority.pem, proxy=f"http://{address}") as http:
            with pytest.raises(Unavailable, match="the proxy answered 407") as caught:
                await http.request("POST", "/", timeout=5)
            assert caught.value.unsent
    assert requests == []


class UntilB13(Everything):
    """A store that says when it has seen the last event of the test below."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = asyncio.Event()

    def saw(self, key: Key, version: str, raw: bytes) -> None:
        super().saw(key, version, raw)
        if version == "13":
            self.complete.set()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_watch_over_the_wire_survives_huge_objects_and_a_cut(
    tmp_path: Path, authority: Authority, pair: Pem, secure: bool
) -> None:
    lists, watches = 0, 0

    def obj(name: str, version: int, **fields: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "test", "resourceVersion": str(version)}, **fields}

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal lists, watches
        if "watch" not in request.query:
            lists += 1
            return web.json_response({"metadata": {"resourceVersion": "10"}, "items": [obj("a", 5), obj("b", 6)]})
        watches += 1
        response = web.StreamResponse()
        await response.prepare(request)
        if watches == 1:
            assert request.query["resourceVersion"] == "10"
            big = obj("big", 11, data="x" * 200_000)
            await response.write(web.json_response({"type": "ADDED", "object": big}).body + b"\n")  # type: ignore[operator]
            await response.write(b'{"type":"DELETED","obj')
            assert request.transport is not None
            request.transport.close()
            return response
        assert request.query["resourceVersion"] == "11"
        for event in ({"type": "DELETED", "object": obj("a", 12)}, {"type": "MODIFIED", "object": obj("b", 13)}):
            await response.write(web.json_response(event).body + b"\n")  # type: ignore[operator]
        await asyncio.sleep(60)
        return response

    tls = server_tls(tmp_path, pair) if secure else None
    async with serving(answer, tls) as server, transport(server, ca=authority.pem) as http:
        store = UntilB13()
        client = Client(http, Limiter(0), time.monotonic, "test")
        reflector = Reflector(client, DEPLOYMENT, "", store, time.monotonic, chance=lambda: 0.0)
        following = asyncio.create_task(reflector.run())
        async with asyncio.timeout(10):
            await reflector.wait_synced(5)
            await store.complete.wait()
        assert store.versions() == {"big": "11", "b": "13"}
        assert store.deleted == ["a"]
        assert len(store.objects["test", "big"][1]) > 200_000
        assert lists == 1
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_the_client_over_the_wire() -> None:
    async def answer(request: web.Request) -> web.Response:
        status = {"kind": "Status", "message": 'deployments.apps "podinfo" not found', "details": {"name": "podinfo"}}
        if request.method == "GET":
            return web.json_response(status, status=404)
        return web.json_response(await request.json(), status=201)

    async with serving(answer) as server, transport(server) as http:
        client = Client(http, Limiter(), time.monotonic, "test")
        with pytest.raises(Exception, match=r'deployments\.apps "podinfo" not found'):
            await client.get(deployment("podinfo"))
        assert await client.create(deployment("podinfo"), {"spec": {"a": "ü"}}) == {"spec": {"a": "ü"}}


async def test_a_context_is_made_once_for_many_requests(
    tmp_path: Path, authority: Authority, pair: Pem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading certificates takes milliseconds; it must not happen for every request."""
    handler, requests = answering()
    async with serving(handler, server_tls(tmp_path, pair)) as server, transport(server, ca=authority.pem) as http:
        contexts = set()
        for _ in range(3):
            await http.request("GET", "/", timeout=5)
            contexts.add(http._tls(None))
        assert len(contexts) == 1
        assert isinstance(contexts.pop(), ssl.SSLContext)
    assert len({id(request.transport) for request in requests}) == 1
