"""Everything a connection can do to a watch, and what the store looks like afterwards."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from gradatim.kube.envelope import Key
from gradatim.kube.errors import Forbidden, NotFound, Unavailable
from gradatim.kube.watch import Reflector
from gradatim.ports.objects import DEPLOYMENT

from .fake_api import FakeApi, status
from .world import client, deployment, now, settled

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]
PATH = "/apis/apps/v1/deployments"


class Everything:
    """A store that keeps all, and writes down what it is told."""

    def __init__(self) -> None:
        self.objects: dict[Key, tuple[str, bytes]] = {}
        self.deleted: list[str] = []
        self.rewound: list[bool] = []

    def wants(self, key: Key) -> bool:
        return True

    def saw(self, key: Key, version: str, raw: bytes) -> None:
        self.objects[key] = (version, raw)

    def lost(self, key: Key, version: str) -> None:
        self.deleted.append(key[1])
        self.objects.pop(key, None)

    def held(self) -> list[tuple[Key, str]]:
        return [(key, version) for key, (version, _) in self.objects.items()]

    def listing(self, rewound: bool) -> None:
        self.rewound.append(rewound)
        if rewound:
            self.objects = {key: ("", raw) for key, (_, raw) in self.objects.items()}

    def listed(self, version: str) -> None: ...

    def versions(self) -> dict[str, str]:
        return {key[1]: version for key, (version, _) in self.objects.items()}


def truth(api: FakeApi) -> dict[str, str]:
    (objects,) = api.objects.values()
    return {key[1]: obj["metadata"]["resourceVersion"] for key, obj in objects.items()}


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.serve(DEPLOYMENT)
    for number in range(20):
        api.put(deployment(f"d{number:02}"), spec={"replicas": number})
    return api


@asynccontextmanager
async def following(
    api: FakeApi, *, synced: bool = True, **settings: object
) -> AsyncIterator[tuple[Reflector, Everything]]:
    store = Everything()
    reflector = Reflector(client(api), DEPLOYMENT, "", store, now, chance=lambda: 0.5, **settings)  # type: ignore[arg-type]
    task = asyncio.create_task(reflector.run())
    try:
        if synced:
            await reflector.wait_synced(60)
            await settled()
        yield reflector, store
        assert not task.done(), "a reflector never ends by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def disturb(api: FakeApi) -> None:
    """What happens while nobody is looking: 5 changed, 3 deleted, 2 new, 1 deleted and made again."""
    for number in range(5):
        api.put(deployment(f"d{number:02}"), spec={"replicas": 99})
    for number in range(5, 8):
        api.drop(deployment(f"d{number:02}"))
    api.put(deployment("new-1"))
    api.put(deployment("new-2"))
    api.drop(deployment("d19"))
    api.put(deployment("d19"), spec={"replicas": 7})


@pytest.mark.parametrize("watch_list", [False, True])
async def test_what_is_there_and_what_happens_is_seen(api: FakeApi, watch_list: bool) -> None:
    api.watch_list = watch_list
    async with following(api, watch_list=watch_list) as (reflector, store):
        assert store.versions() == truth(api)
        disturb(api)
        await settled()
        assert store.versions() == truth(api)
        assert sorted(store.deleted) == ["d05", "d06", "d07", "d19"]
        assert msgspec.json.decode(store.objects["test", "d00"][1])["spec"] == {"replicas": 99}
        assert len(api.asked("GET", watch=True)) == 1
        assert len(api.asked("GET")) == (0 if watch_list else 1)
        assert reflector.disconnected_at is None


async def test_lists_are_paged_and_watched_from_their_version(api: FakeApi) -> None:
    api.page_limit = 6
    async with following(api) as (_, store):
        assert store.versions() == truth(api)
        assert [asked.query["limit"] for asked in api.asked("GET")] == ["500"] * 4
        (watch,) = api.asked("GET", watch=True)
        assert watch.query["resourceVersion"] == "120"
        assert watch.query["allowWatchBookmarks"] == "true"
        assert 300 <= int(watch.query["timeoutSeconds"]) <= 600


async def test_a_list_that_expires_between_pages_is_started_afresh(api: FakeApi) -> None:
    api.page_limit = 6
    gate = api.gate("GET", PATH, back=True)
    async with following(api, synced=False) as (reflector, store):
        await gate.arrived.wait()
        api.forget()
        disturb(api)
        gate.opened.set()
        await reflector.wait_synced(60)
        assert store.versions() == truth(api)


async def test_a_cut_connection_is_resumed_where_it_was(api: FakeApi, virtual_time: Callable[[], float]) -> None:
    async with following(api) as (reflector, store):
        api.outage = True
        api.cut()
        disturb(api)
        await asyncio.sleep(2)
        assert reflector.disconnected_at is not None
        assert virtual_time() - reflector.disconnected_at == pytest.approx(2, abs=0.1)
        api.outage = False
        await asyncio.sleep(3)
        assert store.versions() == truth(api)
        assert sorted(store.deleted) == ["d05", "d06", "d07", "d19"]
        assert reflector.lists == 1, "nothing is listed again"
        assert 3 <= len(api.asked("GET", watch=True)) <= 8, "no hammering"
        assert reflector.disconnected_at is None


@pytest.mark.parametrize("as_status", [False, True])
async def test_410_in_either_form_means_a_new_list_and_deletions_are_found(api: FakeApi, as_status: bool) -> None:
    api.gone_as_status = as_status
    async with following(api) as (reflector, store):
        api.cut()
        disturb(api)
        api.forget()
        await asyncio.sleep(3)
        assert store.versions() == truth(api)
        assert sorted(store.deleted) == ["d05", "d06", "d07"], "d19 is back already"
        assert reflector.lists == 2
        assert store.rewound == [False, False]
        api.put(deployment("later"))
        await settled()
        assert store.versions() == truth(api)


async def test_an_error_in_the_stream_is_resumed_not_listed_again(api: FakeApi) -> None:
    async with following(api) as (reflector, store):
        (stream,) = api.streams
        stream.send("ERROR", status(500, "InternalError", message="etcd is busy"))
        await settled()
        api.streams.clear()
        disturb(api)
        await asyncio.sleep(3)
        assert store.versions() == truth(api)
        assert reflector.lists == 1
        assert reflector.last_error is not None
        assert reflector.last_error.message == "etcd is busy"


async def test_a_version_the_server_will_not_accept_leads_to_a_new_list_in_the_end(api: FakeApi) -> None:
    """After restoring a backup, our version lies in the future."""
    async with following(api) as (reflector, store):
        for _ in range(5):
            api.refuse("WATCH", PATH, 504, status(504, "Timeout", message="Too large resource version"))
        api.cut()
        await asyncio.sleep(60)
        assert reflector.lists == 2
        assert store.versions() == truth(api)


async def test_when_the_past_of_the_cluster_changes_the_store_is_told(api: FakeApi) -> None:
    async with following(api) as (_, store):
        api.cut()
        api.objects["apis/apps/v1/deployments"].clear()
        api.history["apis/apps/v1/deployments"].clear()
        api.version = 50
        api.put(deployment("d00"))
        for _ in range(5):
            api.refuse("WATCH", PATH, 504, status(504, "Timeout", message="Too large resource version"))
        await asyncio.sleep(60)
        assert store.rewound == [False, True]
        assert store.versions() == truth(api) == {"d00": "51"}


async def test_bookmarks_move_the_version_and_carry_no_name(api: FakeApi) -> None:
    async with following(api) as (reflector, store):
        api.version = 5000
        api.bookmark(DEPLOYMENT)
        await settled()
        assert reflector.version == "5000"
        api.forget()  # everything before 5001
        api.oldest["apis/apps/v1/deployments"] = 5000
        api.cut()
        await asyncio.sleep(3)
        assert reflector.lists == 1, "resumed from the bookmark"
        assert (len(store.objects), reflector.skipped) == (20, 0)


async def test_a_huge_object_in_small_pieces_is_one_event(api: FakeApi) -> None:
    async with following(api) as (_, store):
        (stream,) = api.streams
        big = {"metadata": {"name": "big", "namespace": "test", "resourceVersion": "900"}, "data": "x" * 200_000}
        line = msgspec.json.encode({"type": "ADDED", "object": big}) + b"\n"
        for start in range(0, len(line), 1000):
            stream.raw(line[start : start + 1000])
        await asyncio.sleep(0.01)
        assert store.versions()["big"] == "900"
        assert msgspec.json.decode(store.objects["test", "big"][1]) == big


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"MODIFIED","object":{"metadata":{"name":7,"namespace":"test","resourceVersion":"901"}}}',
        b'{"type":"MODIFIED","object":{"metadata":"nothing"}}',
        b'{"type":"MODIFIED","object":[]}',
        b'{"type":"ADDED","object":{}}',
        b'{"type":"ADDED"',
        b"<html>",
        b'{"type":"NEVER-HEARD-OF","object":{"metadata":{"name":"x","resourceVersion":"901"}}}',
        b"",
    ],
)
async def test_one_odd_line_is_skipped_and_the_stream_lives(
    api: FakeApi, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(api) as (reflector, store):
        (stream,) = api.streams
        with caplog.at_level(logging.WARNING):
            stream.raw(line + b"\n")
            api.put(deployment("after"))
            await settled()
        assert store.versions() == truth(api)
        assert api.streams == [stream]
        assert reflector.skipped == len(caplog.records) == (0 if b"NEVER" in line or not line else 1)


async def test_one_odd_object_in_a_list_is_skipped_too(api: FakeApi) -> None:
    api.objects["apis/apps/v1/deployments"]["test", "d03"]["metadata"]["name"] = 7
    async with following(api) as (reflector, store):
        assert len(store.objects) == 19
        assert reflector.skipped == 1


async def test_a_watch_the_server_ends_in_good_order_is_opened_again_at_once(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    async with following(api) as (reflector, _):
        await asyncio.sleep(4 * 450 + 10)
        watches = api.asked("GET", watch=True)
        assert len(watches) == 5
        assert [later.at - earlier.at for earlier, later in itertools.pairwise(watches)] == [450] * 4
        assert reflector.lists == 1
        assert reflector.last_error is None


async def test_a_server_that_ends_every_watch_at_once_is_not_hammered(api: FakeApi) -> None:
    async with following(api):
        started = now()
        while now() - started < 120:
            for stream in api.streams:
                stream.end()
            await asyncio.sleep(0.01)
        assert len(api.asked("GET", watch=True)) < 20


async def test_a_silent_connection_is_given_up_after_more_than_the_watch_should_have_lasted(api: FakeApi) -> None:
    api.half_open = True
    async with following(api) as (reflector, store):
        await asyncio.sleep(1000)
        first, second = api.asked("GET", watch=True)[:2]
        assert float(first.query["timeoutSeconds"]) < second.at - first.at < 700
        assert reflector.last_error is not None
        disturb(api)
        await settled()
        assert store.versions() == truth(api)


async def test_pauses_grow_while_the_server_is_away_and_are_short_again_after_a_good_time(api: FakeApi) -> None:
    async with following(api) as (reflector, _):
        api.outage = True
        api.cut()
        await asyncio.sleep(600)
        tries = [asked.at for asked in api.asked("GET", watch=True)][1:]
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        assert pauses[-1] == pytest.approx(22.5)
        assert len(tries) < 40
        api.outage = False
        await asyncio.sleep(60)
        assert reflector.disconnected_at is None
        api.cut()
        await asyncio.sleep(1)
        assert reflector.disconnected_at is None, "the first try comes soon again"


@pytest.mark.parametrize("code", [400, 405, 422])
async def test_without_streaming_lists_pages_are_used(api: FakeApi, code: int) -> None:
    api.refuse("WATCH", PATH, code)
    async with following(api, watch_list=True) as (reflector, store):
        assert store.versions() == truth(api)
        assert len(api.asked("GET")) == 1
        await asyncio.sleep(1000)
        assert all("sendInitialEvents" not in asked.query for asked in api.asked("GET", watch=True)[1:])
        assert reflector.lists == 1


async def test_a_streaming_list_that_never_ends_is_given_up(api: FakeApi) -> None:
    """An old server ignores the parameter and just goes on with what happens."""
    api.watch_list = True
    api._bookmark = lambda collection, annotations: {"metadata": {"resourceVersion": "120"}}  # type: ignore[method-assign]
    async with following(api, watch_list=True) as (reflector, store):
        assert reflector.lists == 1
        assert len(api.asked("GET")) == 1
        assert store.versions() == truth(api)


async def test_a_streaming_list_finds_deletions_after_410(api: FakeApi) -> None:
    api.watch_list = True
    async with following(api, watch_list=True) as (reflector, store):
        api.cut()
        disturb(api)
        api.forget()
        await asyncio.sleep(3)
        assert store.versions() == truth(api)
        assert sorted(store.deleted) == ["d05", "d06", "d07"]
        assert (reflector.lists, len(api.asked("GET"))) == (2, 0)


async def test_a_kind_that_is_not_served_is_named_and_tried_again_slowly(api: FakeApi) -> None:
    kinds, api.kinds = api.kinds, {}
    async with following(api, synced=False) as (reflector, store):
        with pytest.raises(NotFound, match=r"does not serve deployments\.apps") as caught:
            await reflector.wait_synced(60)
        assert not caught.value.served
        await asyncio.sleep(600)
        assert 8 <= len(api.asked("GET")) <= 25
        api.kinds = kinds
        await asyncio.sleep(60)
        await reflector.wait_synced(0.001)
        assert store.versions() == truth(api)


async def test_a_kind_we_may_not_list_is_an_error_with_the_servers_words(api: FakeApi) -> None:
    words = 'deployments.apps is forbidden: User "x" cannot list resource "deployments"'
    for _ in range(2):
        api.refuse("GET", PATH, 403, status(403, "Forbidden", message=words))
    async with following(api, synced=False) as (reflector, _):
        with pytest.raises(Forbidden) as caught:
            await reflector.wait_synced(60)
        assert caught.value.message == words
        await asyncio.sleep(200)
        await reflector.wait_synced(0.001)


async def test_a_server_that_has_just_started_may_refuse_for_a_moment(api: FakeApi) -> None:
    """It does not know yet who may do what; seen on a real one within a second of its start."""
    async with following(api) as (_, store):
        api.outage = True
        api.cut()
        disturb(api)
        await asyncio.sleep(100)
        for code in (403, 404):
            api.refuse("WATCH", PATH, code)
            api.refuse("GET", PATH, code)
        api.outage = False
        await asyncio.sleep(34)
        assert store.versions() == truth(api)


async def test_waiting_for_a_first_list_ends_with_a_sentence_that_says_why(api: FakeApi) -> None:
    api.outage = True
    async with following(api, synced=False) as (reflector, _):
        with pytest.raises(Unavailable, match=r"deployments\.apps could not be listed within 90 s: .*refused"):
            await reflector.wait_synced(90)


async def test_credentials_refused_for_a_while_do_not_lose_the_place(api: FakeApi) -> None:
    async with following(api) as (reflector, store):
        for _ in range(3):
            api.refuse("WATCH", PATH, 401)
        api.cut()
        disturb(api)
        await asyncio.sleep(20)
        assert store.versions() == truth(api)
        assert reflector.lists == 1
