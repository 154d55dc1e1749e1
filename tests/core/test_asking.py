"""Looks that are taken while somebody outside is being asked: what goes on being asked, and what is given up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.inventions import events, happen, worlds
from core.telling import Case, world_of
from core.world import OUTSIDE, Conflict, World
from gradatim.api.status import Phase
from gradatim.core.hooks import HookFailed
from gradatim.core.planner import decide
from gradatim.core.verdict import Ask, HookSays, Measure, Plan, Question, Shift
from gradatim.core.weights import ALL_PRIMARY

RUNNING = {"phase": "Progressing", "canaryWeight": 50, "lastAppliedSpec": "v2"}
FIRST = {**RUNNING, "canaryWeight": 0}
UNDER_WAY = {"target": "v2", "scaled": True, "routes": "50/50"}
BOTH, ONLY_PRIMARY = {"primary": True, "canary": True}, {"primary": True, "canary": False}
ROLLBACK, CHECK = HookSays(0, Phase.PROGRESSING), HookSays(1, Phase.PROGRESSING)
MEASURE = Measure(0)


def running(begins: dict[str, Any] = RUNNING, **given: Any) -> World:
    """A run whose next tick is due."""
    kinds = ("rollback", "rollout" if begins is RUNNING else "pre-rollout")
    analysis = {
        "threshold": 5,
        "stepWeight": 50,
        "webhooks": [{"name": kind, "type": kind, "url": "http://t"} for kind in kinds],
        "metrics": [{"name": "errors", "query": "q", "thresholdRange": {"max": 1}}],
    }
    routes = {} if begins is RUNNING else {"routes": "100/0"}
    world = world_of(
        Case(name="", steps=(), canary={"analysis": analysis}, begins=begins, given={**UNDER_WAY, **routes, **given})
    )
    world.now += world.asleep
    return world


def asked(world: World, answers: dict[Question[Any], Any]) -> tuple[Question[Any] | None, Plan | None]:
    """What somebody outside is asked, or the plan; also all that is known by then."""
    known = msgspec.structs.replace(world.known(), answers=dict(answers))
    while isinstance(said := decide(known), Ask):
        (question,) = said.questions
        if isinstance(question, OUTSIDE):
            return question, None
        known = msgspec.structs.replace(known, answers={**known.answers, question: world.answer(question)})
    return None, said


@pytest.mark.parametrize("whose", ["canary", "primary"])
@pytest.mark.parametrize("asking", [CHECK, MEASURE])
def test_checks_go_on_while_pods_come_and_go(whose: str, asking: Question[Any]) -> None:
    world = running(**{whose: "waiting", "pods": BOTH})
    answers = {ROLLBACK: HookFailed("no")} | ({CHECK: world.answer(CHECK)} if asking == MEASURE else {})
    world.asking = asking
    assert asked(world, answers) == (asking, None)
    world.asking = None
    question, plan = asked(world, answers)
    assert question is None
    assert plan is not None
    assert not plan.actions, "no check begins before the pods are ready"


def test_a_check_is_given_up_for_a_canary_that_lost_its_pods() -> None:
    world = running(canary="waiting", pods=ONLY_PRIMARY)
    world.asking = CHECK
    _, plan = asked(world, {ROLLBACK: HookFailed("no")})
    assert plan is not None
    assert plan.actions == (Shift(ALL_PRIMARY),)


def test_a_check_before_the_first_traffic_is_given_up_when_there_are_no_pods_to_give_any_to() -> None:
    world = running(FIRST, canary="waiting", pods=ONLY_PRIMARY)
    world.asking = CHECK
    _, plan = asked(world, {ROLLBACK: HookFailed("no")})
    assert plan is not None
    assert not plan.actions


def test_a_rollback_is_asked_for_on_and_on_and_its_no_lets_no_check_begin() -> None:
    world = running(canary="waiting", pods=BOTH)
    world.asking = ROLLBACK
    assert asked(world, {}) == (ROLLBACK, None)
    question, plan = asked(world, {ROLLBACK: HookFailed("no")})
    assert question is None
    assert plan is not None
    assert not plan.actions


@settings(max_examples=150, print_blob=True)
@given(worlds(), st.lists(st.lists(events, max_size=3), max_size=5))
def test_where_nothing_changed_the_same_goes_on_being_asked(world: World, story: list[list[tuple[str, Any]]]) -> None:
    """So that no look, however many there are, makes anybody be asked twice."""
    for happened in story:
        for event in happened:
            happen(world, event)
        try:
            world.tick()
        except Conflict:
            continue
    world.now += world.asleep
    answers: dict[Question[Any], Any] = {}
    while True:
        question, _ = asked(world, answers)
        if question is None:
            break
        world.asking = question
        assert asked(world, answers) == (question, None)
        answers[question] = world.answer(question)
        world.asking = None
