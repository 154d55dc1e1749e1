"""Every story goes as its table says, on the real server."""

from __future__ import annotations

import pytest

from cluster.stories.stage import Played
from cluster.stories.timeline import DECISIONS, Timeline, disagreement, timelines

STORIES = [story for name in ("timelines", "further") for story in timelines(name)]
SECTIONS = ("15.1", "15.2", "15.3", "15.4", "15.5", "15.6", "15.7", "15.8")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.section} {story.name}".strip())
def test_a_story(played: Played, story: Timeline) -> None:
    """The states that it passes through, and, where the table has them, what is told."""
    told = played.told[story.name]
    problem = told.failure or disagreement(told.looks, story.looks())
    if story.events():
        problem = problem or disagreement(told.events, story.events())
    if story.alerts():
        problem = problem or disagreement(told.alerts, story.alerts())
    if problem:
        pytest.fail("\n".join([problem, *told.looks, *told.events, *told.alerts]), pytrace=False)


def test_every_timeline_of_the_specification_is_told() -> None:
    assert tuple(dict.fromkeys(story.section for story in STORIES if story.section)) == SECTIONS


def test_every_difference_from_the_reference_is_a_decision() -> None:
    for story in STORIES:
        for row in story.rows:
            assert bool(row.theirs or row.ours) == bool(row.decision), f"{story.name}: {row}"
            assert not (row.theirs and row.ours), f"{story.name}: {row}"
            assert not row.decision or (DECISIONS / row.decision).exists(), f"{story.name}: {row.decision}"
