"""Pods as processes: the demo application, and how a pod begins, fails and ends."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from gradatim.ports.objects import Ref
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.exposition import parse_identity, parse_lines
from gradatim.sim.load import Load
from gradatim.sim.load import Request as Shot
from gradatim.sim.pod_app import Histogram, body_length
from gradatim.sim.pod_logs import PodLogs
from gradatim.sim.pods.images import Behaviour, behaviour_of, tag_of
from gradatim.sim.pods.processes import ProcessPods
from gradatim.sim.pods.runner import PodOrder, PodState
from gradatim.sim.rest.messages import Request
from gradatim.sim.store import Store


class Pod:
    """A pod started by hand; `until` waits for a state."""

    def __init__(self, runner: ProcessPods, order: PodOrder) -> None:
        self.runner, self.order = runner, order
        self.states: list[PodState] = []
        self._changed = asyncio.Condition()
        runner.start(order, self._note)

    def _note(self, state: PodState) -> None:
        self.states.append(state)
        self._told = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, **wanted: object) -> PodState:
        """The first state, from now on, with these values."""
        async with asyncio.timeout(20), self._changed:
            while not all(getattr(self.states[-1] if self.states else None, k, None) == v for k, v in wanted.items()):
                await self._changed.wait()
        return self.states[-1]

    def stop(self, grace: float = 30.0) -> None:
        self.runner.stop(self.order.uid, grace)


@asynccontextmanager
async def pod(image: str, **changes: object) -> AsyncIterator[Pod]:
    """One pod on an address of its own and a free port."""
    runner = ProcessPods(drain=0.4)
    order = PodOrder("uid-1", "test", "hello-1", "node-1", runner.address(), (image,), ports=(free_port(),))
    try:
        yield Pod(runner, msgspec.structs.replace(order, **changes))
    finally:
        await runner.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def eventually(condition: Callable[[], object]) -> None:
    """Wait for what only a file or a log can tell."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.01)


async def get(address: str, port: int, path: str = "/", send: bytes = b"") -> tuple[str, dict[str, str], str]:
    """Status line, headers and body of one request."""
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(send or f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    line, *fields = head.split("\r\n")
    return line, dict(field.split(": ", 1) for field in fields), body


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("hello:v1", "v1"),
        ("ghcr.io/kmaster8/hello:v2", "v2"),
        ("localhost:5000/hello", "latest"),
        ("registry:5000/team/hello:1.2@sha256:abc", "1.2"),
    ],
)
def test_the_tag_of_an_image_is_the_version(image: str, tag: str) -> None:
    assert tag_of(image) == tag


def test_some_tags_are_bad_on_purpose() -> None:
    assert behaviour_of("ghcr.io/kmaster8/hello:v2") == Behaviour("v2")
    assert behaviour_of("ghcr.io/kmaster8/hello:v3") == Behaviour("v3", errors=100)
    assert behaviour_of("hello:2.1-5xx").errors == behaviour_of("hello:2.1-bad").errors == 100
    assert behaviour_of("hello:v2-slow").delay == 700
    assert behaviour_of("hello:v2-crash").crashes
    assert behaviour_of("registry.example.com/broken:2").broken
    assert behaviour_of("hello:v9", {"v9": Behaviour(errors=30)}) == Behaviour("v9", errors=30)


def test_the_histogram_is_a_page_that_can_be_read_back() -> None:
    histogram = Histogram()
    for seconds in (0.001, 0.02, 99.0):
        histogram.observe("GET", '/a"b', 200, seconds)
    for number in range(100):
        histogram.observe("GET", f"/{number}", 200, 0.1)
    samples = {text: value for text, value, _ in parse_lines(histogram.page())}
    labels = [parse_identity(text) for text in samples]
    assert len({each["path"] for each in labels}) == 51, "fifty paths, and `other` for the rest"
    mine = {
        each["le"]: samples[text]
        for text, each in zip(samples, labels, strict=True)
        if each["path"] == '/a"b' and "le" in each
    }
    assert (mine["0.005"], mine["0.01"], mine["0.025"], mine["10.0"], mine["+Inf"]) == (1, 1, 2, 2, 3)


@pytest.mark.parametrize(
    ("head", "rest", "length"),
    [
        ("GET / HTTP/1.1", b"", 0),
        ("POST / HTTP/1.1\r\nContent-Length: 3", b"ab", None),
        ("POST / HTTP/1.1\r\nContent-Length: 3", b"abcGET", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\nGET", 13),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 5),
    ],
)
def test_the_end_of_a_request_is_found(head: str, rest: bytes, length: int | None) -> None:
    assert body_length(head, rest) == length


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_good_version_answers_on_every_port_and_measures_itself() -> None:
    async with pod("ghcr.io/kmaster8/hello:v2", ports=(free_port(), free_port())) as it:
        await it.until(ready=True)
        for port in it.order.ports:
            line, headers, body = await get(it.order.address, port, "/shop?x=1")
            assert line == "HTTP/1.1 200 OK"
            assert (headers["x-version"], body) == ("v2", "hello from v2 pod hello-1\n")
        _, _, page = await get(it.order.address, it.order.ports[0], "/metrics")
        assert 'http_request_duration_seconds_count{method="GET",path="/shop",status="200"} 2.0' in page
        later = free_port()
        it.runner.listen(it.order.uid, (later,))
        await eventually(lambda: f"ports [{later}]" in it.runner.logs("uid-1")[-1])
        assert (await get(it.order.address, later))[0] == "HTTP/1.1 200 OK"
        with pytest.raises(ConnectionRefusedError):
            await get(it.order.address, it.order.ports[0])


@pytest.mark.playground
@pytest.mark.asyncio
async def test_bad_and_slow_versions_are_bad_and_slow_and_the_environment_overrides_them() -> None:
    async with pod("hello:v3") as it:
        await it.until(ready=True)
        line, headers, _ = await get(it.order.address, it.order.ports[0])
        assert (line, headers["x-version"]) == ("HTTP/1.1 500 Internal Server Error", "v3")
        await eventually(lambda: "GET / 500" in it.runner.logs("uid-1")[-1])  # it comes by another way than the answer
    settings = (("HELLO_ERRORS", "25"), ("HELLO_DELAY", "50"))
    async with pod("hello:v3", environment=settings) as it:
        await it.until(ready=True)
        request = Shot(it.order.address, it.order.ports[0])
        async with Load(request, 400, connections=20) as load:
            await load.reach(80)
        assert load.total.statuses[500] / load.total.answered == pytest.approx(0.25, abs=0.02)
        assert min(load.total.seconds) >= 0.05


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_pod_that_starts_slowly_runs_long_before_it_is_ready() -> None:
    loop = asyncio.get_running_loop()
    async with pod("hello:v1", environment=(("HELLO_START", "0.5"),)) as it:
        await it.until(running=True)
        began = loop.time()
        await it.until(ready=True)
        assert loop.time() - began >= 0.5
        line, _, _ = await get(it.order.address, it.order.ports[0])
        assert line == "HTTP/1.1 200 OK"


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_pod_that_ends_is_unready_at_once_but_serves_on_while_it_drains() -> None:
    async with pod("hello:v1") as it:
        await it.until(ready=True)
        port = it.order.ports[0]
        async with Load(Shot(it.order.address, port), 100, connections=2) as load:
            await load.reach(10)
            it.stop()
            assert it.states[-1].ready is False
            await load.reach(load.total.answered + 10)
            assert load.total.lost == 0
        state = await it.until(stopped=True)
        assert state.exit_code == 0
        assert it.runner.logs("uid-1") == []
        with pytest.raises(ConnectionRefusedError):
            await get(it.order.address, port)


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_crashing_version_is_started_again_with_pauses() -> None:
    async with pod("hello:v2-crash") as it:
        state = await it.until(waiting="CrashLoopBackOff")
        assert (state.running, state.restarts, state.exit_code) == (False, 0, 1)
        assert await it.until(waiting="CrashLoopBackOff", restarts=1)
        assert it.runner.logs("uid-1") == ["this version crashes at start"] * 2
        assert not any(each.ready for each in it.states)
        it.stop()
        await it.until(stopped=True)


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_broken_version_runs_without_ever_being_ready_and_a_taken_port_is_told() -> None:
    async with pod("broken:2") as it:
        await it.until(running=True)
        await eventually(lambda: any("never gets ready" in line for line in it.runner.logs("uid-1")))
        assert not it.states[-1].ready
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        async with pod("hello:v1", ports=(taken.getsockname()[1],)) as it:
            await eventually(lambda: it.states and it.states[-1].message)
            assert re.search("address already in use", it.states[-1].message)
            assert not it.states[-1].ready


@pytest.mark.playground
@pytest.mark.asyncio
async def test_logs_can_be_read_from_the_end_and_followed_until_the_pod_ends() -> None:
    """As `kubectl logs --tail` and `-f` do through the API server."""
    store = Store(lambda: 0.0)
    store.register(POD)
    made = store.create(Ref(POD, "test", "hello-1"), {"metadata": {"name": "hello-1"}})
    uid = made["metadata"]["uid"]
    async with pod("hello:v3", uid=uid) as it:
        await it.until(ready=True)
        logs = PodLogs(store, it.runner)
        for _ in range(3):
            await get(it.order.address, it.order.ports[0])
        await eventually(lambda: len(it.runner.logs(uid)) >= 5)
        tail = logs("test", "hello-1", Request.to("GET", "/log?tailLines=2"))
        assert isinstance(tail, str)
        assert [line.split(" ")[:3] for line in tail.splitlines()] == [["GET", "/", "500"]] * 2
        assert logs("test", "nobody", Request.to("GET", "/log")) == ""
        following = logs("test", "hello-1", Request.to("GET", "/log?tailLines=1&follow=true"))
        assert not isinstance(following, str)
        first = await anext(following)
        it.stop()
        rest = [line async for line in following]
        assert first.startswith(b"GET / 500")
        assert rest == [b"terminating: draining connections\n", b"bye\n"]
