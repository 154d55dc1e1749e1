"""Who leads, when somebody else may, and when nothing may be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import pytest

from gradatim.kube.errors import LeaseLost
from gradatim.kube.lease import Lease
from gradatim.ports.objects import LEASE, Manifest, Ref
from virtual_loop import VirtualLoop

from .fake_api import FakeApi
from .world import client, deployment, now

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]
REF = Ref(LEASE, "flagger-system", "flagger-leader-election")
PATH = "/apis/coordination.k8s.io/v1/namespaces/flagger-system/leases"
NOON = 1_700_000_000.0


class Wall:
    """A wall clock that goes with the loop's, and can jump."""

    def __init__(self) -> None:
        self.offset = NOON

    def __call__(self) -> float:
        return now() + self.offset


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.serve(LEASE)
    return api


def lease(api: FakeApi, name: str, wall: Callable[[], float] | None = None, **settings: object) -> Lease:
    return Lease(
        client(api, timeout=5),
        "flagger-system",
        identity=name,
        clock=now,
        wall=wall or Wall(),
        chance=lambda: 0.5,
        **settings,  # type: ignore[arg-type]
    )


def spec(api: FakeApi) -> Manifest:
    found = api.find(REF)
    assert found is not None
    return found["spec"]


@asynccontextmanager
async def holding(candidate: Lease) -> AsyncIterator[asyncio.Task[None]]:
    """The candidate leads and goes on renewing."""
    await candidate.acquire()
    task = asyncio.create_task(candidate.hold())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeaseLost):
            await task


async def test_the_first_takes_the_lease_and_keeps_it(api: FakeApi) -> None:
    heard: list[str] = []
    one = lease(api, "one", on_holder=heard.append)
    assert not one.leading
    with pytest.raises(LeaseLost, match="does not hold"):
        one.fence()
    async with holding(one) as task:
        assert spec(api)["holderIdentity"] == "one"
        assert spec(api)["leaseDurationSeconds"] == 60
        assert spec(api)["leaseTransitions"] == 0
        assert heard == ["one"]
        taken = spec(api)
        await asyncio.sleep(600)
        one.fence()
        assert not task.done()
        assert spec(api)["acquireTime"] == taken["acquireTime"]
        renewed = datetime.fromisoformat(spec(api)["renewTime"]) - datetime.fromisoformat(taken["renewTime"])
        assert 595 <= renewed.total_seconds() <= 600
        assert 100 <= len(api.asked("PUT")) <= 122


async def test_times_are_written_with_microseconds_as_go_does(api: FakeApi) -> None:
    async with holding(lease(api, "one")):
        assert spec(api)["renewTime"] == "2023-11-14T22:30:00.000000Z"


async def test_a_second_one_waits_and_knows_who_leads(api: FakeApi) -> None:
    heard: list[str] = []
    async with holding(lease(api, "one")):
        two = lease(api, "two", on_holder=heard.append)
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(3600)
        assert not waiting.done()
        assert not two.leading
        assert heard == ["one"]
        assert two.holder == "one"
        waiting.cancel()


async def test_a_leader_that_vanishes_is_followed_when_its_lease_has_run_out_by_our_own_clock(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    """The other's wall clock is a day wrong; only changes seen count."""
    wrong = Wall()
    wrong.offset += 86_400
    async with holding(lease(api, "one", wrong)):
        two = lease(api, "two")
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(30)
    vanished = virtual_time()
    await waiting
    assert 60 - 5 <= virtual_time() - vanished <= 60 + 12
    assert spec(api)["holderIdentity"] == "two"
    assert spec(api)["leaseTransitions"] == 1
    two.fence()


async def test_the_duration_that_counts_is_the_one_in_the_lease(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    api.put(REF, spec={"holderIdentity": "go", "leaseDurationSeconds": 15, "leaseTransitions": 7})
    start = virtual_time()
    await lease(api, "one").acquire()
    assert 15 <= virtual_time() - start <= 22
    assert spec(api)["leaseTransitions"] == 8


async def test_release_lets_the_next_one_start_at_once(api: FakeApi, virtual_time: Callable[[], float]) -> None:
    one, two = lease(api, "one"), lease(api, "two")
    async with holding(one):
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(30)
    await one.release()
    with pytest.raises(LeaseLost):
        one.fence()
    assert spec(api)["holderIdentity"] == ""
    assert spec(api)["leaseDurationSeconds"] == 1
    released = virtual_time()
    await waiting
    assert virtual_time() - released <= 6
    assert spec(api)["holderIdentity"] == "two"


async def test_what_others_wrote_into_the_lease_stays(api: FakeApi) -> None:
    labels = {"name": REF.name, "namespace": REF.namespace, "labels": {"team": "web"}}
    api.put(REF, metadata=labels, spec={"strategy": "OldestEmulationVersion"})
    one = lease(api, "one")
    async with holding(one):
        await asyncio.sleep(20)
    await one.release()
    found = api.find(REF)
    assert found is not None
    assert found["metadata"]["labels"] == {"team": "web"}
    assert found["spec"]["strategy"] == "OldestEmulationVersion"


async def test_of_many_who_start_together_one_leads(api: FakeApi) -> None:
    candidates = [lease(api, f"n{number}") for number in range(8)]
    tasks = [asyncio.create_task(candidate.acquire()) for candidate in candidates]
    await asyncio.sleep(10)
    leading = [candidate for candidate in candidates if candidate.leading]
    assert len(leading) == sum(task.done() for task in tasks) == 1
    assert spec(api)["holderIdentity"] == leading[0].identity
    for task in tasks:
        task.cancel()


async def test_a_leader_cut_off_stops_before_anybody_else_may_start(api: FakeApi) -> None:
    lost: list[float] = []
    one = lease(api, "one", on_lost=lambda: lost.append(now()))
    async with holding(one) as task:
        await asyncio.sleep(31)
        one.fence()
        cut = now()
        api.outage = True
        with pytest.raises(LeaseLost):
            await task
        assert lost == [now()]
        assert 10 <= now() - cut <= 15.1
        with pytest.raises(LeaseLost):
            one.fence()
        assert not one.leading


async def test_short_troubles_cost_nothing(api: FakeApi) -> None:
    one = lease(api, "one")
    async with holding(one) as task:
        for code in (500, 409, 503, 401):
            api.refuse("PUT", PATH, code)
            await asyncio.sleep(7)
        gate = api.gate("GET", PATH)  # one request hangs
        await asyncio.sleep(60)
        assert gate.arrived.is_set()
        assert not task.done()
        one.fence()


async def test_a_renewal_whose_answer_was_lost_counts_only_when_seen(api: FakeApi) -> None:
    one = lease(api, "one")
    async with holding(one) as task:
        api.gate("PUT", PATH, back=True)
        await asyncio.sleep(60)
        assert not task.done()
        one.fence()
        assert spec(api)["leaseTransitions"] == 0


async def test_a_lease_that_somebody_took_is_lost_at_the_next_look(
    api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    one = lease(api, "one")
    async with holding(one) as task:
        await asyncio.sleep(12)
        api.put(REF, spec={**spec(api), "holderIdentity": "thief"})
        with caplog.at_level(logging.ERROR), pytest.raises(LeaseLost, match="thief holds the lease"):
            await task
        assert [record.message for record in caplog.records] == ["Leadership lost"]
        with pytest.raises(LeaseLost):
            one.fence()
        assert spec(api)["holderIdentity"] == "thief"
        await one.release()
        assert spec(api)["holderIdentity"] == "thief", "what is not ours is not released"


async def test_a_frozen_process_that_wakes_up_cannot_write_and_does_not_renew(api: FakeApi) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    one = lease(api, "one")
    async with holding(one) as task:
        await asyncio.sleep(12)
        renewals = len(api.asked("PUT"))
        loop.jump(300)
        with pytest.raises(LeaseLost, match=r"last renewed 30\d s ago"):
            one.fence()
        with pytest.raises(LeaseLost):
            await task
        assert len(api.asked("PUT")) == renewals


async def test_a_write_that_was_waiting_when_the_process_froze_is_not_sent(api: FakeApi) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    one = lease(api, "one")
    ref = deployment("podinfo")
    api.serve(ref.resource)
    api.put(ref)
    kube = client(api, fence=one.fence)
    async with holding(one):
        await kube.patch(ref, {"spec": {"replicas": 1}})
        api.refuse("PATCH", "/apis/apps", 429, **{"retry-after": "2"})
        writing = asyncio.create_task(kube.patch(ref, {"spec": {"replicas": 2}}))
        await asyncio.sleep(1)
        loop.jump(300)
        with pytest.raises(LeaseLost):
            await writing
        found = api.find(ref)
        assert found is not None
        assert found["spec"] == {"replicas": 1}


async def test_a_suspended_machine_whose_monotonic_clock_stood_still_cannot_write(api: FakeApi) -> None:
    wall = Wall()
    one = lease(api, "one", wall)
    async with holding(one) as task:
        await asyncio.sleep(12)
        wall.offset += 300
        with pytest.raises(LeaseLost, match="by the wall clock"):
            one.fence()
        assert not one.leading
        await asyncio.sleep(5)
        one.fence()
        assert not task.done(), "the lease was still ours, and is renewed"


async def test_a_suspended_machine_finds_that_another_leads(api: FakeApi) -> None:
    wall = Wall()
    one = lease(api, "one", wall)
    async with holding(one) as task:
        await asyncio.sleep(12)
        wall.offset += 300
        api.put(REF, spec={**spec(api), "holderIdentity": "two"})
        with pytest.raises(LeaseLost):
            one.fence()
        with pytest.raises(LeaseLost, match="two holds"):
            await task


async def test_a_wall_clock_set_back_does_not_open_the_fence(api: FakeApi) -> None:
    wall = Wall()
    one = lease(api, "one", wall)
    async with holding(one) as task:
        await asyncio.sleep(12)
        wall.offset -= 3600
        one.fence()
        api.outage = True
        with pytest.raises(LeaseLost):
            await task
        with pytest.raises(LeaseLost):
            one.fence()


async def test_an_answer_that_took_too_long_does_not_make_a_leader(api: FakeApi) -> None:
    """The process froze while the answer was under way; the time that counts is when we asked."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    one = lease(api, "one")
    gate = api.gate("POST", PATH, back=True)
    acquiring = asyncio.create_task(one.acquire())
    await gate.arrived.wait()
    loop.jump(14.9)
    gate.opened.set()
    await asyncio.sleep(0.2)
    assert not one.leading
    acquiring.cancel()


async def test_release_gives_up_quietly_when_the_server_is_away(api: FakeApi) -> None:
    one = lease(api, "one")
    async with holding(one):
        pass
    api.outage = True
    start = now()
    await one.release()
    assert now() - start <= 5
    assert not one.leading


async def test_a_lease_api_that_is_missing_or_forbidden_is_asked_again(api: FakeApi) -> None:
    kinds, api.kinds = api.kinds, {}
    one = lease(api, "one")
    acquiring = asyncio.create_task(one.acquire())
    await asyncio.sleep(20)
    assert api.asked("POST") == []
    api.kinds = kinds
    api.refuse("POST", PATH, 403)
    await acquiring
    assert one.leading


async def test_identities_name_the_host_and_never_repeat(api: FakeApi) -> None:
    names = {lease(api, "").identity for _ in range(3)}
    assert len(names) == 3
    assert all(len(name.rpartition("_")[2]) == 36 and name.rpartition("_")[0] for name in names)
