"""Scalers against their vector files, and what must hold for every kind in every case."""

from __future__ import annotations

import copy

import msgspec
import pytest
import vector_objects as vectors
from hypothesis import given
from hypothesis import strategies as st
from vector_objects import Leaves, Wanted, WantedPatch

from gradatim.api.errors import Bug
from gradatim.core.settings import Settings
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Manifest
from gradatim.ports.scaler import ScalerKind
from gradatim.ports.scene import Scene
from gradatim.providers.scaler_queries import for_primary
from gradatim.providers.scalers import hpa, keda

KINDS: dict[str, ScalerKind] = {module.__name__.rpartition(".")[2]: module.KINDS[0] for module in (hpa, keda)}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a vector file. `create` is what every tick wants, `update` what a promotion wants."""

    name: str
    canary: Leaves = {}
    seen: tuple[str, ...] | None = None
    gone: tuple[str, ...] = ()
    but: dict[str, Leaves] = {}
    reads: tuple[str, ...] | None = None
    create: dict[str, Wanted] | None = None
    update: dict[str, Wanted] | None = None
    pause: WantedPatch | msgspec.UnsetType | None = msgspec.UNSET
    resume: WantedPatch | msgspec.UnsetType | None = msgspec.UNSET
    least: int | None = None
    fails: dict[str, str] = {}


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query of the target's scaler and the primary's."""

    target: str
    query: str
    primary: str
    namespace: str = "test"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vector file; all objects are there unless a case says otherwise."""

    about: str
    objects: dict[str, Manifest]
    canary: Leaves
    cases: tuple[Case, ...]
    queries: tuple[Query, ...] = ()


FILES = {
    path.stem: msgspec.convert(vectors.read(path), File) for path in sorted((vectors.VECTORS / "scalers").glob("*"))
}
ROWS = [(stem, case) for stem, file in FILES.items() for case in file.cases]
IDS = [f"{stem}: {case.name}" for stem, case in ROWS]


class Stage:
    """A case with everything set up: the provider, the scene, and what it has seen."""

    def __init__(self, stem: str, case: Case) -> None:
        file = FILES[stem]
        self.scaler = KINDS[stem].scaler
        self.objects = file.objects
        self.scene = Scene(vectors.canary_with("Deployment", "apps/v1", file.canary | case.canary), Settings())
        there = file.objects if case.seen is None else case.seen
        self.there = vectors.store(file.objects, [name for name in there if name not in case.gone], case.but)
        self.look()

    def look(self) -> None:
        self.seen = vectors.look(self.there, lambda _: self.scaler.reads(self.scene.canary))


def test_every_kind_has_its_vectors() -> None:
    assert FILES.keys() == KINDS.keys()


@pytest.mark.parametrize(("stem", "case"), ROWS, ids=IDS)
def test_case(stem: str, case: Case) -> None:
    stage = Stage(stem, case)
    scaler, scene, seen = stage.scaler, stage.scene, stage.seen
    before = copy.deepcopy(seen)
    if case.reads is not None:
        assert [vectors.name(ref) for ref in scaler.reads(scene.canary)] == list(case.reads)
    for wanted, update in ((case.create, False), (case.update, True)):
        if wanted is not None:
            vectors.check_writes(scaler.ensure(scene, seen, update=update), wanted, stage.objects)
    if not isinstance(case.pause, msgspec.UnsetType):
        vectors.check_patch(scaler.pause(scene, seen), case.pause)
    if not isinstance(case.resume, msgspec.UnsetType):
        vectors.check_patch(scaler.resume(scene, seen), case.resume)
    if case.least is not None:
        assert scaler.least(scene, seen) == case.least
    _check_failures(stage, case)
    assert seen == before, "what was seen was changed"


def _check_failures(stage: Stage, case: Case) -> None:
    calls = {
        "create": lambda: list(stage.scaler.ensure(stage.scene, stage.seen, update=False)),
        "pause": lambda: stage.scaler.pause(stage.scene, stage.seen),
    }
    for call, message in case.fails.items():
        with pytest.raises(ProviderError) as error:
            calls[call]()
        assert error.value.message == message


@pytest.mark.parametrize(("stem", "case"), ROWS, ids=IDS)
def test_writing_twice_changes_nothing(stem: str, case: Case) -> None:
    """What was created or brought up to date is right: the next promotion writes nothing."""
    stage = Stage(stem, case)
    for wanted, update in ((case.create, False), (case.update, True)):
        if wanted is not None:
            for manifest in stage.scaler.ensure(stage.scene, stage.seen, update=update):
                stage.there[vectors.ref(manifest)] = manifest
                stage.look()
                assert list(stage.scaler.ensure(stage.scene, stage.seen, update=True)) == []


@pytest.mark.parametrize(
    "query", [query for file in FILES.values() for query in file.queries], ids=lambda query: query.query
)
def test_a_query_names_the_primary_where_it_names_the_target(query: Query) -> None:
    assert for_primary(query.query, query.target, query.namespace) == query.primary


@given(text=st.text(alphabet='shop-canryimX_.:*"=~|{} 1'))
def test_a_query_for_the_primary_stays_as_it_is(text: str) -> None:
    """Asking for the primary's query of a primary's query changes nothing, so promotions settle."""
    once = for_primary(text, "shop", "an")
    assert for_primary(once, "shop", "an") == once


def test_a_scaler_is_not_asked_where_there_is_none() -> None:
    canary = vectors.canary_with("Deployment", "apps/v1", {})
    for kind in KINDS.values():
        with pytest.raises(Bug):
            list(kind.scaler.reads(canary))
