"""What was set right and does not last is left alone for a while; all else is set right at once."""

from __future__ import annotations

import pytest

from gradatim.engine.repairs import Difference, Repairs
from gradatim.ports.objects import SERVICE, Ref

SHOP, OTHER = Ref(SERVICE, "test", "shop"), Ref(SERVICE, "test", "other")
TEAM = {"metadata.labels.team": None}


@pytest.fixture
def repairs() -> Repairs:
    made = Repairs()
    made.turn(100, 10)
    made.note(SHOP, TEAM)
    return made


def new(*fields: str) -> Difference:
    return Difference(new=fields)


def test_a_difference_that_comes_back_at_once_is_left_alone_for_a_moment(repairs: Repairs) -> None:
    for now in (100, 100.25, 100.75):
        repairs.turn(now, 10)
        assert repairs.sort(SHOP, TEAM) == Difference(unkept=tuple(TEAM), retry=101 - now)
    repairs.turn(101, 10)
    assert repairs.sort(SHOP, TEAM) == Difference(again=tuple(TEAM))


def test_whoever_goes_on_is_answered_less_and_less_often_but_once_an_interval(repairs: Repairs) -> None:
    answered, now = [], 100.0
    while now < 160:
        now += 0.5
        repairs.turn(now, 10)
        found = repairs.sort(SHOP, TEAM)
        assert found.new == ()
        if found.again:
            answered.append(now - 100)
            repairs.note(SHOP, TEAM)
    assert answered == [1, 3, 7, 15, 25, 35, 45, 55]


def test_who_edits_by_hand_is_answered_at_once_each_time(repairs: Repairs) -> None:
    for now in (103, 108, 116):
        repairs.turn(now, 10)
        assert repairs.sort(SHOP, TEAM) == new(*TEAM)
        repairs.note(SHOP, TEAM)


def test_another_object_another_field_and_another_value_are_set_right_at_once(repairs: Repairs) -> None:
    assert repairs.sort(OTHER, TEAM) == new(*TEAM)
    assert repairs.sort(SHOP, {"spec.type": "ClusterIP"}) == new("spec.type")
    assert repairs.sort(SHOP, {"metadata.labels.team": "a"}) == new(*TEAM)
    mixed = repairs.sort(SHOP, {**TEAM, "spec.type": "ClusterIP"})
    assert mixed == Difference(new=("spec.type",), unkept=tuple(TEAM), retry=1)


def test_two_who_take_turns_do_not_wear_each_other_out(repairs: Repairs) -> None:
    repairs.note(SHOP, {"metadata.labels.cost": None})
    assert repairs.sort(SHOP, TEAM).unkept == tuple(TEAM)
    assert repairs.sort(SHOP, {"metadata.labels.cost": None}).unkept == ("metadata.labels.cost",)


def test_a_wish_that_changes_to_and_fro_is_followed_each_time(repairs: Repairs) -> None:
    for team in ("a", "b", "a", "b"):
        assert repairs.sort(SHOP, {"metadata.labels.team": team}) == new(*TEAM)
        repairs.note(SHOP, {"metadata.labels.team": team})


def test_an_edit_some_intervals_later_is_a_new_one(repairs: Repairs) -> None:
    repairs.sort(SHOP, TEAM)
    repairs.turn(130, 10)
    assert repairs.sort(SHOP, TEAM) == new(*TEAM)
