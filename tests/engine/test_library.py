"""What a Canary refers to and does not exist, or cannot work, is told with its path before anything is moved."""

from __future__ import annotations

import base64
import sys
from typing import Any

import pytest

from gradatim.api.decode import decode_canary
from gradatim.core.problems import Problem
from gradatim.engine.library import Library
from gradatim.kube.errors import Forbidden
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, SECRET, Manifest, Ref

KEY = Ref(CANARY, "test", "shop")


class Cache:
    """Objects by kind and name in the namespace `test`; `wanted` is who wants which Secret."""

    def __init__(self, *objects: Manifest) -> None:
        self.objects = {(found["kind"], found["metadata"]["name"]): found for found in objects}
        self.wanted: set[tuple[Ref, Ref]] = set()
        self.forbidden = False

    async def want(self, ref: Ref, owner: Ref) -> None:
        if self.forbidden:
            raise Forbidden("secrets is forbidden: the operator cannot list it")
        self.wanted.add((ref, owner))

    def get(self, ref: Ref) -> Manifest | None:
        return self.objects.get((ref.resource.kind, ref.name)) if ref.namespace == "test" else None


def secret(**data: str) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": "guard"}, "data": encoded}


def provider(**spec: Any) -> Manifest:
    return {"kind": "AlertProvider", "metadata": {"name": "pager", "namespace": "test"}, "spec": spec}


async def told(cache: Cache, **analysis: Any) -> list[tuple[str, bool]]:
    """What is said of a Canary with this analysis, and whether it holds the release up."""
    return [(str(problem), problem.blocks) for problem in await problems(cache, **analysis)]


async def problems(cache: Cache, **analysis: Any) -> list[Problem]:
    spec = {"targetRef": {"name": "shop", "kind": "Deployment"}, "analysis": analysis}
    canary = decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})
    return await Library(cache).problems(KEY, canary)  # type: ignore[arg-type]


def hook(kind: str = "confirm-rollout") -> dict[str, Any]:
    return {"name": "gate", "url": "http://gate/", "type": kind, "secretRef": {"name": "guard"}}


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [{"token": "a"}, {"username": "a", "password": "b"}, {"hmacKey": "k"}])
async def test_a_secret_that_says_something_is_no_problem(data: dict[str, str]) -> None:
    cache = Cache(secret(**data))
    assert await told(cache, webhooks=[hook()]) == []
    assert cache.wanted == {(Ref(SECRET, "test", "guard"), KEY)}, "so that its Canary hears of changes"


@pytest.mark.asyncio
async def test_a_missing_secret_is_told_with_the_place_of_its_hook() -> None:
    said = await told(Cache(), webhooks=[{"name": "open", "url": "http://gate/"}, hook()])
    text = "spec.analysis.webhooks[1].secretRef: Secret guard.test not found; create it or correct the name"
    assert said == [(text, True)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({}, "it holds no token, no username with password and no hmacKey; put one of them into it"),
        ({"user": "HIDDEN"}, "it holds no token, no username with password and no hmacKey; put one of them into it"),
        ({"username": "HIDDEN"}, "it holds a username and no password; put the key password into it"),
        ({"token": "HID DEN\x00"}, "it holds a token with characters that no header can carry; write it anew"),
    ],
)
async def test_a_missing_key_is_told_and_no_value(data: dict[str, str], what: str) -> None:
    said = await told(Cache(secret(**data)), webhooks=[hook()])
    assert said == [(f"spec.analysis.webhooks[0].secretRef: Secret guard.test: {what}", True)]


@pytest.mark.asyncio
async def test_bytes_that_are_no_text_matter_only_under_a_key_that_is_read() -> None:
    found = secret(token="a")
    found["data"]["keystore.jks"] = base64.b64encode(b"\xfe\xed\xfe\xed").decode()
    assert await told(Cache(found), webhooks=[hook()]) == []
    found["data"]["hmacKey"] = base64.b64encode(b"\xfe").decode()
    ((text, blocks),) = await told(Cache(found), webhooks=[hook()])
    assert (text.split(": ", 2)[2], blocks) == ("hmacKey of secret guard.test is no text", True)


@pytest.mark.asyncio
async def test_a_secret_that_may_not_be_read_is_told() -> None:
    cache = Cache(secret(token="a"))
    cache.forbidden = True
    ((text, blocks),) = await told(cache, webhooks=[hook()])
    assert "secrets is forbidden" in text
    assert blocks


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "blocks"),
    [
        ("confirm-rollout", True),
        ("confirm-promotion", True),
        ("confirm-traffic-increase", True),
        ("pre-rollout", True),
        ("rollout", True),
        ("", True),
        ("rollback", True),
        ("post-rollout", False),
        ("event", False),
    ],
)
async def test_only_hooks_that_decide_hold_a_release_up(kind: str, blocks: bool) -> None:
    ((_, held),) = await told(Cache(), webhooks=[hook(kind)])
    assert held is blocks


@pytest.mark.asyncio
async def test_what_is_missing_of_a_template_is_only_in_the_way_of_measuring() -> None:
    metric = {"name": "errors", "templateRef": {"name": "errors"}}
    source = {"type": "prometheus", "address": "http://p", "secretRef": {"name": "guard"}}
    template = {"kind": "MetricTemplate", "metadata": {"name": "errors"}, "spec": {"provider": source, "query": "up"}}
    for cache, what in (
        (Cache(), " not found; create it or correct the name"),
        (Cache(template), ': secrets "guard" not found; create it'),
    ):
        (problem,) = await problems(cache, metrics=[metric])
        assert str(problem).startswith("spec.analysis.metrics[0].templateRef: MetricTemplate errors.test" + what)
        assert (problem.blocks, problem.measures) == (True, True)


ALERTS = [{"name": "pager", "providerRef": {"name": "pager"}}]
PLACE = "spec.analysis.alerts[0].providerRef: AlertProvider pager.test: "


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"type": "apprise", "address": "json://a json://b"}, None),
        ({"type": "apprise", "secretRef": {"name": "guard"}}, None),
        ({"type": "slack", "address": "https://slack"}, None),
        (
            {"type": "apprise", "address": "json://a HIDDEN"},
            "URL 2 is none of Apprise's; write one such as mailto://user:password@host",
        ),
        (
            {"type": "apprise", "address": "json://a", "proxy": "http://proxy"},
            "type apprise knows no proxy; set HTTPS_PROXY of the operator and leave spec.proxy out",
        ),
    ],
)
async def test_rooms_of_apprise_are_looked_at_before_they_are_needed(spec: dict[str, Any], what: str | None) -> None:
    cache = Cache(provider(**spec), secret(address="json://a\njson://b\n"))
    assert await told(cache, alerts=ALERTS) == ([] if what is None else [(PLACE + what, False)])


@pytest.mark.asyncio
async def test_without_the_library_the_canary_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    said = await told(Cache(provider(type="apprise", address="json://a")), alerts=ALERTS)
    text = "the library Apprise is not installed beside the operator; run pip install 'gradatim[apprise]' there"
    assert said == [(PLACE + text, False)]


@pytest.mark.asyncio
async def test_who_refers_to_a_room_is_known_although_it_is_not_there() -> None:
    cache = Cache()
    library = Library(cache)  # type: ignore[arg-type]
    spec = {"targetRef": {"name": "shop", "kind": "Deployment"}, "analysis": {"alerts": ALERTS}}
    canary = decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})
    await library.problems(KEY, canary)
    room = Ref(ALERT_PROVIDER, "test", "pager")
    assert library.readers(room) == {KEY}
    library.forget(KEY)
    assert library.readers(room) == frozenset()
