"""A view of the API server that is seconds behind: what it tells, and when."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from talk import CONFIG_MAPS, SECRETS, config_map, done, events_of, server

from gradatim.sim.api import Api, Request
from gradatim.sim.lateness import Late

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]


class Listener:
    """Watches a collection, and notes when what arrived."""

    def __init__(self, api: Late, url: str) -> None:
        self.heard: list[tuple[float, str]] = []
        self._listening = asyncio.create_task(self._listen(api, url))

    async def _listen(self, api: Late, url: str) -> None:
        answer = await api.handle(Request.to("GET", f"{url}?watch=true&timeoutSeconds=60"))
        assert answer.stream is not None
        async for line in answer.stream:
            (event,) = events_of([line])
            self.heard.append((asyncio.get_running_loop().time(), event["object"]["metadata"]["name"]))

    async def end(self) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening


async def created(api: Api, name: str) -> float:
    """Create a ConfigMap; when that was."""
    await done(api, "POST", CONFIG_MAPS, config_map(name))
    return asyncio.get_running_loop().time()


async def test_watches_of_late_kinds_tell_everything_later_in_the_same_order() -> None:
    api = server()
    listener = Listener(Late(api, {"configmaps"}, 3), CONFIG_MAPS)
    await asyncio.sleep(1)
    first = await created(api, "first")
    await asyncio.sleep(1)
    second = await created(api, "second")
    await asyncio.sleep(10)
    await listener.end()
    assert listener.heard == [(first + 3, "first"), (second + 3, "second")]


async def test_other_kinds_and_plain_reads_are_up_to_date() -> None:
    api = server()
    late = Late(api, {"configmaps"}, 3)
    listener = Listener(late, SECRETS)
    await asyncio.sleep(1)
    await done(api, "POST", SECRETS, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "one"}})
    at = asyncio.get_running_loop().time()
    await created(api, "first")
    read = await late.handle(Request.to("GET", f"{CONFIG_MAPS}/first"))
    assert read.status == 200
    await asyncio.sleep(0.1)
    await listener.end()
    assert listener.heard == [(at, "one")]


async def test_a_late_watch_ends_when_its_time_is_over() -> None:
    late = Late(server(), {"configmaps"}, 3)
    answer = await late.handle(Request.to("GET", f"{CONFIG_MAPS}?watch=true&timeoutSeconds=5"))
    assert answer.stream is not None
    began = asyncio.get_running_loop().time()
    assert [line async for line in answer.stream] == []
    assert asyncio.get_running_loop().time() == pytest.approx(began + 8)
