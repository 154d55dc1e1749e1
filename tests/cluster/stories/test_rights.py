"""The rights that we ship are those that are used: a missing one fails a test, and so does one that nothing needs.

Everything that the operator does was played under them: every mesh, target and scaler, releases that end well and
badly, changed configs, an election, a deletion that gives everything back.
"""

from __future__ import annotations

import re

import pytest

from cluster.operator import Grant
from cluster.stories.lacking import OWNING, TAKEN
from cluster.stories.stage import Played

WARNED = (
    r"PATCH .*/canaries/podinfo: .*finalizer\.flagger\.app.*: prefer a domain-qualified finalizer name",
    r"POST .*/namespaces/test/ingresses: .*kubernetes\.io/ingress\.class.* is deprecated",
)
"""Flagger's name of the finalizer, which others look for, and the scenario's own way of naming its ingress class."""


def used(played: Played) -> set[Grant]:
    """What the access rules must contain, as the audit log and the objects tell."""
    asked = {(one.group, one.resource, one.verb) for one in played.requests if one.allowed}
    return {one for one in asked if not one[1].startswith("/")} | ({OWNING} if played.owning else set())


def test_nothing_is_asked_for_that_is_not_granted(played: Played) -> None:
    assert [one for one in played.requests if not one.allowed] == []
    assert used(played) <= played.granted


def test_everything_that_is_granted_is_used(played: Played) -> None:
    assert sorted(played.granted - used(played)) == []


def test_nothing_that_is_written_is_dropped_or_warned_of(played: Played) -> None:
    """The API server warns of each field that a schema does not know, of every kind of object."""
    known = {warning: [text for text in WARNED if re.search(text, warning)] for warning in played.warnings}
    assert [warning for warning, texts in known.items() if not texts] == []
    assert {text for texts in known.values() for text in texts} == set(WARNED)


@pytest.mark.parametrize("taken", TAKEN, ids=" ".join)
def test_a_right_that_is_taken_away_is_missed(played: Played, taken: Grant) -> None:
    """It is seen in the audit log, and the operator says what it may not do."""
    lacked = played.lacked[taken]
    if taken == OWNING:
        assert lacked.refused == {("", "services", "create")}
        assert "cannot set blockOwnerDeletion" in lacked.log
    else:
        assert lacked.refused == {taken}
        assert f'cannot {taken[2]} resource \\"{taken[1]}\\"' in lacked.log


def test_a_right_too_many_is_named(played: Played) -> None:
    extra = ("", "pods", "get")
    assert (played.granted | {extra}) - used(played) == {extra}
