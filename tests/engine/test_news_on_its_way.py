"""News leave in order, are counted up instead of repeated, and hold nobody up."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gradatim.api.alert_provider import AlertProvider, AlertProviderSpec
from gradatim.api.canary import Alert as WantedAlert
from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef, Webhook
from gradatim.api.status import CanaryStatus, Phase
from gradatim.core.news import Alert, Event
from gradatim.core.settings import Settings
from gradatim.engine.alerts import Alerts, fields
from gradatim.engine.clock import Clock
from gradatim.engine.hooks import Caller
from gradatim.engine.newsroom import HELD, Edition, Newsroom
from gradatim.engine.recorder import AT_ONCE, Recorder
from gradatim.kube.errors import AlreadyExists, Forbidden, NotFound, Unavailable
from gradatim.ports.errors import Missing
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse
from gradatim.ports.notifier import Address
from gradatim.ports.objects import CANARY, Manifest, Ref
from gradatim.providers import registry

KEY = Ref(CANARY, "test", "shop")
NOW = 1767225600.0
SPEC = CanarySpec(ObjectRef("shop", kind="Deployment"), Analysis(step_weight=20, max_weight=60))
SHOP = Canary("shop", "test", SPEC, CanaryStatus(phase=Phase.PROGRESSING), uid="u")


class ApiServer:
    """Takes events; `fail` is raised instead, once; with `lose` the answer to what was done gets lost, once."""

    def __init__(self) -> None:
        self.events: dict[str, Manifest] = {}
        self.fail: Exception | None = None
        self.lose = False

    async def create(self, ref: Ref, manifest: Manifest) -> Manifest:
        self._perhaps_fail()
        if ref.name in self.events:
            raise AlreadyExists(f"{ref.name} already exists")
        self.events[ref.name] = manifest
        self._perhaps_lose()
        return manifest

    async def patch(self, ref: Ref, patch: Manifest) -> Manifest:
        self._perhaps_fail()
        self.events[ref.name] |= patch
        self._perhaps_lose()
        return self.events[ref.name]

    def _perhaps_lose(self) -> None:
        lost, self.lose = self.lose, False
        if lost:
            raise Unavailable("the connection broke")

    def _perhaps_fail(self) -> None:
        error, self.fail = self.fail, None
        if error is not None:
            raise error

    def told(self) -> list[tuple[str, str, int]]:
        return [(event["type"], event["message"], event["count"]) for event in self.events.values()]


class Rooms:
    """Answers every request but those to `slow`, which never answers in time, and to `down`."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        if "slow" in request.url:
            await asyncio.sleep(request.timeout)
            raise HttpFailure("no answer in time")
        if "down" in request.url:
            raise HttpFailure("connection refused")
        self.requests.append(request)
        return HttpResponse(200, {}, b"ok")

    def bodies(self) -> list[Any]:
        return [msgspec.json.decode(request.body) for request in self.requests]


class Secrets:
    """Reads Secrets; those named `away` cannot be read at the moment."""

    async def secret(self, namespace: str, name: str, owner: Ref | None = None) -> dict[str, str]:
        if name == "away":
            raise Unavailable("the API server is down")
        assert (namespace, owner) in {("test", KEY), ("test", None)}
        return {"token": "abc"}

    def provider(self, namespace: str, name: str) -> AlertProvider:
        """A room whose Secret is named like it, and holds no address; `two` needs none."""
        if name == "nowhere":
            raise Missing("no such provider")
        by_address = AlertProviderSpec("slack", address="http://two/")
        by_secret = AlertProviderSpec("slack", secret_ref=ObjectRef(name))
        return AlertProvider(name, namespace, by_address if name == "two" else by_secret)


def newsroom(server: ApiServer, rooms: Rooms, **more: Any) -> Newsroom:
    settings = Settings(cluster_name="prod")
    return Newsroom(
        recorder=Recorder(server),  # type: ignore[arg-type]
        alerts=Alerts(settings, None, rooms, more.pop("everywhere", None)),  # type: ignore[arg-type]
        caller=Caller(http=rooms, library=Secrets(), clock=Clock(), sleep=asyncio.sleep),  # type: ignore[arg-type]
        now=lambda: NOW + 100,
        **more,
    )


def edition(*news: Event | Alert, canary: Canary = SHOP, **more: Any) -> Edition:
    return Edition(canary, Phase.PROGRESSING, tuple(news), NOW, **more)


@pytest.mark.asyncio
async def test_a_repeated_event_is_counted_up_and_written_anew_when_it_has_expired() -> None:
    server, rooms = ApiServer(), Rooms()
    recorder = Recorder(server)  # type: ignore[arg-type]
    for _ in range(3):
        await recorder.record(SHOP, Event(text="a"), NOW)
    await recorder.record(SHOP, Event(text="a", warning=True), NOW)
    assert server.told() == [("Normal", "a", 3), ("Warning", "a", 1)]
    (first, _) = server.events.values()
    assert first["reason"] == "Synced"
    assert first["source"] == {"component": "flagger"}
    server.fail = NotFound("gone")
    await recorder.record(SHOP, Event(text="a"), NOW)
    assert server.told()[-1] == ("Normal", "a", 1)
    assert not rooms.requests


@pytest.mark.asyncio
async def test_events_of_the_same_moment_are_named_in_the_order_in_which_they_were_told() -> None:
    """Lists are sorted by name, and kubectl sorts by seconds: without that it shows a release in disorder."""
    server = ApiServer()
    recorder = Recorder(server)  # type: ignore[arg-type]
    for number in range(20):
        await recorder.record(SHOP, Event(text=str(number)), NOW)
    assert [server.events[name]["message"] for name in sorted(server.events)] == [str(number) for number in range(20)]


@pytest.mark.asyncio
async def test_a_crowd_of_events_does_not_take_all_ways_to_the_api_server() -> None:
    server, under_way, most = ApiServer(), 0, 0

    async def create(ref: Ref, manifest: Manifest) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        server.events[ref.name] = manifest
        under_way -= 1

    server.create = create  # type: ignore[assignment]
    recorder = Recorder(server)  # type: ignore[arg-type]
    await asyncio.gather(*(recorder.record(SHOP, Event(text=str(number)), NOW) for number in range(5 * AT_ONCE)))
    assert (len(server.events), most) == (5 * AT_ONCE, AT_ONCE)


@pytest.mark.asyncio
async def test_an_event_whose_answer_gets_lost_is_not_written_twice() -> None:
    server = ApiServer()
    recorder = Recorder(server)  # type: ignore[arg-type]
    for count in (1, 2, 3):
        server.lose = True
        with pytest.raises(Unavailable):
            await recorder.record(SHOP, Event(text="a"), NOW)
        assert server.told() == [("Normal", "a", count)]
        await recorder.record(SHOP, Event(text="a"), NOW)
        assert server.told() == [("Normal", "a", count)]


@pytest.mark.asyncio
async def test_events_of_one_canary_keep_their_order_and_event_hooks_hear_them() -> None:
    server, rooms = ApiServer(), Rooms()
    room = newsroom(server, rooms, event_webhook="http://everywhere/")
    room.publish(KEY, edition(Event(text="one"), Event(text="two", phase=Phase.FAILED)))
    room.publish(KEY, edition(Event(text="three", warning=True)))
    await room.drain(1)
    assert [message for _, message, _ in server.told()] == ["one", "two", "three"]
    heard = [
        (body["metadata"]["eventMessage"], body["phase"], body["metadata"]["eventType"]) for body in rooms.bodies()
    ]
    assert heard == [
        ("one", "Progressing", "Normal"),
        ("two", "Failed", "Normal"),
        ("three", "Progressing", "Warning"),
    ]


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_an_event_that_the_api_server_does_not_take_at_once_is_written_later() -> None:
    server, rooms = ApiServer(), Rooms()
    server.fail = Unavailable("away for a moment")
    room = newsroom(server, rooms)
    room.publish(KEY, edition(Event(text="one"), Event(text="two")))
    await room.drain(60)
    assert server.told() == [("Normal", "one", 1), ("Normal", "two", 1)]


@pytest.mark.asyncio
async def test_an_event_that_cannot_be_written_still_reaches_the_hooks() -> None:
    server, rooms = ApiServer(), Rooms()
    server.fail = Forbidden("not for you")
    room = newsroom(server, rooms, event_webhook="http://everywhere/")
    room.publish(KEY, edition(Event(text="one")))
    await room.drain(1)
    assert len(rooms.requests) == 1


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_receiver_that_hangs_delays_only_the_news_of_its_canary() -> None:
    server, rooms = ApiServer(), Rooms()
    room = newsroom(server, rooms)
    hook = Webhook(name="news", url="http://slow/", type="event", timeout="5s")
    slow = msgspec.structs.replace(SPEC, analysis=Analysis(webhooks=(hook,)))
    began = asyncio.get_running_loop().time()
    room.publish(KEY, edition(Event(text="held"), Event(text="later"), canary=msgspec.structs.replace(SHOP, spec=slow)))
    room.publish(Ref(CANARY, "test", "other"), edition(Event(text="other")))
    assert asyncio.get_running_loop().time() == began
    await asyncio.sleep(1)
    assert "other" in [message for _, message, _ in server.told()]
    await room.drain(20)
    assert {message for _, message, _ in server.told()} == {"held", "other", "later"}


@pytest.mark.asyncio
async def test_post_rollout_hooks_are_all_called_although_one_fails() -> None:
    server, rooms = ApiServer(), Rooms()
    hooks = tuple(Webhook(name=name, url=f"http://{name}/", type="post-rollout") for name in ("down", "bye"))
    spec = msgspec.structs.replace(SPEC, analysis=Analysis(webhooks=hooks))
    room = newsroom(server, rooms)
    room.publish(KEY, edition(canary=msgspec.structs.replace(SHOP, spec=spec), afterwards=Phase.FAILED))
    await room.drain(5)
    assert [body["phase"] for body in rooms.bodies()] == ["Failed"]
    assert [(kind, text.split(" giving")[0]) for kind, text, _ in server.told()] == [
        ("Warning", "Post-rollout hook down failed POST http://down/"),
        ("Normal", "Post-rollout check bye passed"),
    ]


@pytest.mark.asyncio
async def test_news_have_the_time_when_they_were_made_and_hooks_that_of_their_answer() -> None:
    server, rooms = ApiServer(), Rooms()
    hooks = (
        Webhook(name="bye", url="http://bye/", type="post-rollout"),
        Webhook(name="news", url="http://news/", type="event"),
    )
    spec = msgspec.structs.replace(SPEC, analysis=Analysis(webhooks=hooks))
    shop = msgspec.structs.replace(SHOP, spec=spec)
    room = newsroom(server, rooms)
    room.publish(KEY, edition(Event(text="Advance"), canary=shop))
    room.publish(KEY, edition(Event(text="Completed"), canary=shop, afterwards=Phase.SUCCEEDED))
    await room.drain(5)
    made, answered = "2026-01-01T00:00:00Z", "2026-01-01T00:01:40Z"
    assert [(event["message"], event["lastTimestamp"]) for event in server.events.values()] == [
        ("Advance", made),
        ("Post-rollout check bye passed", answered),
        ("Completed", answered),
    ]
    heard = [body["metadata"]["timestamp"] for body in rooms.bodies() if "metadata" in body]
    assert heard == ["1767225600000", "1767225700000", "1767225700000"]


@pytest.mark.asyncio
async def test_the_log_tells_errors_from_the_ordinary_course_of_a_release(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    room = newsroom(ApiServer(), Rooms())
    told = Event(text="Advance"), Event(text="Halt", warning=True), Event(text="Query failed", warning=True, error=True)
    room.publish(KEY, edition(*told))
    await room.drain(1)
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert levels == [("INFO", "Advance"), ("INFO", "Halt"), ("ERROR", "Query failed")]


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_a_pile_of_news_for_a_receiver_that_is_too_slow_loses_the_oldest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = ApiServer()
    hook = Webhook(name="news", url="http://slow/", type="event", timeout="5s")
    spec = msgspec.structs.replace(SPEC, analysis=Analysis(webhooks=(hook,)))
    room = newsroom(server, Rooms())
    room.publish(KEY, edition(Event(text="under way"), canary=msgspec.structs.replace(SHOP, spec=spec)))
    await asyncio.sleep(1)
    for number in range(HELD + 1):
        room.publish(KEY, edition(Event(text=str(number))))
    await room.drain(60)
    texts = [message for _, message, _ in server.told()]
    assert texts == ["under way", *map(str, range(1, HELD + 1))]
    assert [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()] == [
        "news dropped, a receiver is too slow"
    ]


@pytest.mark.asyncio
async def test_hooks_that_are_told_log_in_and_one_that_cannot_holds_nothing_up() -> None:
    server, rooms = ApiServer(), Rooms()
    hooks = (
        Webhook(name="away", url="http://away/", type="post-rollout", secret_ref=ObjectRef("away")),
        Webhook(name="bye", url="http://bye/", type="post-rollout", secret_ref=ObjectRef("guard")),
        Webhook(name="news", url="http://news/", type="event", secret_ref=ObjectRef("guard")),
    )
    spec = msgspec.structs.replace(SPEC, analysis=Analysis(webhooks=hooks))
    room = newsroom(server, rooms)
    room.publish(KEY, edition(canary=msgspec.structs.replace(SHOP, spec=spec), afterwards=Phase.FAILED))
    await room.drain(5)
    assert [(kind, text) for kind, text, _ in server.told()] == [
        ("Warning", "Post-rollout hook away failed the API server is down"),
        ("Normal", "Post-rollout check bye passed"),
    ]
    assert [request.url for request in rooms.requests] == ["http://news/", "http://bye/", "http://news/"]
    assert all(("Authorization", "Bearer abc") in request.headers for request in rooms.requests)


@pytest.mark.asyncio
async def test_the_room_of_the_operator_hears_of_canaries_that_name_none() -> None:
    rooms = Rooms()
    everywhere = (registry.notifier("slack"), Address("http://slack/hook", channel="general", username="flagger"))
    room = newsroom(ApiServer(), rooms, everywhere=everywhere)
    room.publish(KEY, edition(Alert(text="New", severity="info", details=True)))
    own = Analysis(alerts=(WantedAlert(name="x", severity="error", provider_ref=ObjectRef("other")),))
    theirs = msgspec.structs.replace(SHOP, spec=msgspec.structs.replace(SPEC, analysis=own))
    room.publish(KEY, edition(Alert(text="not for them", severity="info"), canary=theirs))
    await room.drain(1)
    (body,) = rooms.bodies()
    assert body["attachments"][0]["text"] == "New"
    assert [(field["title"], field["value"]) for field in body["attachments"][0]["fields"]] == [
        ("Cluster", "prod"),
        ("Target", "Deployment/shop.test"),
        ("Failed checks threshold", "1"),
        ("Progress deadline", "600s"),
        ("Traffic routing", "Weight step: 20 max: 60"),
    ]


@pytest.mark.asyncio
async def test_a_room_that_cannot_be_found_does_not_keep_an_alert_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms()
    wanted = tuple(WantedAlert(name=name, provider_ref=ObjectRef(name)) for name in ("away", "guard", "nowhere", "two"))
    shop = msgspec.structs.replace(SHOP, spec=msgspec.structs.replace(SPEC, analysis=Analysis(alerts=wanted)))
    alerts = Alerts(Settings(), Secrets(), rooms)  # type: ignore[arg-type]
    await alerts.send(shop, Alert(text="Failed", severity="error"))
    assert [request.url for request in rooms.requests] == ["http://two/"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "alert provider away.test secretRef error: the API server is down",
        "alert provider guard.test secret does not contain an address",
        "alert provider nowhere.test error: no such provider",
    ]


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        (Analysis(iterations=2, match=({"headers": {}},)), "A/B Testing"),
        (Analysis(iterations=2), "Blue/Green"),
        (Analysis(step_weight=5), "Weight step: 5 max: 0"),
        (Analysis(step_weights=(1, 2, 10), max_weight=50), "Weight steps: 1,2,10 max: 50"),
        (Analysis(), None),
    ],
)
def test_the_routing_of_each_strategy_is_named(analysis: Analysis, routing: str | None) -> None:
    shop = msgspec.structs.replace(SHOP, spec=msgspec.structs.replace(SPEC, analysis=analysis))
    assert dict(fields(shop, Settings(), details=True)).get("Traffic routing") == routing
    assert list(fields(shop, Settings(), details=False)) == []
