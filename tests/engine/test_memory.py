"""What is remembered between looks: when the next tick is due, and what has been told."""

from __future__ import annotations

import pytest

from gradatim.api.status import CanaryStatus, Phase
from gradatim.core.news import Alert, Event
from gradatim.core.readiness import Absent, Ready, Waiting
from gradatim.core.verdict import CanaryReady, LiveRoutes, Plan, PrimaryReady, Settled
from gradatim.core.weights import ALL_PRIMARY
from gradatim.engine.memory import Memory

RUNNING = CanaryStatus(phase=Phase.PROGRESSING, last_transition_time="2026-01-01T00:00:00Z")
NOW = 1767225600.0  # the time above


def test_after_a_restart_the_interval_goes_on_from_the_last_write() -> None:
    memory = Memory(RUNNING, NOW + 4, ticks=1000)
    assert memory.asleep("10s", 10, 1000) == pytest.approx(7), "timestamps have whole seconds, so one is given"
    assert memory.asleep("10s", 10, 1008) == 0


def test_a_clock_that_went_back_makes_nobody_wait_longer_than_an_interval() -> None:
    memory = Memory(RUNNING, NOW - 3600, ticks=1000)
    assert memory.asleep("10s", 10, 1000) == pytest.approx(10)


def test_a_used_tick_starts_the_interval_anew() -> None:
    memory = Memory(RUNNING, NOW + 100, ticks=1000)
    assert memory.first
    memory.record(RUNNING, Plan(ticked=True), 1000)
    assert not memory.first
    assert memory.asleep("10s", 10, 1003) == pytest.approx(7)


def test_a_tick_that_is_a_little_late_does_not_delay_the_next() -> None:
    """So those who were held up together once do not come together ever after."""
    memory = Memory(RUNNING, NOW + 100, ticks=1000)
    memory.record(RUNNING, Plan(ticked=True), 1000)
    assert memory.asleep("10s", 10, 1010.7) == 0
    memory.record(RUNNING, Plan(ticked=True), 1010.7)
    assert memory.asleep("10s", 10, 1012) == pytest.approx(8)
    memory.record(RUNNING, Plan(ticked=True), 1021.5)
    assert memory.asleep("10s", 10, 1022) == pytest.approx(9.5), "the traffic gets its interval before it is judged"


def test_a_tick_used_for_asking_starts_the_interval_anew_and_leaves_the_first_step_to_come() -> None:
    memory = Memory(RUNNING, NOW + 100, ticks=1000)
    memory.record(RUNNING, Plan(asked=True), 1000)
    assert memory.first
    assert memory.asleep("10s", 10, 1003) == pytest.approx(7)


def test_an_event_is_told_once_in_a_phase_and_again_in_the_next() -> None:
    memory = Memory(RUNNING, NOW, ticks=0)
    news = (Event(text="a", once="x"), Event(text="b"), Alert(text="c", severity="warn", once="x"))
    assert memory.untold(news, 0) == list(news)
    assert memory.untold(news, 1) == [news[1]]
    memory.record(RUNNING, Plan(status=CanaryStatus(phase=Phase.PROMOTING)), 2)
    assert memory.untold(news[2:], 2) == [], "told in the phase that ends, it is not told again by the turn itself"
    assert memory.untold(news, 3) == [news[0], news[1]], "and what the turn has told counts as told in the new phase"


def test_a_lasting_obstacle_is_told_at_its_pace() -> None:
    memory = Memory(RUNNING, NOW, ticks=0)
    obstacle = (Event(text="a", once="x", every=10),)
    assert [bool(memory.untold(obstacle, at)) for at in (0, 5, 10, 15, 21)] == [True, False, True, False, True]


def test_a_restarted_run_may_tell_and_try_everything_again() -> None:
    memory = Memory(RUNNING, NOW, ticks=0)
    memory.untold((Event(text="a", once="starting"),), 0)
    memory.record(RUNNING, Plan(ticked=True), 0)
    memory.record(RUNNING, Plan(status=RUNNING, begins=True, ticked=True), 5)
    memory.untold((), 5)
    assert memory.first
    assert memory.untold((Event(text="a", once="starting"),), 6)


def test_what_is_waited_for_is_remembered_from_its_first_no_to_its_next_yes() -> None:
    memory = Memory(RUNNING, NOW, ticks=1000)
    memory.heard({CanaryReady(): Waiting("0 of 1"), Settled(): Ready(), LiveRoutes(): ALL_PRIMARY}, NOW + 10)
    memory.heard({CanaryReady(): Absent("gone"), PrimaryReady(): Waiting("0 of 1")}, NOW + 20)
    memory.heard({Settled(): Ready()}, NOW + 30)
    assert memory.waits == {CanaryReady(): NOW + 10, PrimaryReady(): NOW + 20}
    memory.heard({CanaryReady(): Ready()}, NOW + 40)
    memory.heard({CanaryReady(): Waiting("0 of 1")}, NOW + 50)
    assert memory.waits[CanaryReady()] == NOW + 50
