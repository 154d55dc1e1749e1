"""What the engine reads: kept objects, interest, own writes, and news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gradatim.api.errors import Bug
from gradatim.kube.errors import Forbidden, NotFound, Unavailable
from gradatim.ports.objects import CANARY, DEPLOYMENT, METRIC_TEMPLATE, SERVICE, Ref

from .fake_api import FakeApi, status
from .world import Heard, cache_of, canary, client, deployment, now, settled

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]
PODINFO, OTHER = deployment("podinfo"), deployment("other")
OWNER, SECOND = canary("podinfo"), canary("second")
LIST, ONE = "/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/test/deployments"


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.serve(DEPLOYMENT, CANARY, SERVICE)
    api.put(PODINFO, spec={"replicas": 1})
    api.put(OTHER)
    return api


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_a_kind_kept_whole_is_complete_and_reports_every_change(api: FakeApi, heard: Heard) -> None:
    api.put(OWNER, spec={"analysis": {}})
    async with cache_of(api, heard) as cache:
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        assert cache.list(CANARY) == [OWNER]
        assert heard.take() == [(OWNER, frozenset())]
        api.put(SECOND)
        api.put(OWNER, spec={"analysis": {"interval": "1m"}})
        await settled()
        assert heard.take() == [(SECOND, frozenset()), (OWNER, frozenset())]
        assert cache.list(CANARY) == [OWNER, SECOND]
        assert cache.get(OWNER) == api.find(OWNER)
        api.drop(OWNER)
        await settled()
        assert heard.take() == [(OWNER, frozenset())]
        assert cache.list(CANARY) == [SECOND]
        assert cache.get(OWNER) is None


async def test_the_version_tells_without_reading_whether_an_object_has_changed(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        absent = deployment("absent")
        await asyncio.gather(*(cache.want(ref, OWNER) for ref in (PODINFO, absent)))
        assert cache.version(PODINFO) == api.find(PODINFO)["metadata"]["resourceVersion"]
        assert cache.version(absent) == ""
        api.put(PODINFO, spec={"replicas": 2})
        await settled()
        assert cache.version(PODINFO) == api.find(PODINFO)["metadata"]["resourceVersion"]
        api.drop(PODINFO)
        await settled()
        assert cache.version(PODINFO) == ""
        with pytest.raises(Bug):
            cache.version(OTHER)


async def test_what_was_wanted_before_the_list_needs_no_request_of_its_own(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        absent = deployment("absent")
        await asyncio.gather(*(cache.want(ref, OWNER) for ref in (PODINFO, OTHER, absent)))
        assert cache.get(PODINFO) == api.find(PODINFO)
        assert cache.get(absent) is None
        assert len(api.asked("GET", LIST)) == 1
        assert api.asked("GET", ONE) == []
        assert heard.take() == [], "who waits is not told as well"


async def test_what_is_wanted_later_is_asked_for_once(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        await asyncio.gather(*(cache.want(OTHER, owner) for owner in (OWNER, SECOND, canary("third"))))
        await cache.want(OTHER, OWNER)
        assert cache.get(OTHER) == api.find(OTHER)
        assert len(api.asked("GET", f"{ONE}/other")) == 1
        await cache.want(deployment("absent"), OWNER)
        assert cache.get(deployment("absent")) is None
        assert heard.take() == []


async def test_only_what_is_wanted_is_kept(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        for number in range(50):
            api.put(deployment(f"d{number}"))
        api.put(OTHER, spec={})
        await settled()
        assert cache.counts()[DEPLOYMENT].objects == 1
        assert cache.counts()[DEPLOYMENT].events == 51
        assert heard.take() == []


async def test_news_reach_those_who_want_the_object(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        await cache.want(PODINFO, SECOND)
        await cache.want(OTHER, SECOND)
        api.put(PODINFO, spec={"replicas": 5})
        api.put(OTHER, spec={"replicas": 6})
        await settled()
        assert heard.take() == [(PODINFO, frozenset({OWNER, SECOND})), (OTHER, frozenset({SECOND}))]
        cache.release(SECOND)
        api.drop(PODINFO)
        api.drop(OTHER)
        await settled()
        assert heard.take() == [(PODINFO, frozenset({OWNER}))]
        assert cache.get(PODINFO) is None


async def test_everyone_gets_an_object_of_their_own(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        await cache.want(PODINFO, OWNER)
        first = cache.get(PODINFO)
        assert first is not None
        first["spec"]["replicas"] = 77
        del first["metadata"]
        assert cache.get(PODINFO) == api.find(PODINFO)


async def test_managed_fields_are_not_kept_from_lists_gets_events_and_writes(api: FakeApi) -> None:
    fields = [{"manager": "kubectl"}]

    def put(ref: Ref) -> None:
        api.put(ref, metadata={"name": ref.name, "namespace": "test", "managedFields": fields, "labels": {"a": "b"}})

    put(PODINFO)
    put(OTHER)
    async with cache_of(api) as cache:
        for ref in (PODINFO, OTHER):
            await cache.want(ref, OWNER)
        put(canary("x"))
        written = api.put(OTHER)
        cache.put(written, OTHER)
        put(PODINFO)
        await settled()
        for ref in (PODINFO, OTHER):
            kept = cache.get(ref)
            assert kept is not None
            assert "managedFields" not in kept["metadata"]
            assert kept["metadata"]["labels"] == {"a": "b"}
        assert "managedFields" in written["metadata"], "the caller's object is left alone"


async def test_an_own_write_is_seen_at_once_and_its_echo_is_no_news(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        api.flow.clear()
        written = await client(api).patch(PODINFO, {"spec": {"replicas": 9}})
        cache.put(written, PODINFO)
        assert cache.get(PODINFO) == written
        api.flow.set()
        await settled()
        assert cache.get(PODINFO) == written
        assert heard.take() == []


async def test_an_echo_that_is_faster_than_the_answer_is_no_news_either(api: FakeApi, heard: Heard) -> None:
    api.put(OWNER)
    async with cache_of(api, heard) as cache:
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        await cache.want(PODINFO, OWNER)
        heard.take()
        for ref in (OWNER, PODINFO):
            gate = api.gate("PATCH", "/apis", back=True)
            writing = asyncio.create_task(cache._client.patch(ref, {"spec": {"replicas": 9}}))
            await gate.arrived.wait()
            await settled()
            assert cache.get(ref) == api.find(ref), "what the watch shows counts at once"
            gate.opened.set()
            cache.put(await writing, ref)
            gate = api.gate("DELETE", "/apis", back=True)
            deleting = asyncio.create_task(cache._client.delete(ref))
            await gate.arrived.wait()
            await settled()
            gate.opened.set()
            await deleting
            cache.remove(ref)
        await asyncio.sleep(1)
        assert heard.take() == []


async def test_what_others_do_during_our_write_is_news_when_it_is_over(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        await cache.want(PODINFO, SECOND)
        gate = api.gate("PATCH", "/apis", back=True)
        writing = asyncio.create_task(cache._client.patch(PODINFO, {"spec": {"replicas": 9}}))
        await gate.arrived.wait()
        api.put(PODINFO, spec={"replicas": 10})
        await settled()
        cache.release(SECOND)
        assert heard.take() == []
        gate.opened.set()
        cache.put(await writing, PODINFO)
        await asyncio.sleep(1)
        assert heard.take() == [(PODINFO, frozenset({OWNER}))]
        assert cache.get(PODINFO) == api.find(PODINFO)


async def test_a_write_whose_answer_was_lost_is_news_if_it_was_carried_out(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        api.gate("PATCH", "/apis", back=True)
        with pytest.raises(Unavailable):
            await cache._client.patch(PODINFO, {"spec": {"replicas": 9}})
        await asyncio.sleep(1)
        assert heard.take() == [(PODINFO, frozenset({OWNER}))]


async def test_nothing_goes_back_in_version(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        api.flow.clear()
        old = api.put(PODINFO, spec={"replicas": 2})
        new = await client(api).patch(PODINFO, {"spec": {"replicas": 3}})
        cache.put(new, PODINFO)
        cache.put(old, PODINFO)
        assert cache.get(PODINFO) == new
        api.flow.set()
        await settled()
        assert cache.get(PODINFO) == new
        api.put(PODINFO, spec={"replicas": 4})
        await settled()
        assert heard.take() == [(PODINFO, frozenset({OWNER}))]


async def test_an_own_deletion_is_seen_at_once_and_its_echo_is_no_news(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        await cache.want(PODINFO, OWNER)
        await client(api).delete(PODINFO)
        cache.remove(PODINFO)
        assert cache.get(PODINFO) is None
        await settled()
        assert heard.take() == []
        api.put(PODINFO)
        await settled()
        assert cache.get(PODINFO) is not None
        assert heard.take() == [(PODINFO, frozenset({OWNER}))]


async def test_a_write_that_was_overtaken_by_a_deletion_does_not_bring_the_object_back(api: FakeApi) -> None:
    api.put(OWNER)
    async with cache_of(api) as cache:
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        await cache.want(PODINFO, OWNER)
        answers = [(ref, await client(api).patch(ref, {"spec": {"a": 1}})) for ref in (OWNER, PODINFO)]
        for ref, _ in answers:
            api.drop(ref)
        await settled()
        for ref, written in answers:
            cache.put(written, ref)
            assert cache.get(ref) is None


async def test_a_created_object_of_a_kind_kept_whole_is_there_at_once(api: FakeApi, heard: Heard) -> None:
    async with cache_of(api, heard) as cache:
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        cache.put(await client(api).create(OWNER, {"metadata": {"name": "podinfo"}}), OWNER)
        assert cache.list(CANARY) == [OWNER]
        await settled()
        assert heard.take() == []


async def test_an_object_of_a_kind_kept_whole_can_be_wanted_too(api: FakeApi, heard: Heard) -> None:
    api.put(SECOND)
    async with cache_of(api, heard) as cache:
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        heard.take()
        await cache.want(SECOND, OWNER)
        await cache.want(canary("absent"), OWNER)
        assert cache.get(canary("absent")) is None
        assert api.asked("GET", "/apis/flagger.app/v1beta1/namespaces") == []
        api.put(SECOND, spec={})
        api.put(canary("absent"))
        await settled()
        assert heard.take() == [(SECOND, frozenset({OWNER})), (canary("absent"), frozenset({OWNER}))]
        cache.release(OWNER)
        assert cache.get(SECOND) == api.find(SECOND)


@pytest.mark.parametrize("as_status", [False, True])
async def test_after_a_gap_changes_and_deletions_are_news(api: FakeApi, heard: Heard, as_status: bool) -> None:
    api.gone_as_status = as_status
    third = deployment("third")
    api.put(third)
    async with cache_of(api, heard) as cache:
        for ref in (PODINFO, OTHER, third):
            await cache.want(ref, OWNER)
        api.cut()
        api.drop(PODINFO)
        api.put(OTHER, spec={"replicas": 3})
        api.forget()
        await asyncio.sleep(5)
        assert sorted(heard.take()) == [(OTHER, frozenset({OWNER})), (PODINFO, frozenset({OWNER}))]
        assert cache.get(PODINFO) is None
        assert cache.get(OTHER) == api.find(OTHER)
        assert cache.get(third) == api.find(third)


async def test_an_own_write_during_a_new_list_is_not_taken_for_deleted(api: FakeApi, heard: Heard) -> None:
    fresh = deployment("fresh")
    async with cache_of(api, heard) as cache:
        await cache.want(fresh, OWNER)
        gate = api.gate("GET", LIST, back=True)
        api.forget()
        api.cut()
        await gate.arrived.wait()
        cache.put(await client(api).create(fresh, {"metadata": {"name": "fresh"}}), fresh)
        gate.opened.set()
        await asyncio.sleep(0.01)
        assert cache.get(fresh) == api.find(fresh)
        assert heard.take() == []


async def test_a_kind_nobody_wants_any_more_is_left_after_a_minute(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        await cache.want(PODINFO, OWNER)
        cache.release(OWNER)
        await asyncio.sleep(30)
        assert len(api.streams) == 1
        await cache.want(PODINFO, OWNER)
        await asyncio.sleep(60)
        assert len(api.streams) == 1, "wanted again in time"
        cache.release(OWNER)
        await asyncio.sleep(61)
        assert api.streams == []
        assert cache.counts() == {}
        await cache.want(PODINFO, SECOND)
        assert cache.get(PODINFO) == api.find(PODINFO)


async def test_a_kind_that_is_not_installed_is_an_error_at_once_and_works_when_it_is(
    api: FakeApi, heard: Heard, virtual_time: Callable[[], float]
) -> None:
    template, start = Ref(METRIC_TEMPLATE, "test", "latency"), virtual_time()
    async with cache_of(api, heard) as cache:
        for _ in range(5):
            with pytest.raises(NotFound, match=r"does not serve metrictemplates\.flagger\.app"):
                await cache.want(template, OWNER)
        assert virtual_time() == start
        assert len(api.asked("GET", "/apis/flagger.app")) == 1
        assert cache.get(template) is None
        assert cache.stale_seconds() == 0
        await asyncio.sleep(100)
        assert cache.stale_seconds() == 0
        api.serve(METRIC_TEMPLATE)
        api.put(template)
        await asyncio.sleep(60)
        assert heard.take() == [(template, frozenset({OWNER}))]
        await cache.want(template, OWNER)
        assert cache.get(template) == api.find(template)


async def test_a_kind_we_may_get_but_not_list_is_asked_for_each_time(api: FakeApi) -> None:
    """What Flagger's own role allows for Knative."""
    for _ in range(3):
        api.refuse("GET", LIST, 403, status(403, "Forbidden", message="cannot list resource deployments"))
    async with cache_of(api) as cache:
        for replicas in (1, 2, 3):
            api.put(PODINFO, spec={"replicas": replicas})
            await cache.want(PODINFO, OWNER)
            assert cache.get(PODINFO) == api.find(PODINFO)
        api.drop(PODINFO)
        await cache.want(PODINFO, OWNER)
        assert cache.get(PODINFO) is None
        api.put(PODINFO)
        await asyncio.sleep(200)
        assert cache.get(PODINFO) == api.find(PODINFO), "followed as soon as it is allowed"


async def test_a_kind_we_may_neither_list_nor_get_is_forbidden(api: FakeApi, heard: Heard) -> None:
    words = 'User "x" cannot list resource "deployments" in API group "apps"'
    api.refuse("GET", LIST, 403, status(403, "Forbidden", message=words))
    api.refuse("GET", ONE, 403)
    async with cache_of(api, heard) as cache:
        with pytest.raises(Forbidden) as caught:
            await cache.want(PODINFO, OWNER)
        assert caught.value.message == words
        with pytest.raises(Unavailable, match="has not told yet"):
            cache.get(PODINFO)


async def test_without_an_answer_want_ends_and_get_does_not_claim_anything(
    api: FakeApi, heard: Heard, virtual_time: Callable[[], float]
) -> None:
    api.outage, start = True, virtual_time()
    async with cache_of(api, heard) as cache:
        with pytest.raises(Unavailable, match="could not be listed within 30 s"):
            await cache.want(PODINFO, OWNER)
        assert virtual_time() - start == pytest.approx(30)
        with pytest.raises(Unavailable):
            cache.get(PODINFO)
        api.outage = False
        await asyncio.sleep(60)
        assert cache.get(PODINFO) == api.find(PODINFO)
        assert heard.take() == [(PODINFO, frozenset({OWNER}))], "whoever gave up waiting is told"


async def test_one_namespace_means_one_namespace(api: FakeApi) -> None:
    api.put(deployment("podinfo", "elsewhere"))
    async with cache_of(api, namespace="test") as cache:
        await cache.want(PODINFO, OWNER)
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        with pytest.raises(NotFound, match="outside namespace test"):
            await cache.want(deployment("podinfo", "elsewhere"), OWNER)
        assert cache.get(deployment("podinfo", "elsewhere")) is None
        assert {asked.path for asked in api.log} == {ONE, "/apis/flagger.app/v1beta1/namespaces/test/canaries"}


async def test_reading_what_nobody_wanted_is_a_bug(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        with pytest.raises(Bug, match="without having been wanted"):
            cache.get(PODINFO)
        await cache.want(PODINFO, OWNER)
        with pytest.raises(Bug, match="without having been wanted"):
            cache.get(OTHER)
        cache.release(OWNER)
        with pytest.raises(Bug, match="without having been wanted"):
            cache.get(PODINFO)
        with pytest.raises(Bug, match="not watched as a whole"):
            cache.list(DEPLOYMENT)
        cache.put(api.put(OTHER), OTHER)
        cache.remove(OTHER)
        cache.release(SECOND)


async def test_staleness_is_the_time_the_worst_watch_has_been_away(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        assert cache.stale_seconds() == 0
        cache.watch_all(CANARY)
        await cache.synced(CANARY)
        await cache.want(PODINFO, OWNER)
        await settled()
        assert cache.stale_seconds() == 0
        assert cache.counts()[DEPLOYMENT].connected
        api.outage = True
        api.cut()
        await asyncio.sleep(42)
        assert cache.stale_seconds() == pytest.approx(42)
        assert not cache.counts()[DEPLOYMENT].connected
        api.outage = False
        await asyncio.sleep(31)
        assert cache.stale_seconds() == 0


async def test_a_bug_in_a_listener_ends_the_cache_and_not_silently(api: FakeApi) -> None:
    def broken(ref: Ref, owners: frozenset[Ref]) -> None:
        raise ZeroDivisionError

    async with cache_of(api, broken) as cache:
        await cache.want(PODINFO, OWNER)
        running = asyncio.create_task(cache.run())
        await settled()
        api.put(PODINFO)
        with pytest.raises(ZeroDivisionError):
            await running
        with pytest.raises(ZeroDivisionError):
            await cache.run()


async def test_after_closing_nothing_is_open(api: FakeApi) -> None:
    async with cache_of(api) as cache:
        await cache.want(PODINFO, OWNER)
        await settled()
        before = now()
    assert api.streams == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert now() == before
