"""Contract: watches, their beginnings, their bookmarks and their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.client import TABLE, Refused
from cluster.contract.servers import WIDGET, Server
from gradatim.ports.objects import CONFIG_MAP, EVENT, Manifest

FROM_THE_START = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}


async def take(events: AsyncIterator[Manifest], count: int) -> list[Manifest]:
    """The next events; fails if they do not come within seconds."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def rest(events: AsyncIterator[Manifest]) -> list[Manifest]:
    """Everything until the server ends the watch."""
    async with asyncio.timeout(10):
        return [event async for event in events]


def told(events: list[Manifest]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def now(server: Server) -> str:
    """The resource version of this moment."""
    version: str = (await server.client.must("GET", server.path(CONFIG_MAP)))["metadata"]["resourceVersion"]
    return version


@pytest.mark.asyncio
async def test_a_watch_tells_what_happens_after_a_list(server: Server) -> None:
    version = await now(server)
    created = await server.create(CONFIG_MAP, "a", data={"v": "1"})
    async with server.client.watching(server.path(CONFIG_MAP), resourceVersion=version) as events:
        changed = await server.client.merge(CONFIG_MAP, server.namespace, "a", {"data": {"v": "2"}})
        await server.client.delete(CONFIG_MAP, server.namespace, "a")
        seen = await take(events, 3)
    assert told(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert seen[0]["object"] == created
    assert seen[1]["object"] == changed
    # The last state of a deleted object carries the version of its deletion.
    assert int(seen[2]["object"]["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])
    assert seen[2]["object"]["data"] == {"v": "2"}


@pytest.mark.asyncio
async def test_a_watch_without_a_version_begins_with_what_is_there(server: Server) -> None:
    await server.create(CONFIG_MAP, "a")
    for params in ({}, {"resourceVersion": "0"}):
        async with server.client.watching(server.path(CONFIG_MAP), **params) as events:
            assert told(await take(events, 1)) == [("ADDED", "a")]


@pytest.mark.asyncio
async def test_a_streamed_list_ends_with_a_marked_bookmark(server: Server) -> None:
    await server.create(CONFIG_MAP, "b")
    newest = await server.create(CONFIG_MAP, "a")
    async with server.client.watching(server.path(CONFIG_MAP), **FROM_THE_START) as events:
        seen = await take(events, 3)
        assert sorted(told(seen[:2])) == [("ADDED", "a"), ("ADDED", "b")]
        mark = seen[2]
        assert mark["type"] == "BOOKMARK"
        assert (mark["object"]["kind"], mark["object"]["apiVersion"]) == ("ConfigMap", "v1")
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(newest["metadata"]["resourceVersion"])
        await server.create(CONFIG_MAP, "c")
        assert told(await take(events, 1)) == [("ADDED", "c")]


@pytest.mark.asyncio
async def test_a_streamed_list_of_nothing_is_a_bookmark_alone(server: Server) -> None:
    async with server.client.watching(server.path(WIDGET), **FROM_THE_START) as events:
        (mark,) = await take(events, 1)
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["kind"] == "Widget"


@pytest.mark.parametrize(
    "params",
    [
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact", "resourceVersion": "5"},
        {"resourceVersionMatch": "NotOlderThan"},
    ],
)
@pytest.mark.asyncio
async def test_a_streamed_list_must_be_asked_for_properly(server: Server, params: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        async with server.client.watching(server.path(CONFIG_MAP), **params):
            pass
    assert (refused.value.answer.status, refused.value.answer.reason) == (422, "Invalid")


@pytest.mark.asyncio
async def test_a_streamed_list_of_a_selection(server: Server) -> None:
    await server.create(CONFIG_MAP, "a", metadata={"labels": {"tier": "web"}})
    await server.create(CONFIG_MAP, "b")
    where = server.path(CONFIG_MAP)
    async with server.client.watching(where, labelSelector="tier=web", **FROM_THE_START) as events:
        seen = await take(events, 2)
        assert told(seen)[0] == ("ADDED", "a")
        assert seen[1]["type"] == "BOOKMARK"
        await server.client.merge(CONFIG_MAP, server.namespace, "b", {"metadata": {"labels": {"tier": "web"}}})
        assert told(await take(events, 1)) == [("ADDED", "b")]


@pytest.mark.asyncio
async def test_without_initial_events_a_watch_begins_in_the_present(server: Server) -> None:
    await server.create(CONFIG_MAP, "a")
    params = {**FROM_THE_START, "sendInitialEvents": "false"}
    async with server.client.watching(server.path(CONFIG_MAP), **params) as events:
        await server.create(CONFIG_MAP, "b")
        seen = [event for event in await take(events, 1) if event["type"] != "BOOKMARK"]
    assert told(seen) == [("ADDED", "b")]


@pytest.mark.asyncio
async def test_a_change_under_a_finalizer_is_told_until_the_end(server: Server) -> None:
    """What a controller with a finalizer lives on: the mark, then the end."""
    await server.create(WIDGET, "w", metadata={"finalizers": ["contract.test/finalizer"]}, spec={"weight": 1})
    version = await now(server)
    async with server.client.watching(server.path(WIDGET), resourceVersion=version) as events:
        await server.client.delete(WIDGET, server.namespace, "w")
        await server.client.merge(WIDGET, server.namespace, "w", {"metadata": {"finalizers": None}})
        seen = await take(events, 2)
    assert told(seen) == [("MODIFIED", "w"), ("DELETED", "w")]
    assert seen[0]["object"]["metadata"]["deletionTimestamp"]


@pytest.mark.asyncio
async def test_a_watch_ends_when_its_time_is_over(server: Server) -> None:
    version = await now(server)
    async with server.client.watching(
        server.path(CONFIG_MAP), resourceVersion=version, timeoutSeconds=1, allowWatchBookmarks="true"
    ) as events:
        seen = await rest(events)
    assert {event["type"] for event in seen} <= {"BOOKMARK"}


@pytest.mark.asyncio
async def test_a_label_selector_turns_changes_into_additions_and_deletions(server: Server) -> None:
    await server.create(CONFIG_MAP, "a")
    version = await now(server)
    async with server.client.watching(
        server.path(CONFIG_MAP), resourceVersion=version, labelSelector="tier=web"
    ) as events:
        for labels, data in (({"tier": "web"}, "1"), ({"tier": "web"}, "2"), ({"tier": None}, "3")):
            patch = {"metadata": {"labels": labels}, "data": {"v": data}}
            await server.client.merge(CONFIG_MAP, server.namespace, "a", patch)
        seen = await take(events, 3)
    assert told(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    # What left the selection is shown as it last was inside it, with the version of its leaving.
    assert seen[2]["object"]["data"] == {"v": "2"}
    current = await server.get(CONFIG_MAP, "a")
    assert seen[2]["object"]["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"]


@pytest.mark.asyncio
async def test_a_field_selector_watches_one_object(server: Server) -> None:
    version = await now(server)
    async with server.client.watching(
        server.path(CONFIG_MAP), resourceVersion=version, fieldSelector="metadata.name=b"
    ) as events:
        await server.create(CONFIG_MAP, "a")
        await server.create(CONFIG_MAP, "b")
        assert told(await take(events, 1)) == [("ADDED", "b")]


@pytest.mark.asyncio
async def test_a_watch_of_all_namespaces_sees_this_one(server: Server) -> None:
    version = await now(server)
    async with server.client.watching("/api/v1/configmaps", resourceVersion=version) as events:
        await server.create(CONFIG_MAP, "a")
        async with asyncio.timeout(10):
            async for event in events:
                if event["object"]["metadata"]["namespace"] == server.namespace:
                    break
    assert told([event]) == [("ADDED", "a")]


@pytest.mark.asyncio
async def test_a_watch_of_custom_objects_sees_every_step(server: Server) -> None:
    version = await now(server)
    async with server.client.watching(server.path(WIDGET), resourceVersion=version) as events:
        await server.create(WIDGET, "w", spec={"weight": 1})
        for weight in (2, 3, 4):
            await server.client.merge(WIDGET, server.namespace, "w", {"spec": {"weight": weight}})
        seen = await take(events, 4)
    assert [event["object"]["spec"]["weight"] for event in seen] == [1, 2, 3, 4]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))


@pytest.mark.asyncio
async def test_a_change_that_changes_nothing_is_not_told(server: Server) -> None:
    await server.create(CONFIG_MAP, "a", data={"v": "1"})
    version = await now(server)
    async with server.client.watching(server.path(CONFIG_MAP), resourceVersion=version) as events:
        await server.client.merge(CONFIG_MAP, server.namespace, "a", {"data": {"v": "1"}})
        await server.create(CONFIG_MAP, "b")
        assert told(await take(events, 1)) == [("ADDED", "b")]


@pytest.mark.asyncio
async def test_a_version_before_a_compaction_is_gone(server: Server) -> None:
    """The answer is 200 with one ERROR event, as for every watch that fails after it was accepted."""
    about = {"kind": "ConfigMap", "namespace": server.namespace, "name": "x"}
    version = (await server.create(EVENT, "a", involvedObject=about))["metadata"]["resourceVersion"]
    for name in ("b", "c", "d"):
        await server.create(EVENT, name, involvedObject=about)
    await server.forget_history()
    async with server.client.watching(server.path(EVENT), resourceVersion=version) as events:
        (error,) = await take(events, 1)
        assert error["type"] == "ERROR"
        status = error["object"]
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", 410)
        assert status["reason"] == "Expired"
        assert await rest(events) == []


@pytest.mark.asyncio
async def test_a_version_that_is_no_number_is_refused(server: Server) -> None:
    with pytest.raises(Refused, match='resourceVersion: Invalid value: "abc"'):
        async with server.client.watching(server.path(CONFIG_MAP), resourceVersion="abc"):
            pass


@pytest.mark.asyncio
async def test_a_watch_can_speak_in_tables(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 3})
    answer = await server.client.ask(
        "GET", server.path(WIDGET), params={"watch": "1", "timeoutSeconds": 1}, accept=TABLE
    )
    assert answer.body["type"] == "ADDED"
    table = answer.body["object"]
    assert table["kind"] == "Table"
    assert table["rows"][0]["cells"][2] == 3


@pytest.mark.asyncio
async def test_bookmarks_come_when_asked_for(server: Server) -> None:
    """One comes just before the server ends a watch in time, so that nothing must be listed again."""
    version = await now(server)
    wanted: dict[str, str | int] = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": 3}
    async with server.client.watching(server.path(CONFIG_MAP), fieldSelector="metadata.name=b", **wanted) as events:
        await server.create(CONFIG_MAP, "a")
        seen = await rest(events)
    marks = [event["object"] for event in seen if event["type"] == "BOOKMARK"]
    assert marks
    assert all(int(mark["metadata"]["resourceVersion"]) >= int(version) for mark in marks)
    assert marks[0]["metadata"].get("annotations") is None
