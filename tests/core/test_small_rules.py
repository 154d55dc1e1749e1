"""The small rules that releases are made of: weights, ratios, names, cookies, times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.telling import spec_of
from gradatim.api.canary import Analysis, Canary
from gradatim.api.decode import decode_canary
from gradatim.api.status import Phase
from gradatim.core import conditions, names, news
from gradatim.core.ratio import Ratio, ratio
from gradatim.core.session import LENGTH, value
from gradatim.core.timing import DEFAULT_INTERVAL, interval_of
from gradatim.core.weights import Routes, max_weight, next_weight, split

RATIOS = yaml.safe_load((Path(__file__).parents[1] / "vectors/core/ratios.yaml").read_text())


def canary(**service: str) -> Canary:
    """A Canary for a target of another name."""
    spec = spec_of({"service": {"port": 80, **service}})
    return decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})


@pytest.mark.parametrize("case", RATIOS, ids=lambda case: case["query"])
def test_the_ratio_in(case: dict[str, Any]) -> None:
    wanted = case["is"] and Ratio(case["is"][0], case["is"][1], case.get("at_zero", 0.0))
    assert ratio(case["query"]) == wanted


@given(st.text(alphabet="ab/*()[]{}\"'`\\ +-<1", max_size=20))
def test_no_query_confuses_the_search_for_a_ratio(query: str) -> None:
    found = ratio(query)
    assert found is None or (found.numerator in query and found.denominator in query)


@given(st.integers(-300, 300))
def test_a_split_is_always_two_shares_of_100(share: int) -> None:
    routes = split(share)
    assert routes.primary + routes.canary == 100
    assert 0 <= routes.canary <= 100


@given(st.integers(1, 100), st.integers(0, 100))
def test_steps_of_a_weight_reach_the_maximum_and_never_100_and_more(step: int, most: int) -> None:
    """A step grows the weight until it is at the maximum or above; the last one may overshoot, as in Flagger."""
    analysis, weight = Analysis(step_weight=step, max_weight=most), 0
    while weight < max_weight(analysis):
        after = next_weight(analysis, weight)
        assert weight < after <= 100
        weight = after


@given(st.lists(st.integers(1, 100), min_size=1, unique=True).map(sorted), st.integers(0, 99))
def test_a_list_of_steps_goes_on_upwards_from_any_weight(steps: list[int], weight: int) -> None:
    """Also from a weight that is not in the list, because the list was edited in mid-run."""
    after = next_weight(Analysis(step_weights=tuple(steps)), weight)
    assert after == min([step for step in steps if step > weight], default=100)


@pytest.mark.parametrize(
    ("analysis", "most"),
    [
        (Analysis(step_weight=10), 100),
        (Analysis(step_weight=10, max_weight=30), 30),
        (Analysis(step_weights=(1, 5), max_weight=30), 5),
        (Analysis(step_weight=10, step_weights=(1, 5), max_weight=30), 30),
        (Analysis(step_weights=(50, 120)), 100),
    ],
)
def test_the_weight_at_which_steps_end(analysis: Analysis, most: int) -> None:
    assert max_weight(analysis) == most


@pytest.mark.parametrize(
    ("text", "floor", "seconds"),
    [("", 10, DEFAULT_INTERVAL), ("soon", 10, DEFAULT_INTERVAL), ("30s", 10, 30), ("2s", 10, 10), ("2s", 1, 2)],
)
def test_the_interval_has_a_default_and_a_floor(text: str, floor: float, seconds: float) -> None:
    assert interval_of(text, floor) == seconds


def test_names_follow_from_the_target_and_the_service() -> None:
    shop = canary(name="front")
    assert names.primary_workload(shop) == "podinfo-primary"
    assert (names.primary_service(shop), names.canary_service(shop)) == ("front-primary", "front-canary")
    assert names.canary_service(canary()) == "podinfo-canary"


@given(st.text(), st.text())
def test_cookie_values_are_ten_letters_and_differ_between_purposes(token: str, other: str) -> None:
    """Values come from the token alone, so that a plan is the same however often it is made."""
    drawn = value(token, "canary")
    assert len(drawn) == LENGTH
    assert drawn.isascii()
    assert drawn.isalpha()
    assert drawn == value(token, "canary") != value(token, "primary")


@given(st.floats(0, 4e9))
def test_times_are_written_as_kubernetes_does_and_read_back(moment: float) -> None:
    assert conditions.seconds(conditions.timestamp(moment)) == int(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_what_is_no_time_is_none(text: str) -> None:
    found = conditions.seconds(text)
    assert found is None or found < 0


@pytest.mark.parametrize(
    ("error", "text", "warning"),
    [(None, "Post-rollout check after passed", False), ("oh", "Post-rollout hook after failed oh", True)],
)
def test_what_a_hook_after_the_end_said(error: str | None, text: str, warning: bool) -> None:
    event = news.post_rollout("after", error, Phase.SUCCEEDED)
    assert (event.text, event.warning, event.phase) == (text, warning, Phase.SUCCEEDED)


def test_routes_are_compared_by_value() -> None:
    assert Routes(80, 20) == Routes(80, 20) != Routes(80, 20, mirrored=True)
