"""What a Canary says is found out once for each generation, and never taken from another Canary of the same name."""

from __future__ import annotations

from typing import Any

from gradatim.core.settings import Settings
from gradatim.engine.reader import Reader
from gradatim.ports.objects import CANARY, Manifest, Ref

KEY = Ref(CANARY, "test", "shop")


def manifest(generation: int = 1, uid: str = "a", weight: int = 0, **spec: Any) -> Manifest:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    return {
        "metadata": {"name": "shop", "namespace": "test", "uid": uid, "generation": generation},
        "spec": {
            "provider": "nginx",
            "targetRef": target,
            "service": {"port": 80},
            "analysis": {"stepWeight": 10},
            **spec,
        },
        "status": {"phase": "Progressing", "canaryWeight": weight},
    }


def reader() -> Reader:
    return Reader(Settings())


def test_the_spec_is_taken_over_while_the_generation_is_the_same_and_the_status_is_not() -> None:
    one = reader()
    first, second = one.read(KEY, manifest()), one.read(KEY, manifest(weight=20))
    assert second.canary.spec is first.canary.spec
    assert second.problems is first.problems
    assert (first.canary.status.canary_weight, second.canary.status.canary_weight) == (0, 20)
    assert one.last(KEY) == second.canary


def test_what_is_no_part_of_the_spec_is_read_every_time() -> None:
    one, edited = reader(), manifest()
    one.read(KEY, manifest())
    edited["metadata"] |= {"finalizers": ["finalizer.flagger.app"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    found = one.read(KEY, edited).canary
    assert (found.finalizers, found.deleted) == (("finalizer.flagger.app",), True)


def test_an_edit_is_read_with_its_problems() -> None:
    one = reader()
    assert [problem.path for problem in one.read(KEY, manifest()).problems if problem.blocks] == ["spec.ingressRef"]
    mended = one.read(KEY, manifest(2, ingressRef={"apiVersion": "networking.k8s.io/v1", "name": "shop"}))
    assert not any(problem.blocks for problem in mended.problems)


def test_another_canary_of_the_same_name_is_read_afresh() -> None:
    one = reader()
    one.read(KEY, manifest())
    assert one.read(KEY, manifest(uid="b", skipAnalysis=True)).canary.spec.skip_analysis


def test_objects_without_a_generation_are_read_every_time() -> None:
    one = reader()
    one.read(KEY, manifest(0))
    assert one.read(KEY, manifest(0, skipAnalysis=True)).canary.spec.skip_analysis


def test_a_spec_that_cannot_be_read_or_served_is_not_remembered() -> None:
    one = reader()
    assert one.read(KEY, manifest(service="none")).providers is None
    assert one.read(KEY, manifest()).canary.target == "shop"
    assert one.read(KEY, manifest(2, provider="pigeons")).providers is None
    assert one.read(KEY, manifest(2)).providers is not None


def test_a_canary_that_is_gone_is_forgotten() -> None:
    one = reader()
    one.read(KEY, manifest())
    one.forget(KEY)
    assert one.last(KEY) is None
