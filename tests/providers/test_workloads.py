"""Workloads against their vector files, and what must hold for every kind in every case."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import pytest
import vector_objects as vectors
from vector_objects import Leaves, Wanted, WantedPatch

from gradatim.api.canary import Canary
from gradatim.core.readiness import Ready
from gradatim.core.settings import Settings
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.scene import Scene
from gradatim.ports.workload import Workload, WorkloadKind
from gradatim.providers.workloads import daemonset, deployment, knative, service

KINDS: dict[str, WorkloadKind] = {
    module.__name__.rpartition(".")[2]: module.KINDS[0] for module in (deployment, daemonset, service, knative)
}
NOON = "2026-11-23T12:00:00Z"


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question about readiness and its answer; `until` is a time."""

    of: str
    is_: str = msgspec.field(name="is")
    says: str = ""
    at: str = NOON
    until: str = ""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a vector file. What is left out is not looked at."""

    name: str
    canary: Leaves = {}
    settings: Leaves = {}
    seen: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    but: dict[str, Leaves] = {}
    reads: tuple[str, ...] | None = None
    check: tuple[str, ...] | None = None
    facts: Leaves = {}
    same_revision: tuple[dict[str, Leaves], ...] = ()
    new_revision: tuple[dict[str, Leaves], ...] = ()
    create: dict[str, Wanted] | None = None
    promote: dict[str, Wanted] | None = None
    ready: tuple[Judged, ...] = ()
    abrupt: bool | None = None
    least: int | None = None
    start: WantedPatch | msgspec.UnsetType | None = msgspec.UNSET
    stop: WantedPatch | msgspec.UnsetType | None = msgspec.UNSET
    revert: WantedPatch | msgspec.UnsetType | None = msgspec.UNSET
    fails: dict[str, str] = {}


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vector file; `seen` is what is there unless a case says otherwise."""

    about: str
    api_version: str
    seen: tuple[str, ...]
    objects: dict[str, Manifest]
    cases: tuple[Case, ...]


class Stage:
    """A case with everything set up: the provider, the scene, and what it has seen."""

    def __init__(self, kind: WorkloadKind, file: File, case: Case, but: dict[str, Leaves] | None = None) -> None:
        self.workload: Workload = kind.workload
        self.case = case
        self.objects = file.objects
        self.canary: Canary = vectors.canary_with(kind.kind, file.api_version, case.canary)
        self.settings = msgspec.convert(case.settings, Settings)
        names = [name for name in case.seen or file.seen if name not in case.gone]
        self.there = vectors.store(file.objects, names, _merged(case.but, but or {}))
        self.look()

    def look(self) -> None:
        self.seen = vectors.look(self.there, lambda seen: self.workload.reads(self.canary, self.settings, seen))

    @property
    def scene(self) -> Scene:
        facts = self.workload.facts(self.canary, self.settings, self.seen)
        return Scene(self.canary, self.settings, facts.label, facts.value, facts.ports)

    def written(self, manifests: Iterable[Manifest]) -> None:
        """Carry writes out and look again."""
        for manifest in manifests:
            self.there[vectors.ref(manifest)] = copy.deepcopy(manifest)
        self.look()


def _merged(one: dict[str, Leaves], other: dict[str, Leaves]) -> dict[str, Leaves]:
    return {name: one.get(name, {}) | other.get(name, {}) for name in one.keys() | other.keys()}


FILES = {
    path.stem: msgspec.convert(vectors.read(path), File) for path in sorted((vectors.VECTORS / "workloads").glob("*"))
}
ROWS = [(stem, case) for stem, file in FILES.items() for case in file.cases]


def staged(stem: str, case: Case, but: dict[str, Leaves] | None = None) -> Stage:
    return Stage(KINDS[stem], FILES[stem], case, but)


def test_every_kind_has_its_vectors() -> None:
    assert FILES.keys() == KINDS.keys()


@pytest.mark.parametrize(("stem", "case"), ROWS, ids=[f"{stem}: {case.name}" for stem, case in ROWS])
def test_case(stem: str, case: Case) -> None:
    stage = staged(stem, case)
    before = copy.deepcopy(stage.seen)
    _check_looks(stage, case)
    _check_revisions(stem, case)
    if case.create is not None:
        vectors.check_writes(stage.workload.create(stage.scene, stage.seen, vectors.TOKEN), case.create, stage.objects)
    if case.abrupt is not None:
        assert stage.workload.abrupt(stage.scene.canary, stage.seen) is case.abrupt
    if case.promote is not None:
        written = stage.workload.promote(stage.scene, stage.seen, vectors.TOKEN)
        vectors.check_writes(written, case.promote, stage.objects)
    _check_patches(stage, case)
    _check_readiness(stage, case)
    _check_failures(stage, case)
    assert stage.seen == before, "what was seen was changed"


def _check_looks(stage: Stage, case: Case) -> None:
    if case.reads is not None:
        assert sorted(vectors.name(ref) for ref in stage.seen) == sorted(case.reads)
    if case.check is not None:
        assert tuple(map(str, stage.workload.check(stage.canary, stage.settings))) == case.check
    if case.facts:
        facts = msgspec.json.decode(msgspec.json.encode(stage.workload.facts(stage.canary, stage.settings, stage.seen)))
        assert {key: facts[key] for key in case.facts} == case.facts


def _check_revisions(stem: str, case: Case) -> None:
    def revision(but: dict[str, Leaves]) -> str:
        stage = staged(stem, case, but)
        return stage.workload.facts(stage.canary, stage.settings, stage.seen).revision

    for but in case.same_revision:
        assert revision(but) == revision({}), but
    for but in case.new_revision:
        assert revision(but) != revision({}), but


def _check_patches(stage: Stage, case: Case) -> None:
    workload = stage.workload
    if not isinstance(case.start, msgspec.UnsetType):
        vectors.check_patch(workload.start(stage.scene, stage.seen, case.least), case.start)
    if not isinstance(case.stop, msgspec.UnsetType):
        vectors.check_patch(workload.stop(stage.scene, stage.seen), case.stop)
    if not isinstance(case.revert, msgspec.UnsetType):
        scene = Scene(stage.canary, stage.settings)  # a target that is gone says nothing about its label
        vectors.check_patch(workload.revert(scene, stage.seen, case.least), case.revert)


def _check_readiness(stage: Stage, case: Case) -> None:
    scene = Scene(stage.canary, stage.settings)
    since = _unix(stage.canary.status.last_transition_time or NOON)
    for judged in case.ready:
        primary, now = judged.of == "primary", _unix(judged.at)
        found = stage.workload.ready(scene, stage.seen, primary=primary, now=now, since=since)
        assert type(found).__name__ == judged.is_, found
        if not isinstance(found, Ready):
            assert found.message == judged.says
        until = getattr(found, "until", None)
        assert until == (_unix(judged.until) if judged.until else None)


def _check_failures(stage: Stage, case: Case) -> None:
    calls: dict[str, Any] = {
        "facts": lambda: stage.workload.facts(stage.canary, stage.settings, stage.seen),
        "create": lambda: list(stage.workload.create(stage.scene, stage.seen, vectors.TOKEN)),
        "promote": lambda: list(stage.workload.promote(stage.scene, stage.seen, vectors.TOKEN)),
        "primary ready": lambda: stage.workload.ready(stage.scene, stage.seen, primary=True, now=0.0, since=0.0),
        "start": lambda: stage.workload.start(Scene(stage.canary, stage.settings), stage.seen, None),
    }
    for call, message in case.fails.items():
        with pytest.raises(ProviderError) as error:
            calls[call]()
        assert error.value.message == message


WRITING = [(stem, case) for stem, case in ROWS if case.create is not None or case.promote is not None]


@pytest.mark.parametrize(("stem", "case"), WRITING, ids=[f"{stem}: {case.name}" for stem, case in WRITING])
def test_writing_twice_changes_nothing(stem: str, case: Case) -> None:
    """What was created or promoted is left alone by the next call with the same token."""
    stage = staged(stem, case)
    for wanted, method in ((case.create, stage.workload.create), (case.promote, stage.workload.promote)):
        if wanted is not None:
            stage.written(method(stage.scene, stage.seen, vectors.TOKEN))
            for manifest in method(stage.scene, stage.seen, vectors.TOKEN):
                assert stage.seen[vectors.ref(manifest)] == manifest


@pytest.mark.parametrize(("stem", "case"), WRITING, ids=[f"{stem}: {case.name}" for stem, case in WRITING])
def test_new_objects_go_with_the_canary(stem: str, case: Case) -> None:
    """Everything that was not there before carries the owner reference."""
    stage = staged(stem, case)
    for wanted, method in ((case.create, stage.workload.create), (case.promote, stage.workload.promote)):
        for manifest in method(stage.scene, stage.seen, vectors.TOKEN) if wanted is not None else ():
            if _is_new(stage, vectors.ref(manifest)):
                owner = manifest["metadata"]["ownerReferences"][0]
                assert (owner["kind"], owner["name"], owner["controller"]) == ("Canary", "shop", True)


def _is_new(stage: Stage, ref: Ref) -> bool:
    return stage.seen[ref] is None


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
