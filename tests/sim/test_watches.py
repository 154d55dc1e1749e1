"""Watches on virtual time: what a client hears, in which order, and how a watch ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from talk import (
    CONFIG_MAPS,
    DEFINITIONS,
    LAMPS,
    TABLE,
    ask,
    config_map,
    done,
    events_of,
    lamp,
    patched,
    refused,
    server,
    with_lamps,
)

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api, Fault, Response
from gradatim.sim.rest.faults import Broken

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]


async def opened(api: Api, query: str, url: str = CONFIG_MAPS, **headers: str) -> Response:
    """A watch that has begun; its timeout is ten seconds unless the query says otherwise."""
    timeout = "" if "timeoutSeconds" in query else "&timeoutSeconds=10"
    answer = await ask(api, "GET", f"{url}?watch=true{timeout}&{query}", **headers)
    assert answer.stream is not None, answer.body
    return answer


def stream(answer: Response) -> AsyncIterator[bytes]:
    assert answer.stream is not None
    return answer.stream


async def read_into(lines: list[bytes], answer: Response) -> None:
    """Keeps what was heard even if the stream breaks."""
    async for line in stream(answer):
        lines.append(line)


async def heard(answer: Response) -> list[Manifest]:
    """Everything until the watch ends."""
    return events_of([line async for line in stream(answer)])


def told(events: list[Manifest]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def test_a_watch_begins_with_what_is_there_and_goes_on() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("old"))
    watch = await opened(api, "")
    await done(api, "POST", CONFIG_MAPS, config_map("new"))
    await patched(api, f"{CONFIG_MAPS}/old", {"data": {"x": "1"}})
    await done(api, "DELETE", f"{CONFIG_MAPS}/old")
    events = await heard(watch)
    assert told(events) == [("ADDED", "old"), ("ADDED", "new"), ("MODIFIED", "old"), ("DELETED", "old")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)
    assert events[0]["object"]["kind"] == "ConfigMap"


async def test_a_watch_from_a_version_replays_what_happened_since() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("old"))
    since = (await done(api, "GET", CONFIG_MAPS))["metadata"]["resourceVersion"]
    await done(api, "POST", CONFIG_MAPS, config_map("new"))
    await done(api, "DELETE", f"{CONFIG_MAPS}/new")
    assert told(await heard(await opened(api, f"resourceVersion={since}"))) == [("ADDED", "new"), ("DELETED", "new")]


async def test_initial_events_end_with_a_marked_bookmark() -> None:
    api = server()
    for name in ("a", "b"):
        await done(api, "POST", CONFIG_MAPS, config_map(name))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    first, second, mark, *_ = await heard(await opened(api, query))
    assert told([first, second]) == [("ADDED", "a"), ("ADDED", "b")]
    assert mark == {
        "type": "BOOKMARK",
        "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": str(api.store.version),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        },
    }


async def test_objects_enter_and_leave_what_a_selector_selects() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, {"metadata": {"name": "in", "labels": {"a": "1"}}})
    await done(api, "POST", CONFIG_MAPS, {"metadata": {"name": "out"}})
    watch = await opened(api, "labelSelector=a%3D1")
    await patched(api, f"{CONFIG_MAPS}/in", {"metadata": {"labels": {"a": "2"}}})
    await patched(api, f"{CONFIG_MAPS}/out", {"metadata": {"labels": {"a": "1"}}})
    await patched(api, f"{CONFIG_MAPS}/in", {"data": {"x": "unseen"}})
    events = await heard(watch)
    assert told(events) == [("ADDED", "in"), ("DELETED", "in"), ("ADDED", "out")]
    assert events[1]["object"]["metadata"]["labels"] == {"a": "1"}


async def test_a_forgotten_version_is_an_error_of_code_410() -> None:
    api = server()
    since = (await done(api, "GET", CONFIG_MAPS))["metadata"]["resourceVersion"]
    await done(api, "POST", CONFIG_MAPS, config_map("a"))
    api.compact()
    (error,) = await heard(await opened(api, f"resourceVersion={since}"))
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    assert error["object"]["message"].startswith(f"too old resource version: {since} (")


async def test_versions_from_before_a_restart_are_forgotten() -> None:
    before = server()
    since = (await done(before, "GET", CONFIG_MAPS))["metadata"]["resourceVersion"]
    from talk import Clock

    later = Clock()
    later.seconds += 60
    (error,) = await heard(await opened(server(later), f"resourceVersion={since}"))
    assert error["object"]["code"] == 410


async def test_a_watch_ends_when_its_time_is_over(virtual_time) -> None:  # type: ignore[no-untyped-def]
    began = virtual_time()
    await heard(await opened(server(), "timeoutSeconds=42"))
    assert virtual_time() - began == pytest.approx(42)


async def test_bookmarks_come_every_minute_and_before_the_end(virtual_time) -> None:  # type: ignore[no-untyped-def]
    api = server()
    began = virtual_time()
    watch = await opened(api, "allowWatchBookmarks=true&timeoutSeconds=130")
    at = []
    async for line in stream(watch):
        assert events_of([line])[0]["type"] == "BOOKMARK"
        at.append(round(virtual_time() - began))
    assert at == [60, 120, 128]


async def test_a_client_that_goes_away_is_forgotten() -> None:
    api = server()
    unread, read = await opened(api, ""), await opened(api, "")
    assert api.watching == 2
    await done(api, "POST", CONFIG_MAPS, config_map("a"))
    async with aclosing(stream(read)) as lines:  # type: ignore[type-var]
        await anext(lines)
    await stream(unread).aclose()  # type: ignore[attr-defined]
    assert api.watching == 0


async def test_a_stopping_server_ends_its_watches() -> None:
    api = server()
    reading = asyncio.create_task(heard(await opened(api, "timeoutSeconds=3600")))
    await asyncio.sleep(1)
    api.close()
    assert await reading == []


async def test_metadata_alone_or_tables_can_be_watched() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("a", x="1"))
    partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
    (event,) = await heard(await opened(api, "", accept=partial))
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in event["object"]
    watch = await opened(api, "", accept=TABLE)
    await patched(api, f"{CONFIG_MAPS}/a", {"data": {"y": "2"}})
    first, second = await heard(watch)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] is None
    assert [event["object"]["rows"][0]["cells"][:2] for event in (first, second)] == [["a", 1], ["a", 2]]


async def test_a_watch_of_one_object_by_field_hears_of_no_other() -> None:
    api = server()
    watch = await opened(api, "fieldSelector=metadata.name%3Da")
    await done(api, "POST", CONFIG_MAPS, config_map("b"))
    await done(api, "POST", CONFIG_MAPS, config_map("a"))
    assert told(await heard(watch)) == [("ADDED", "a")]


async def test_a_fault_cuts_a_stream_in_the_middle_of_a_line() -> None:
    api = server()
    api.faults = [Fault(cut_after=1)]
    watch = await opened(api, "")
    for name in ("a", "b"):
        await done(api, "POST", CONFIG_MAPS, config_map(name))
    lines: list[bytes] = []
    with pytest.raises(Broken):
        await read_into(lines, watch)
    assert events_of(lines[:1])[0]["object"]["metadata"]["name"] == "a"
    assert not lines[1].endswith(b"\n")


async def test_watches_of_a_custom_resource_end_with_its_definition() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp())
    reading = asyncio.create_task(heard(await opened(api, "timeoutSeconds=3600", LAMPS)))
    await asyncio.sleep(1)
    await done(api, "DELETE", f"{DEFINITIONS}/lamps.example.com")
    assert told(await reading) == [("ADDED", "desk"), ("DELETED", "desk")]
    assert (await refused(api, "GET", f"{DEFINITIONS}/lamps.example.com"))["code"] == 404
