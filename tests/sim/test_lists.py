"""Lists: selectors, pages, the past."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from talk import CONFIG_MAPS, DEPLOYMENTS, EVENTS, PODS, config_map, done, patched, refused, server

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api

pytestmark = pytest.mark.asyncio


async def five() -> Api:
    """Five ConfigMaps, the even ones of one team, the odd ones of another."""
    api = server()
    for number in range(5):
        labels = {"team": "odd" if number % 2 else "even", f"n{number}": ""}
        await done(api, "POST", CONFIG_MAPS, {"metadata": {"name": f"c{number}", "labels": labels}})
    return api


def names(listed: Manifest) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("team=even", ["c0", "c2", "c4"]),
        ("team==even", ["c0", "c2", "c4"]),
        ("team!=even", ["c1", "c3"]),
        ("team in (odd, other)", ["c1", "c3"]),
        ("team notin (odd)", ["c0", "c2", "c4"]),
        ("n3", ["c3"]),
        ("!n3,team=odd", ["c1"]),
        ("none", []),
    ],
)
async def test_labels_select(selector: str, found: list[str]) -> None:
    listed = await done(await five(), "GET", f"{CONFIG_MAPS}?labelSelector={quote(selector)}")
    assert names(listed) == found


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'"),
        ("a!b", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
    ],
)
async def test_a_selector_that_cannot_be_read_is_explained(selector: str, message: str) -> None:
    status = await refused(server(), "GET", f"{CONFIG_MAPS}?labelSelector={quote(selector)}")
    assert (status["code"], status["message"]) == (400, message)


async def test_fields_select() -> None:
    api = await five()
    assert names(await done(api, "GET", f"{CONFIG_MAPS}?fieldSelector=metadata.name%3Dc2")) == ["c2"]
    assert names(await done(api, "GET", f"{CONFIG_MAPS}?fieldSelector=metadata.name!%3Dc2")) == ["c0", "c1", "c3", "c4"]
    about = {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal", "reason": "R"}
    await done(api, "POST", EVENTS, {"metadata": {"name": "e"}, **about})
    assert names(
        await done(api, "GET", f"{EVENTS}?fieldSelector=involvedObject.name%3Dp,type%3DNormal,reason%3DR")
    ) == ["e"]
    assert names(await done(api, "GET", f"{EVENTS}?fieldSelector=type%3DWarning")) == []


async def test_fields_nobody_can_select_by_are_refused() -> None:
    api = server()
    plain = await refused(api, "GET", f"{DEPLOYMENTS}?fieldSelector=spec.x%3D1")
    assert plain["message"] == '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'
    pods = await refused(api, "GET", f"{PODS}?fieldSelector=spec.x%3D1")
    assert pods["message"] == "field label not supported: spec.x"


async def test_a_list_comes_in_pages_of_one_state() -> None:
    """What changes meanwhile does not show in later pages."""
    api = await five()
    first = await done(api, "GET", f"{CONFIG_MAPS}?limit=2")
    assert names(first) == ["c0", "c1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await done(api, "DELETE", f"{CONFIG_MAPS}/c2")
    await done(api, "POST", CONFIG_MAPS, config_map("c2b"))
    token = first["metadata"]["continue"]
    second = await done(api, "GET", f"{CONFIG_MAPS}?limit=2&continue={token}")
    assert names(second) == ["c2", "c3"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = await done(api, "GET", f"{CONFIG_MAPS}?limit=2&continue={second['metadata']['continue']}")
    assert names(third) == ["c4"]
    assert "continue" not in third["metadata"]


async def test_a_page_that_is_too_old_comes_with_a_way_on() -> None:
    api = await five()
    first = await done(api, "GET", f"{CONFIG_MAPS}?limit=2")
    await done(api, "DELETE", f"{CONFIG_MAPS}/c2")
    api.compact()
    status = await refused(api, "GET", f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith(
        "The provided continue parameter is too old to display a consistent list result."
    )
    rest = await done(api, "GET", f"{CONFIG_MAPS}?continue={status['metadata']['continue']}")
    assert names(rest) == ["c3", "c4"]


async def test_the_past_can_be_listed_until_it_is_forgotten() -> None:
    api = await five()
    then = (await done(api, "GET", CONFIG_MAPS))["metadata"]["resourceVersion"]
    await done(api, "DELETE", f"{CONFIG_MAPS}/c0")
    exact = f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact"
    assert names(await done(api, "GET", exact)) == ["c0", "c1", "c2", "c3", "c4"]
    newer = await done(api, "GET", f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=NotOlderThan")
    assert names(newer) == ["c1", "c2", "c3", "c4"]
    api.compact()
    assert (await refused(api, "GET", exact))["code"] == 410


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("resourceVersion=abc", 400, 'invalid resource version: resourceVersion: Invalid value: "abc"'),
        ("resourceVersion=9999999999999999", 504, "Timeout: Too large resource version: 9999999999999999, current:"),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=1&resourceVersionMatch=Some", 422, 'supported values: "Exact", "NotOlderThan", ""'),
        ("limit=many", 400, 'strconv.ParseInt: parsing "many": invalid syntax'),
        ("continue=abc", 400, "invalid continue token: continue key is not valid"),
        (
            "watch=1&sendInitialEvents=true",
            422,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        ("watch=1&resourceVersionMatch=NotOlderThan", 422, "resourceVersionMatch is forbidden for watch unless"),
        ("watch=1&resourceVersion=abc", 500, 'resourceVersion: Invalid value: "abc"'),
    ],
)
async def test_options_that_make_no_sense_are_refused(query: str, code: int, message: str) -> None:
    status = await refused(server(), "GET", f"{CONFIG_MAPS}?{query}")
    assert status["code"] == code
    assert message in status["message"]


async def test_a_list_of_all_namespaces_is_in_the_order_of_names() -> None:
    api = server()
    await done(api, "POST", "/api/v1/namespaces", {"metadata": {"name": "another"}})
    for namespace in ("default", "another"):
        await done(api, "POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("x"))
    listed = await done(api, "GET", "/api/v1/configmaps")
    assert [item["metadata"]["namespace"] for item in listed["items"]] == ["another", "default"]


async def test_a_page_of_a_list_follows_what_its_selector_selected() -> None:
    api = await five()
    first = await done(api, "GET", f"{CONFIG_MAPS}?limit=2&labelSelector=team%3Deven")
    assert "remainingItemCount" not in first["metadata"]
    await patched(api, f"{CONFIG_MAPS}/c4", {"metadata": {"labels": {"team": "odd"}}})
    rest = await done(api, "GET", f"{CONFIG_MAPS}?labelSelector=team%3Deven&continue={first['metadata']['continue']}")
    assert names(rest) == ["c4"]
