"""The older of two Canaries keeps what both claim; the younger is told until one of them is gone."""

from __future__ import annotations

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef, Service
from gradatim.engine.census import Census
from gradatim.ports.objects import CANARY, Ref


def canary(name: str, target: str, apex: str = "", kind: str = "Deployment") -> Canary:
    spec = CanarySpec(ObjectRef(target, kind=kind), Analysis(), Service(port=80, name=apex))
    return Canary(name, "test", spec)


def key(name: str) -> Ref:
    return Ref(CANARY, "test", name)


def test_the_younger_of_two_with_one_target_is_refused() -> None:
    census = Census()
    assert census.note(key("old"), canary("old", "shop"), "2026-01-01") == frozenset()
    assert census.note(key("new"), canary("new", "shop"), "2026-01-02") == {key("old")}
    assert census.problems(key("old")) == []
    (problem,) = census.problems(key("new"))
    assert str(problem) == (
        "spec.targetRef.name: Deployment shop is released by Canary old already; delete one of the two Canaries"
    )


def test_when_the_older_is_deleted_the_younger_is_free_and_looks_again() -> None:
    census = Census()
    census.note(key("old"), canary("old", "shop"), "2026-01-01")
    census.note(key("new"), canary("new", "shop"), "2026-01-02")
    assert census.forget(key("old")) == {key("new")}
    assert census.problems(key("new")) == []
    assert census.count() == {"test": 1}
    census.forget(key("new"))
    assert census.count() == {"test": 0}


def test_kinds_are_told_apart_but_services_are_not() -> None:
    census = Census()
    census.note(key("a"), canary("a", "shop"), "2026-01-01")
    census.note(key("b"), canary("b", "shop", kind="DaemonSet"), "2026-01-02")
    (problem,) = census.problems(key("b"))
    assert problem.path == "spec.service.name"
    census.note(key("b"), canary("b", "shop", apex="other", kind="DaemonSet"), "2026-01-02")
    assert census.problems(key("b")) == []


def test_a_target_that_is_anothers_primary_is_refused_whoever_is_older() -> None:
    census = Census()
    census.note(key("a"), canary("a", "shop-primary"), "2026-01-01")
    census.note(key("b"), canary("b", "shop"), "2026-01-02")
    (problem,) = census.problems(key("a"))
    assert "shop-primary is the primary that Canary b manages; name the target shop itself" in str(problem)
