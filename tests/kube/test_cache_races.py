"""A watch, a GET and own writes tell about the same object in any order; the cache always ends at the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.errors import Forbidden, KubeError, Unavailable
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import DEPLOYMENT, Ref
from virtual_loop import VirtualLoop

from .fake_api import FakeApi
from .world import Heard, cache_of, canary, deployment, now, settled

PODINFO, OTHER, OWNER, SECOND = deployment("podinfo"), deployment("other"), canary("podinfo"), canary("second")
ONE = "/apis/apps/v1/namespaces/test/deployments/podinfo"

slow_get = pytest.mark.parametrize("back", [False, True], ids=["on its way there", "on its way back"])


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.serve(DEPLOYMENT)
    api.put(OTHER)
    return api


async def while_getting(api: FakeApi, back: bool, happens: Callable[[], Any]) -> tuple[Any, Heard]:
    """Want podinfo when the kind is followed already, and let something happen during the GET."""
    heard = Heard()
    async with cache_of(api, heard) as cache:
        await cache.want(OTHER, OWNER)
        gate = api.gate("GET", ONE, back=back)
        wanting = asyncio.create_task(cache.want(PODINFO, OWNER))
        await gate.arrived.wait()
        happens()
        await settled()
        gate.opened.set()
        await wanting
        await settled()
        return cache.get(PODINFO), heard


@pytest.mark.asyncio
@slow_get
async def test_changed_during_the_get(api: FakeApi, virtual_time: object, back: bool) -> None:
    api.put(PODINFO, spec={"replicas": 1})
    found, _ = await while_getting(api, back, lambda: api.put(PODINFO, spec={"replicas": 2}))
    assert found == api.find(PODINFO)


@pytest.mark.asyncio
@slow_get
async def test_deleted_during_the_get(api: FakeApi, virtual_time: object, back: bool) -> None:
    """The GET's answer is older than the deletion that the watch has told about."""
    api.put(PODINFO)
    found, _ = await while_getting(api, back, lambda: api.drop(PODINFO))
    assert found is None


@pytest.mark.asyncio
@slow_get
async def test_created_during_the_get(api: FakeApi, virtual_time: object, back: bool) -> None:
    found, _ = await while_getting(api, back, lambda: api.put(PODINFO))
    assert found == api.find(PODINFO)
    assert found is not None


@pytest.mark.asyncio
@slow_get
async def test_deleted_and_made_again_during_the_get(api: FakeApi, virtual_time: object, back: bool) -> None:
    api.put(PODINFO)
    found, _ = await while_getting(api, back, lambda: (api.drop(PODINFO), api.put(PODINFO, spec={})))
    assert found == api.find(PODINFO)
    assert found is not None


@pytest.mark.asyncio
async def test_a_watch_that_lags_behind_the_get_does_not_take_it_back(api: FakeApi, virtual_time: object) -> None:
    api.put(PODINFO, spec={"replicas": 1})
    heard = Heard()
    async with cache_of(api, heard) as cache:
        await cache.want(OTHER, OWNER)
        await settled()
        api.flow.clear()
        api.put(PODINFO, spec={"replicas": 2})
        api.drop(PODINFO)
        api.put(PODINFO, spec={"replicas": 3})
        await cache.want(PODINFO, OWNER)
        assert cache.get(PODINFO) == api.find(PODINFO)
        api.flow.set()
        await settled()
        assert cache.get(PODINFO) == api.find(PODINFO)
        assert heard.take() == []


@pytest.mark.asyncio
async def test_one_get_serves_all_and_survives_those_who_give_up(api: FakeApi, virtual_time: object) -> None:
    api.put(PODINFO)
    async with cache_of(api) as cache:
        await cache.want(OTHER, OWNER)
        gate = api.gate("GET", ONE)
        first = asyncio.create_task(cache.want(PODINFO, OWNER))
        second = asyncio.create_task(cache.want(PODINFO, SECOND))
        await gate.arrived.wait()
        first.cancel()
        await settled()
        gate.opened.set()
        await second
        assert cache.get(PODINFO) == api.find(PODINFO)
        assert len(api.asked("GET", ONE)) == 1


@pytest.mark.asyncio
async def test_a_get_that_fails_fails_for_all_and_is_tried_again_by_the_next(
    api: FakeApi, virtual_time: object
) -> None:
    api.put(PODINFO)
    async with cache_of(api) as cache:
        await cache.want(OTHER, OWNER)
        api.refuse("GET", ONE, 403)
        results = await asyncio.gather(
            *(cache.want(PODINFO, owner) for owner in (OWNER, SECOND)), return_exceptions=True
        )
        assert [type(result) for result in results] == [Forbidden, Forbidden]
        with pytest.raises(Unavailable):
            cache.get(PODINFO)
        await cache.want(PODINFO, OWNER)
        assert cache.get(PODINFO) == api.find(PODINFO)


@pytest.mark.asyncio
async def test_released_during_the_get_and_wanted_again(api: FakeApi, virtual_time: object) -> None:
    api.put(PODINFO)
    heard = Heard()
    async with cache_of(api, heard) as cache:
        await cache.want(OTHER, SECOND)
        gate = api.gate("GET", ONE, back=True)
        wanting = asyncio.create_task(cache.want(PODINFO, OWNER))
        await gate.arrived.wait()
        cache.release(OWNER)
        api.put(PODINFO, spec={"replicas": 2})
        await settled()
        again = asyncio.create_task(cache.want(PODINFO, OWNER))
        await settled()
        gate.opened.set()
        await asyncio.gather(wanting, again)
        assert cache.get(PODINFO) == api.find(PODINFO)
        assert heard.take() == []


@pytest.mark.asyncio
async def test_an_interest_that_came_in_the_middle_of_a_list_is_asked_for(api: FakeApi, virtual_time: object) -> None:
    """Its page had been read, and dropped, before."""
    api.page_limit = 1
    api.put(deployment("a"))
    async with cache_of(api) as cache:
        first_page = api.gate("GET", "/apis/apps/v1/deployments", back=True)
        early = asyncio.create_task(cache.want(OTHER, OWNER))
        await first_page.arrived.wait()
        last_page = api.gate("GET", "/apis/apps/v1/deployments", back=True)
        first_page.opened.set()
        await last_page.arrived.wait()
        late = asyncio.create_task(cache.want(deployment("a"), OWNER))
        await settled()
        last_page.opened.set()
        await asyncio.gather(early, late)
        assert cache.get(deployment("a")) == api.find(deployment("a"))


@pytest.mark.asyncio
async def test_while_one_waits_those_who_have_given_up_are_told(api: FakeApi, virtual_time: object) -> None:
    heard = Heard()
    async with cache_of(api, heard) as cache:
        api.outage = True
        with pytest.raises(Unavailable):
            await cache.want(OTHER, OWNER)
        waiting = asyncio.create_task(cache.want(OTHER, SECOND))
        await settled()
        api.outage = False
        await waiting
        assert heard.take() == [(OTHER, frozenset({OWNER}))]


NAMES = [deployment(name) for name in ("a", "b")]
OWNERS = [canary("x"), canary("y")]
ref = st.sampled_from(NAMES)
step = st.one_of(
    st.tuples(st.sampled_from(["put", "put", "write", "write", "drop", "delete"]), ref),
    st.tuples(st.just("want"), ref, st.sampled_from(OWNERS)),
    st.sampled_from([("hold",), ("flow",), ("slow get",), ("slow list",), ("slow write",), ("open",)]),
    st.one_of(
        st.sampled_from([("cut",), ("forget",), ("outage",), ("mend",)]),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.4, 5.0])),
        st.tuples(st.just("release"), st.sampled_from(OWNERS)),
    ),
)
steps = st.lists(step, min_size=10, max_size=50)


class Engine:
    """Looks when it is told to, as the engine does: what it saw last must be the truth in the end."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.client = Client(api, Limiter(0), now, "test", chance=lambda: 0.5, timeout=10)
        self.cache = Cache(self.client, now, "", self.changed)
        self.interests: set[tuple[Ref, Ref]] = set()
        self.seen: dict[tuple[Ref, Ref], Any] = {}
        self.newest: dict[Ref, int] = {}
        self.calls: set[asyncio.Task[None]] = set()
        self.gates: list[Any] = []

    def look(self, ref: Ref, owner: Ref) -> None:
        found = self.cache.get(ref)
        if found is not None:
            version = int(found["metadata"]["resourceVersion"])
            assert version >= self.newest.get(ref, 0), "never back in version"
            self.newest[ref] = version
        self.seen[ref, owner] = found

    def changed(self, ref: Ref, owners: frozenset[Ref]) -> None:
        assert owners, "only those who want it are told"
        for owner in owners:
            self.look(ref, owner)

    async def want(self, ref: Ref, owner: Ref) -> None:
        try:
            await self.cache.want(ref, owner)
        except KubeError:
            if (ref, owner) in self.interests:
                self.seen.setdefault((ref, owner), "unknown")
            return
        if (ref, owner) in self.interests:
            self.look(ref, owner)

    def release(self, owner: Ref) -> None:
        self.cache.release(owner)
        self.seen = {key: found for key, found in self.seen.items() if key[1] != owner}
        self.interests = {each for each in self.interests if each[1] != owner}
        self.newest = {
            ref: version for ref, version in self.newest.items() if ref in {ref for ref, _ in self.interests}
        }

    async def write(self, ref: Ref) -> None:
        try:
            written = await self.client.patch(ref, {"spec": {"written": self.api.version}})
        except KubeError:
            return
        self.cache.put(written, ref)
        self.after_own(ref)

    async def delete(self, ref: Ref) -> None:
        try:
            await self.client.delete(ref)
        except KubeError:
            return
        self.cache.remove(ref)
        self.after_own(ref)

    def after_own(self, ref: Ref) -> None:
        for key in self.seen:
            if key[0] == ref and self.seen[key] != "unknown":
                self.look(*key)

    def begin(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(call)
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    async def step(self, action: str, *args: Any) -> None:
        api = self.api
        match action:
            case "put":
                api.put(args[0], spec={"put": api.version})
            case "drop":
                if api.find(args[0]):
                    api.drop(args[0])
            case "write":
                self.begin(self.write(args[0]))
            case "delete":
                self.begin(self.delete(args[0]))
            case "want":
                self.interests.add((args[0], args[1]))
                self.begin(self.want(*args))
            case "release":
                self.release(args[0])
            case "hold":
                api.flow.clear()
            case "flow":
                api.flow.set()
            case "cut":
                api.cut()
            case "forget":
                api.forget()
            case "outage" | "mend":
                api.outage = action == "outage"
            case "slow get":
                self.gates.append(api.gate("GET", "/apis/apps/v1/namespaces", back=True))
            case "slow list":
                self.gates.append(api.gate("GET", "/apis/apps/v1/deployments", back=True))
            case "slow write":
                self.gates.append(api.gate("PATCH", "/apis/apps/v1/namespaces", back=True))
            case "open":
                for gate in self.gates:
                    gate.opened.set()
            case "wait":
                await asyncio.sleep(args[0])
        await asyncio.sleep(0)

    async def calm(self) -> None:
        """The cluster is well again, and everybody has had time."""
        self.api.outage = False
        self.api.flow.set()
        self.api.gates.clear()
        await self.step("open")
        await asyncio.sleep(200)
        assert not self.calls
        for ref, owner in [key for key, found in self.seen.items() if found == "unknown"]:
            await self.want(ref, owner)  # a want that failed is tried again


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_happens_those_who_want_an_object_see_the_truth_in_the_end(script: list[tuple[Any, ...]]) -> None:
    async def main() -> None:
        api = FakeApi()
        api.serve(DEPLOYMENT)
        api.page_limit = 1
        api.put(NAMES[0])
        engine = Engine(api)
        watching = asyncio.create_task(engine.cache.run())
        try:
            for action, *args in script:
                await engine.step(action, *args)
            await engine.calm()
            assert not watching.done(), watching.exception()
            assert set(engine.seen) == engine.interests
            for (ref, owner), seen in engine.seen.items():
                assert seen == api.find(ref), f"{owner} has missed something about {ref}"
        finally:
            watching.cancel()
            await engine.cache.close()

    VirtualLoop.run(main())
