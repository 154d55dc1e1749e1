"""Whole releases, tick by tick: the timelines that the reference's users know, and every situation in every phase."""

from __future__ import annotations

import pytest

from core.telling import Case, cases, play


@pytest.mark.parametrize("case", cases("timelines"), ids=lambda case: case.name)
def test_a_release(case: Case) -> None:
    play(case)


@pytest.mark.parametrize("case", cases("situations"), ids=lambda case: case.name)
def test_a_situation(case: Case) -> None:
    play(case)
