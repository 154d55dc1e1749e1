"""Scenarios of our own: what no recording covers, with what is expected written beside it, and users who watch."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from simulated import own
from simulated.own import FOLDER, Expected, differences, load, played
from virtual_loop import VirtualLoop

Clock = Callable[[], float]


@pytest.mark.parametrize("name", own.names())
@pytest.mark.asyncio
async def test_a_scenario_ends_well(virtual_time: Clock, name: str) -> None:
    told = await played(name, load(name))
    assert not told.wrong, "\n" + "\n".join(told.wrong)


def test_every_scenario_expects_something() -> None:
    assert len(own.names()) >= 15
    for name in own.names():
        scenario = load(name)
        assert scenario.expect != Expected(), name
        assert scenario.about, name
    assert FOLDER.is_dir()


def test_parts_are_found_in_objects() -> None:
    found = {"a": {"b": [{"c": 1, "d": 2}], "e": "x"}}
    assert differences(found, {"a": {"b": [{"c": 1}]}}, "o") == []
    assert differences(found, {"a": {"f": None}}, "o") == []
    assert differences(found, {"a": {"b": [{"c": 2}]}}, "o") == ["o.a.b[0].c is 1, expected 2"]
    assert differences(found, {"a": {"b": []}}, "o") == ["o.a.b is [{'c': 1, 'd': 2}], expected []"]
    assert differences(None, {"a": 1}, "o") == ["o is None, expected {'a': 1}"]
    assert differences(found, None, "o") != []


def test_what_is_not_as_expected_is_found() -> None:
    scenario = load("step-weights-and-promotion")
    wrong = Expected(
        phase="Failed",
        status={"canaryWeight": 7},
        objects={"Service/shop": None, "Deployment/shop": {"spec": {"replicas": 9}}},
        events=("Copying", "canary weight 80"),
        never=("Promotion completed!",),
        hooks=("smoke",),
        phases=("Succeeded",),
    )
    told = VirtualLoop.run(played("wrong", msgspec.structs.replace(scenario, expect=wrong)))
    assert [line.split(" ")[3] for line in told.wrong] == [
        "phase",
        "status.canaryWeight",
        "Service/shop",
        "Deployment/shop.spec.replicas",
        "no",
        "no",
        "unwanted",
        "phases",
    ]


def test_users_notice_when_nobody_answers() -> None:
    scenario = load("apex-edited")
    told = VirtualLoop.run(played("apex-edited", msgspec.structs.replace(scenario, loses="")))
    assert len(told.wrong) == 1
    assert "users lose requests" in told.wrong[0]
