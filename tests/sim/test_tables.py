"""The tables that kubectl prints: columns, ages, and one word for the state of a pod.

The rows of most kinds are compared with a real server's in `test_recorded_answers.py`.
"""

from __future__ import annotations

import pytest
from talk import (
    CONFIG_MAPS,
    DEFINITIONS,
    EVENTS,
    PODS,
    START,
    TABLE,
    Clock,
    config_map,
    done,
    patched,
    server,
    with_lamps,
)

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api
from gradatim.sim.tables.columns import human
from gradatim.sim.tables.jsonpath import find
from gradatim.sim.tables.pods import word

WORST = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3, "ready": False}
RUNNING = {"state": {"running": {}}, "ready": True}


def columns(table: Manifest, *, wide: bool = False) -> list[str]:
    return [one["name"] for one in table["columnDefinitions"] if wide or not one["priority"]]


async def cells(api: Api, url: str) -> list[list[object]]:
    return [row["cells"] for row in (await done(api, "GET", url, accept=TABLE))["rows"]]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_an_age_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert human(seconds) == shown


@pytest.mark.parametrize(
    ("status", "meta", "shown"),
    [
        ({"phase": "Pending"}, {}, "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, {}, "Running"),
        ({"phase": "Running", "containerStatuses": [WORST]}, {}, "CrashLoopBackOff"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, {"deletionTimestamp": "x"}, "Terminating"),
        (
            {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]},
            {},
            "Completed",
        ),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 2}}}]}, {}, "ExitCode:2"),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"signal": 9}}}]}, {}, "Signal:9"),
        ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
        ({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}, {}, "Init:0/1"),
        ({"phase": "Pending", "initContainerStatuses": [WORST]}, {}, "Init:CrashLoopBackOff"),
    ],
)
def test_one_word_says_how_a_pod_is(status: Manifest, meta: Manifest, shown: str) -> None:
    assert word({"metadata": meta, "spec": {"initContainers": [{}]}, "status": status}) == shown


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        (".spec.none", []),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".spec.list[*].name", ["a", "b"]),
        (".spec.list[1].name", ["b"]),
        (".metadata.annotations.a\\.b/c", ["d"]),
    ],
)
def test_a_column_finds_its_value_by_a_json_path(path: str, found: list[object]) -> None:
    obj = {
        "metadata": {"annotations": {"a.b/c": "d"}},
        "spec": {"size": 3, "list": [{"name": "a"}, {"name": "b"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert find(path, obj) == found


@pytest.mark.asyncio
async def test_a_table_of_pods_has_more_columns_for_the_curious() -> None:
    clock = Clock()
    api = server(clock)
    await done(
        api,
        "POST",
        PODS,
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "c"}], "nodeName": "n"}},
    )
    await patched(
        api,
        f"{PODS}/p/status",
        {"status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [RUNNING | {"restartCount": 2}]}},
    )
    clock.seconds += 200
    table = await done(api, "GET", PODS, accept=TABLE)
    assert columns(table) == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert columns(table, wide=True)[5:] == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert await cells(api, PODS) == [["p", "1/1", "Running", "2", "3m20s", "10.0.0.1", "n", "<none>", "<none>"]]


@pytest.mark.asyncio
async def test_events_show_when_they_were_last_seen() -> None:
    clock = Clock()
    api = server(clock)
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    told = {
        "metadata": {"name": "e"},
        "involvedObject": about,
        "reason": "Pulled",
        "message": "image is here",
        "type": "Normal",
    }
    stamp = "2023-11-14T22:13:20Z"
    await done(api, "POST", EVENTS, told | {"firstTimestamp": stamp, "lastTimestamp": stamp, "count": 2})
    clock.seconds += 60
    (row,) = await cells(api, EVENTS)
    assert row[:5] == ["60s", "Normal", "Pulled", "pod/p", ""]
    assert "image is here" in row


@pytest.mark.asyncio
async def test_a_table_carries_metadata_whole_objects_or_nothing() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("a", x="1"))
    for include, kind in (
        ("Metadata", "PartialObjectMetadata"),
        ("Object", "ConfigMap"),
        ("", "PartialObjectMetadata"),
    ):
        table = await done(api, "GET", f"{CONFIG_MAPS}?includeObject={include}", accept=TABLE)
        assert table["rows"][0]["object"]["kind"] == kind
    table = await done(api, "GET", f"{CONFIG_MAPS}?includeObject=None", accept=TABLE)
    assert table["rows"][0]["object"] is None


@pytest.mark.asyncio
async def test_the_table_of_definitions_names_versions_and_groups() -> None:
    api = with_lamps(server())
    assert START == 1_700_000_000.0
    assert await cells(api, DEFINITIONS) == [
        ["lamps.example.com", "Namespaced", "v1(storage)", "2023-11-14T22:13:20Z", "example.com", "Lamp", "lp", True]
    ]
