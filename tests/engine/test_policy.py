"""Every surprise has a delay, and what a person can mend is told."""

from __future__ import annotations

import pytest

from gradatim.api.errors import Bug, SpecError
from gradatim.engine.policy import respond
from gradatim.kube.errors import Conflict, Forbidden, Invalid, LeaseLost, Unavailable
from gradatim.ports.errors import ProviderError


def test_a_conflict_is_looked_at_afresh_at_once_and_told_to_nobody() -> None:
    assert respond(Conflict("changed"), 1, 60).delay == 0
    later = respond(Conflict("changed"), 5, 60)
    assert later.delay == 1
    assert not later.news


def test_a_server_that_is_away_is_told_of_only_after_three_failures_and_backs_off_up_to_the_interval() -> None:
    responses = [respond(Unavailable("gone"), failures, 10) for failures in range(1, 12)]
    assert [bool(response.news) for response in responses[:4]] == [False, False, False, True]
    delays = [response.delay or 0 for response in responses]
    assert delays == sorted(delays)
    assert delays[-1] == 10


def test_a_server_that_names_a_time_is_given_it() -> None:
    assert respond(Unavailable("busy", status=429, retry_after=42), 1, 10).delay == 42


def test_a_lost_lease_is_not_ours_to_retry() -> None:
    assert respond(LeaseLost("gone"), 1, 10).delay is None


@pytest.mark.parametrize("error", [Forbidden("no"), Invalid("bad"), ProviderError("odd"), SpecError("spec", "bad")])
def test_what_a_person_can_mend_is_told_with_its_own_words(error: Exception) -> None:
    response = respond(error, 1, 10)
    assert response.delay is not None
    assert [event.text for event in response.news] == [str(error)]
    assert response.hinders == str(error)


@pytest.mark.parametrize("error", [Conflict("changed"), Unavailable("gone"), LeaseLost("gone")])
def test_what_passes_by_itself_is_not_written_into_the_status(error: Exception) -> None:
    assert respond(error, 9, 10).hinders == ""


@pytest.mark.parametrize("error", [Bug("cannot happen"), KeyError("x")])
def test_bugs_are_loud(error: Exception) -> None:
    response = respond(error, 1, 10)
    assert response.loud
    assert response.news
