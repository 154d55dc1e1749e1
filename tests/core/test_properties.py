"""What holds whatever happens: two shares of 100, a way on from everywhere, and traffic where pods are."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core.inventions import events, happen, mend, specs, traits, worlds
from core.possible import check_end
from core.world import Conflict, World
from gradatim.api.decode import decode_canary
from gradatim.api.status import Phase
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.planner import decide
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Ready, Stuck, Waiting
from gradatim.core.settings import Settings
from gradatim.core.verdict import Incomplete, Known, Part, Plan, Serving, Shape, Shift, TargetSeen, Trouble
from gradatim.core.weights import Routes


def steady(examples: int) -> settings:
    """The same examples in every run, as many as take seconds."""
    return settings(derandomize=True, deadline=None, database=None, max_examples=examples)


REST = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)

texts = st.text(max_size=8)
numbers = st.integers(-200, 300)
hashes = st.sampled_from(("", "g1-0123456789abcdef", "g1-fedcba9876543210", "5d8c9b7f6"))
checksums = st.none() | st.dictionaries(st.sampled_from(("configmap/a", "secret/b")), st.sampled_from(("1", "2")))
readiness = st.one_of(
    st.just(Ready()),
    st.builds(Waiting, texts, st.none() | st.floats(0, 2e9)),
    st.builds(Stuck, texts),
    st.builds(Absent, texts),
)
troubles = st.builds(Trouble, texts)
problems = st.lists(st.builds(Problem, texts, texts, st.booleans()), max_size=2).map(tuple)
answers: dict[str, st.SearchStrategy[Any]] = {
    "Target": st.builds(TargetSeen, hashes, checksums, st.booleans()) | troubles | st.builds(Incomplete, texts),
    "Formed": st.builds(
        Shape,
        st.frozensets(st.sampled_from(Part), max_size=1),
        st.frozensets(st.sampled_from(Part), max_size=1),
        st.lists(st.just("apex:Service x"), max_size=1).map(tuple),
        st.dictionaries(st.sampled_from(Part), texts, max_size=1),
    ),
    "PrimaryReady": readiness,
    "CanaryReady": readiness,
    "WhoServes": st.builds(Serving, st.booleans(), st.booleans()),
    "LiveRoutes": troubles | st.builds(Routes, numbers, numbers, st.booleans()),
    "Settled": st.just(Ready()) | st.builds(Waiting, texts),
    "Repointed": st.just(Ready()) | st.builds(Waiting, texts),
    "Quiet": st.just(Ready()) | st.builds(Waiting, texts),
    "References": problems,
    "SourcesOnline": st.just(Ready()) | troubles,
    "HookSays": st.just(HookPassed()) | st.builds(HookFailed, texts),
    "Measure": st.builds(Value, st.floats()) | st.just(NoValues()) | st.builds(QueryFailed, texts),
}
statuses = st.fixed_dictionaries(
    {"phase": st.sampled_from([phase.value for phase in Phase])},
    optional={
        "failedChecks": numbers,
        "canaryWeight": numbers,
        "iterations": numbers,
        "trackedConfigs": checksums,
        "promotedConfigs": checksums,
        "lastAppliedSpec": hashes,
        "lastPromotedSpec": hashes,
        "lastTransitionTime": texts | st.just("2026-01-01T00:00:00Z"),
        "sessionAffinityCookie": texts,
        "waitingFor": texts,
        "observedGeneration": st.integers(0, 3),
        "conditions": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(("Promoted", "Ready", "SpecWarning")),
                    "status": texts,
                    "reason": texts | st.sampled_from(("RollingBack", "InvalidSpec", "NotPossible")),
                }
            ),
            max_size=3,
        ),
        "checks": st.lists(st.fixed_dictionaries({"name": texts, "verdict": texts}), max_size=2),
    },
)


@steady(150)
@given(st.data())
def test_for_anything_known_something_is_said(data: st.DataObject) -> None:
    """Whatever the status says and the answers are, there is a plan, and nothing is asked twice on the way to it."""
    metadata = {"name": "podinfo", "namespace": "test", "generation": data.draw(st.integers(0, 3))}
    if data.draw(st.booleans()):
        metadata["finalizers"] = ["finalizer.flagger.app"]
    if data.draw(st.sampled_from((False, False, True))):
        metadata["deletionTimestamp"] = "now"
    spec = {**data.draw(specs()), "suspend": data.draw(st.sampled_from((False, False, False, True)))}
    canary = decode_canary({"metadata": metadata, "spec": spec, "status": data.draw(statuses)})
    known = Known(
        canary=canary,
        settings=Settings(drain=data.draw(st.sampled_from((0.0, 30.0)))),
        traits=data.draw(traits),
        now=data.draw(st.floats(0, 4e9)),
        token=data.draw(texts),
        due=data.draw(st.booleans()),
        first=data.draw(st.booleans()),
        asleep=data.draw(st.floats(0, 60)),
        problems=data.draw(problems),
    )
    plan = planned(known, data)
    for action in plan.actions:
        if isinstance(action, Shift):
            assert action.to.primary + action.to.canary == 100
            assert 0 <= action.to.canary <= 100
    assert plan.requeue is None or plan.requeue >= 0


def planned(known: Known, data: st.DataObject) -> Plan:
    """Ask for answers until there is a plan."""
    for _ in range(60):
        said = decide(known)
        if isinstance(said, Plan):
            return said
        (question,) = said.questions
        assert question not in known.answers, f"{question!r} is asked twice"
        answer = data.draw(answers[type(question).__name__], label=repr(question))
        known = msgspec.structs.replace(known, answers={**known.answers, question: answer})
    raise AssertionError("no plan within 60 questions")


def step(world: World, moved: str) -> None:
    """One reconcile; a conflict is followed by another one, as in the engine."""
    try:
        getattr(world, moved)()
    except Conflict:
        world.reconcile()


moves = st.sampled_from(("tick", "look", "tick"))


@steady(250)
@given(worlds(), st.lists(st.tuples(st.lists(events, max_size=3), moves), max_size=12))
def test_whatever_happens_no_plan_is_dangerous_and_there_is_a_way_on(
    world: World, story: list[tuple[list[tuple[str, Any]], str]]
) -> None:
    """Every plan is checked while things go wrong; once they go right, the release comes to a good end."""
    for happened, moved in story:
        for event in happened:
            happen(world, event)
        step(world, moved)
    mend(world)
    for _ in range(40):
        before = len(world.writes)
        step(world, "tick")
        mend(world)
        if world.status.phase in REST and not world.writes[before:]:
            break
    else:
        raise AssertionError(f"does not come to rest: {world.summary()}")
    check_end(world, world.live)
    if world.traits.shifts_traffic:
        assert world.live == Routes(100, 0), world.summary()


@steady(150)
@given(worlds(), st.lists(st.tuples(st.lists(events, max_size=2), moves), max_size=10))
def test_looking_twice_is_looking_once(world: World, story: list[tuple[list[tuple[str, Any]], str]]) -> None:
    """After a reconcile a second one at the same moment writes nothing and asks for nothing more."""
    for happened, moved in story:
        for event in happened:
            happen(world, event)
        step(world, moved)
        before = len(world.writes)
        step(world, "reconcile")
        assert world.writes[before:] == [], f"{world.summary()} after {world.plans[-1]}"


@steady(150)
@given(worlds(), st.lists(events, max_size=6), st.integers(2, 8))
def test_weights_never_climb_faster_than_the_interval(
    world: World, happened: list[tuple[str, Any]], looks: int
) -> None:
    """However often something changes between two ticks, a run takes one step in an interval."""
    for event in happened:
        happen(world, event)
        step(world, "tick")
    mend(world)
    step(world, "tick")
    before = (world.status.phase, world.status.canary_weight, world.status.iterations)
    history = len(world.status.history)
    for _ in range(looks):
        step(world, "look")
        mend(world)
    after = (world.status.phase, world.status.canary_weight, world.status.iterations)
    assert after == before or len(world.status.history) > history
