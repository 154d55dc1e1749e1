"""What was set right and does not last is left alone for the rest of the interval; all else is set right at once."""

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


def test_a_difference_that_comes_back_is_left_alone_for_the_rest_of_the_interval(repairs: Repairs) -> None:
    for now in (100, 100.1, 109.9):
        repairs.turn(now, 10)
        assert repairs.sort(SHOP, TEAM) == Difference(unkept=tuple(TEAM))
    repairs.turn(110, 10)
    assert repairs.sort(SHOP, TEAM) == Difference(again=tuple(TEAM))


def test_it_stays_a_known_one_as_long_as_it_keeps_coming_back(repairs: Repairs) -> None:
    for number in range(1, 50):
        repairs.turn(100 + 9.5 * number, 10)
        assert repairs.sort(SHOP, TEAM).new == ()
        if number % 2 == 0:
            repairs.note(SHOP, TEAM)


def test_another_object_another_field_and_another_value_are_set_right_at_once(repairs: Repairs) -> None:
    assert repairs.sort(OTHER, TEAM) == new(*TEAM)
    assert repairs.sort(SHOP, {"spec.type": "ClusterIP"}) == new("spec.type")
    assert repairs.sort(SHOP, {"metadata.labels.team": "a"}) == new(*TEAM)
    mixed = repairs.sort(SHOP, {**TEAM, "spec.type": "ClusterIP"})
    assert mixed == Difference(new=("spec.type",), unkept=tuple(TEAM))


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
