"""Apprise's URLs against servers on loopback: what arrives, what is told of failures, what nobody can do with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gradatim.api.alert_provider import AlertProvider, AlertProviderSpec
from gradatim.api.canary import Alert as WantedAlert
from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef
from gradatim.core.news import Alert
from gradatim.core.settings import Settings
from gradatim.engine.alerts import Alerts
from gradatim.engine.apprise_rooms import AppriseRooms, check
from gradatim.ports.errors import ProviderError
from gradatim.ports.notifier import AlertMessage

pytestmark = [
    # Apprise's plugin for mail imports a module that left the standard library with Python 3.13.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
MESSAGE = AlertMessage("shop.test", "Failed <checks> & more", "error", (("Target", "Deployment/shop.test"),))


class Service:
    """A service that understands Apprise's `json://`; `status` is what it answers, `hang` that it never does."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.status = 200
        self.hang = False
        self.release = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.heard.append((request.path, await request.json()))
        if self.hang:
            await self.release.wait()
        return web.Response(status=self.status)


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    """Serve; yields host and port."""
    runner = web.ServerRunner(web.Server(service.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        service.release.set()
        await runner.cleanup()


async def refusal(rooms: AppriseRooms, addresses: str) -> str:
    with pytest.raises(ProviderError) as caught:
        await rooms.send(addresses, MESSAGE)
    return caught.value.message


@pytest.mark.asyncio
@pytest.mark.parametrize(("severity", "kind"), [("info", "info"), ("warn", "warning"), ("error", "failure")])
async def test_a_message_arrives_with_its_severity_and_details(severity: Any, kind: str) -> None:
    service = Service()
    async with serving(service) as host:
        await AppriseRooms().send(f"json://{host}/shop", AlertMessage("shop.test", "a", severity, (("Target", "x"),)))
    ((path, body),) = service.heard
    assert path.rstrip("/") == "/shop"
    assert (body["title"], body["message"], body["type"]) == ("shop.test", "a\nTarget: x", kind)


@pytest.mark.asyncio
async def test_every_url_of_an_address_gets_the_message() -> None:
    service = Service()
    async with serving(service) as host:
        await AppriseRooms().send(f"  json://{host}/a json://{host}/b\n\tjson://{host}/c\n", MESSAGE)
    assert sorted(path.strip("/") for path, _ in service.heard) == ["a", "b", "c"]
    assert {body["message"] for _, body in service.heard} == {"Failed <checks> & more\nTarget: Deployment/shop.test"}


@pytest.mark.asyncio
async def test_a_refusal_is_told_with_its_status_and_without_the_url() -> None:
    """Another room still gets the message."""
    service, other = Service(), Service()
    service.status = 403
    async with serving(service) as host, serving(other) as there:
        said = await refusal(AppriseRooms(), f"json://me:SECRET@{host}/SECRET json://{there}/")
    assert said == "URL 1: JSON refused the message with status 403"
    assert len(other.heard) == 1


@pytest.mark.asyncio
async def test_the_status_of_an_earlier_refusal_is_not_told_again() -> None:
    rooms, service = AppriseRooms(), Service()
    service.status = 500
    async with serving(service) as host:
        assert "status 500" in await refusal(rooms, f"json://{host}/SECRET")
    said = await refusal(rooms, f"json://{host}/SECRET")
    assert said == "URL 1: JSON refused the message, or it could not be reached"


@pytest.mark.asyncio
async def test_what_apprise_does_not_know_is_told_by_its_place() -> None:
    said = await refusal(AppriseRooms(), "nosuchservice://SECRET/SECRET json://")
    cannot = "Apprise cannot use it; its documentation says how URLs of each service are written"
    assert said == f"URL 1: {cannot}; URL 2: {cannot}"


@pytest.mark.asyncio
async def test_a_service_that_hangs_is_left_behind_at_the_deadline() -> None:
    service, rooms = Service(), AppriseRooms(seconds=0.3, at_once=1)
    service.hang = True
    async with serving(service) as host:
        assert await refusal(rooms, f"json://{host}/SECRET") == "URL 1: no answer within 300ms"
        full = "URL 1: too many messages are on their way already"
        assert await refusal(rooms, f"json://{host}/SECRET") == full, "the thread that hangs counts on"
        service.hang = False
        service.release.set()
        await ended()
        await rooms.send(f"json://{host}/", MESSAGE)


def hanging() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "apprise"]


async def ended() -> None:
    """Wait for the threads that hang; nobody else would."""
    for thread in hanging():
        await asyncio.to_thread(thread.join, 10)


@pytest.mark.asyncio
async def test_nothing_that_hangs_keeps_the_process_from_ending() -> None:
    service, rooms = Service(), AppriseRooms(seconds=0.1)
    service.hang = True
    async with serving(service) as host:
        await refusal(rooms, f"json://{host}/")
        assert [thread.daemon for thread in hanging()] == [True]
    await ended()


@pytest.mark.asyncio
async def test_nobody_can_have_a_file_of_the_operator_sent_away(tmp_path: Path) -> None:
    """Apprise lets URLs name templates; whoever may write an AlertProvider could read any file with one."""
    token = tmp_path / "token.json"
    token.write_text('{"type": "AdaptiveCard", "text": "of the operator"}')
    service = Service()
    async with serving(service) as host:
        url = f"workflow://{host}/{'a' * 32}/{'b' * 40}/?verify=no"
        assert "could not be reached" in await refusal(AppriseRooms(), url), "it speaks TLS, which nobody here does"
        for template in (str(token), f"file://{token}", f"http://{host}/template"):
            said = await refusal(AppriseRooms(), f"{url}&template={template}")
            assert said.startswith("URL 1: Apprise cannot use it")
    assert service.heard == []


@pytest.mark.asyncio
async def test_no_url_shows_up_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    """Also not in the logs of the libraries below, which write paths when they are asked for every detail."""
    service = Service()
    service.status = 404
    with caplog.at_level(logging.DEBUG):
        async with serving(service) as host:
            await refusal(AppriseRooms(), f"json://me:SECRET@{host}/SECRET?+X-Token=SECRET bad://SECRET")
    assert "SECRET" not in caplog.text


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ProviderError) as caught:
        check("json://SECRET")
    assert caught.value.message == "the library Apprise is not installed beside the operator"
    assert caught.value.fix == "run pip install 'gradatim[apprise]' there"


@pytest.mark.parametrize("addresses", ["SECRET", "json://a\nSECRET", "https:/SECRET"])
def test_what_is_no_url_is_told_by_its_place(addresses: str) -> None:
    with pytest.raises(ProviderError) as caught:
        check(addresses)
    assert "is none of Apprise's" in caught.value.message
    assert "SECRET" not in caught.value.message + caught.value.fix


def test_a_proxy_is_refused_since_apprise_would_not_use_it() -> None:
    with pytest.raises(ProviderError, match="knows no proxy"):
        check("json://a", "http://proxy")


class Library:
    """One AlertProvider, whose Secret holds an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def provider(self, namespace: str, name: str) -> AlertProvider:
        return AlertProvider(name, namespace, AlertProviderSpec("apprise", secret_ref=ObjectRef("urls")))

    async def secret(self, namespace: str, name: str, owner: object = None) -> dict[str, str]:
        assert (namespace, name) == ("test", "urls")
        return {"address": self.address}


@pytest.mark.asyncio
async def test_an_alert_of_a_canary_goes_where_its_provider_says(caplog: pytest.LogCaptureFixture) -> None:
    alerts = (WantedAlert(name="pager", severity="error", provider_ref=ObjectRef("pager")),)
    shop = Canary("shop", "test", CanarySpec(ObjectRef("shop", kind="Deployment"), Analysis(alerts=alerts)))
    service = Service()
    async with serving(service) as host:
        to = Alerts(Settings(cluster_name="prod"), Library(f"json://{host}/a\njson://SECRET\n"), None)  # type: ignore[arg-type]
        await to.send(shop, Alert(text="not for them", severity="warn"))
        await to.send(shop, Alert(text="Failed", severity="error"))
    ((_, body),) = service.heard
    assert body["message"] == "Failed\nCluster: prod"
    (record,) = caplog.records
    assert record.getMessage().startswith("alert provider pager.test send error: URL 2: JSON refused the message")
