"""Contract: events, as written by the operator and read by `kubectl describe`."""

from __future__ import annotations

import asyncio

import pytest

from cluster.client import MERGE, STRATEGIC, TABLE
from cluster.contract.servers import Server
from gradatim.ports.objects import EVENT, Manifest, Resource

NEW_EVENT = Resource("events.k8s.io", "v1", "events", "Event")


def fields(server: Server, name: str = "shop", **more: object) -> Manifest:
    about = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "namespace": server.namespace, "name": name}
    return {
        "involvedObject": {**about, "uid": "1-2-3", "resourceVersion": "7"},
        "type": "Normal",
        "reason": "Synced",
        "message": "Initialization done!",
        "source": {"component": "flagger"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
        **more,
    }


@pytest.mark.asyncio
async def test_an_event_comes_back_as_written(server: Server) -> None:
    written = fields(server)
    created = await server.create(EVENT, "shop.1", **written)
    assert {key: created[key] for key in written} == written
    assert created["eventTime"] is None
    assert (created["reportingComponent"], created["reportingInstance"]) == ("", "")


@pytest.mark.asyncio
async def test_events_are_found_by_what_they_are_about(server: Server) -> None:
    await server.create(EVENT, "a", **fields(server))
    await server.create(EVENT, "b", **fields(server, name="other", type="Warning", reason="Halted"))
    for selector, expected in (
        ("involvedObject.name=shop", ["a"]),
        ("involvedObject.name=other,involvedObject.kind=Canary,type=Warning", ["b"]),
        (f"involvedObject.uid=1-2-3,involvedObject.namespace={server.namespace}", ["a", "b"]),
        ("reason=Synced", ["a"]),
        ("source=flagger,reason!=Synced", ["b"]),
        ("involvedObject.apiVersion=flagger.app/v1beta1", ["a", "b"]),
    ):
        found = await server.client.items(EVENT, server.namespace, fieldSelector=selector)
        assert [event["metadata"]["name"] for event in found] == expected, selector


@pytest.mark.asyncio
async def test_a_watch_of_events_can_be_about_one_object(server: Server) -> None:
    """As `kubectl events --watch` asks."""
    params = {"fieldSelector": "involvedObject.kind=Canary,involvedObject.name=shop"}
    version = (await server.client.must("GET", server.path(EVENT)))["metadata"]["resourceVersion"]
    async with server.client.watching(server.path(EVENT), resourceVersion=version, **params) as events:
        await server.create(EVENT, "a", **fields(server, name="other"))
        await server.create(EVENT, "b", **fields(server))
        async with asyncio.timeout(10):
            seen = await anext(events)
    assert seen["object"]["metadata"]["name"] == "b"


@pytest.mark.asyncio
async def test_an_unknown_field_of_an_event_cannot_be_selected(server: Server) -> None:
    answer = await server.client.ask("GET", server.path(EVENT), params={"fieldSelector": "message=x"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.asyncio
async def test_a_repeated_event_counts_on(server: Server) -> None:
    await server.create(EVENT, "a", **fields(server))
    for kind, count in ((MERGE, 2), (STRATEGIC, 3)):
        patch = {"count": count, "lastTimestamp": "2026-01-02T03:05:05Z"}
        answer = await server.client.ask("PATCH", server.path(EVENT, "a"), patch, content_type=kind)
        assert answer.body["count"] == count
    assert (await server.get(EVENT, "a"))["lastTimestamp"] == "2026-01-02T03:05:05Z"


@pytest.mark.asyncio
async def test_an_event_must_be_in_the_namespace_of_what_it_is_about(server: Server) -> None:
    wrong = fields(server)
    wrong["involvedObject"] = {**wrong["involvedObject"], "namespace": "elsewhere"}
    answer = await server.refusal(EVENT, "a", **wrong)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "involvedObject.namespace: Invalid value:" in answer.message


@pytest.mark.asyncio
async def test_the_newer_group_shows_the_same_events(server: Server) -> None:
    await server.create(EVENT, "a", **fields(server))
    seen = await server.get(NEW_EVENT, "a")
    assert (seen["regarding"]["name"], seen["note"]) == ("shop", "Initialization done!")
    assert seen["deprecatedSource"] == {"component": "flagger"}
    assert seen["deprecatedCount"] == 1


@pytest.mark.asyncio
async def test_events_in_a_table(server: Server) -> None:
    await server.create(EVENT, "a", **fields(server))
    body = (await server.client.ask("GET", server.path(EVENT), accept=TABLE)).body
    assert [one["name"] for one in body["columnDefinitions"] if one["priority"] == 0] == [
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "Message",
    ]
    assert body["rows"][0]["cells"][1:4] == ["Normal", "Synced", "canary/shop"]
