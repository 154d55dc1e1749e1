"""What every registered mesh must keep, whatever its objects look like."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_vectors import file_of, look
from worlds import World, canary, ref_of, scene, scribble

from gradatim.core.weights import ALL_PRIMARY, MIRRORED, Routes, split
from gradatim.ports.mesh import Mesh
from gradatim.ports.objects import Manifest
from gradatim.ports.scene import Scene
from gradatim.providers import registry

weights = st.integers(0, 100)
every_mesh = pytest.mark.parametrize("mesh", [pytest.param(mesh, id=mesh.name) for mesh in registry.meshes()])
briefly = settings(max_examples=30, deadline=None)


def _start(mesh: Mesh) -> tuple[World, Scene]:
    """The world of a Canary that has just been initialized on a mesh."""
    file = file_of(mesh.name)
    now = scene(canary(file.canary))
    world = World(file.given)
    _write(world, mesh.router.ensure(now, look(mesh, world, now)))
    return world, now


def _write(world: World, wanted: Iterable[Manifest]) -> None:
    for manifest in world.changed(wanted):
        world.write(manifest)


def _shift(mesh: Mesh, world: World, now: Scene, to: Routes) -> None:
    _write(world, mesh.router.shift(now, look(mesh, world, now), to))


def _live(mesh: Mesh, world: World, now: Scene) -> Routes:
    return mesh.router.routes(now, look(mesh, world, now))


@every_mesh
def test_a_new_canary_starts_with_everything_on_the_primary(mesh: Mesh) -> None:
    """The first objects split 100/0 and go with the Canary."""
    world, now = _start(mesh)
    assert _live(mesh, world, now) == ALL_PRIMARY
    theirs = World(file_of(mesh.name).given).objects
    for ref, found in world.objects.items():
        if ref not in theirs:
            (owner,) = found["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["uid"], owner["controller"]) == ("Canary", "uid-of-cart", True)


@every_mesh
def test_what_is_written_is_read_back(mesh: Mesh) -> None:
    """For every weight; and the server's defaults, the repair and a second write change nothing."""
    world, now = _start(mesh)
    for weight in range(101):
        _shift(mesh, world, now, split(weight))
        assert _live(mesh, world, now) == (split(weight) if mesh.shifts_traffic else ALL_PRIMARY)
        assert world.changed(mesh.router.ensure(now, look(mesh, world, now))) == []
        assert world.changed(mesh.router.shift(now, look(mesh, world, now), split(weight))) == []


@every_mesh
@briefly
@given(steps=st.lists(weights, max_size=6), last=weights)
def test_only_the_last_split_counts(mesh: Mesh, steps: list[int], last: int) -> None:
    """However a weight was reached, the objects are the same."""
    (straight, now), (winding, _) = _start(mesh), _start(mesh)
    for weight in (*steps, last):
        _shift(mesh, winding, now, split(weight))
    _shift(mesh, straight, now, split(last))
    assert winding.objects == straight.objects


@every_mesh
@briefly
@given(before=weights, after=weights)
def test_foreign_labels_and_annotations_stay(mesh: Mesh, before: int, after: int) -> None:
    """Others may write on our objects: no repair starts over from 100/0 for it, and no shift loses it."""
    world, now = _start(mesh)
    _shift(mesh, world, now, split(before))
    ours = [ref_of(manifest) for manifest in mesh.router.ensure(now, look(mesh, world, now))]
    for ref in ours:
        world.objects[ref]["metadata"].setdefault("labels", {})["example.com/team"] = "a"
        world.objects[ref]["metadata"].setdefault("annotations", {})["example.com/owner"] = "b"
    assert world.changed(mesh.router.ensure(now, look(mesh, world, now))) == []
    _shift(mesh, world, now, split(after))
    for ref in ours:
        assert world.objects[ref]["metadata"]["labels"]["example.com/team"] == "a"
        assert world.objects[ref]["metadata"]["annotations"]["example.com/owner"] == "b"


@every_mesh
def test_a_mesh_that_mirrors_can_tell(mesh: Mesh) -> None:
    """Mirroring is read back, survives a repair and ends; other meshes ignore the wish."""
    world, now = _start(mesh)
    _shift(mesh, world, now, MIRRORED)
    assert _live(mesh, world, now) == (MIRRORED if mesh.mirrors else ALL_PRIMARY)
    assert world.changed(mesh.router.ensure(now, look(mesh, world, now))) == []
    _shift(mesh, world, now, ALL_PRIMARY)
    assert _live(mesh, world, now) == ALL_PRIMARY


@every_mesh
def test_what_was_seen_stays_as_it_was_seen(mesh: Mesh) -> None:
    """Routers are pure: the engine keeps what it read."""
    world, now = _start(mesh)
    seen = look(mesh, world, now)
    before = copy.deepcopy(dict(seen))
    for wanted in (
        mesh.router.ensure(now, seen),
        mesh.router.shift(now, seen, split(30)),
        mesh.router.restore(now, seen),
    ):
        scribble(list(wanted))
    assert dict(seen) == before
    again, _ = _start(mesh)
    assert again.objects == world.objects


@every_mesh
def test_our_own_objects_are_not_given_back(mesh: Mesh) -> None:
    """What we made goes with the Canary; nothing is left to restore."""
    world, now = _start(mesh)
    _shift(mesh, world, now, split(30))
    assert world.changed(mesh.router.restore(now, look(mesh, world, now))) == []


@every_mesh
@briefly
@given(weight=weights)
def test_what_was_there_before_us_is_given_back(mesh: Mesh, weight: int) -> None:
    """An object of somebody else's that has our name is as it was, to the last field."""
    made, now = _start(mesh)
    written = {ref_of(manifest) for manifest in mesh.router.ensure(now, look(mesh, made, now))}
    theirs = [_theirs(manifest) if ref in written else manifest for ref, manifest in made.objects.items()]
    world = World(theirs)
    _write(world, mesh.router.ensure(now, look(mesh, world, now)))
    _shift(mesh, world, now, split(weight))
    assert _live(mesh, world, now) == (split(weight) if mesh.shifts_traffic else ALL_PRIMARY)
    _write(world, mesh.router.restore(now, look(mesh, world, now)))
    assert world.objects == World(theirs).objects


def _theirs(manifest: Manifest) -> Manifest:
    metadata = {**manifest["metadata"], "labels": {"team": "a"}, "annotations": {"example.com/owner": "b"}}
    del metadata["ownerReferences"]
    return {**manifest, "metadata": metadata}


@every_mesh
def test_writes_are_declared(mesh: Mesh) -> None:
    """RBAC is made from the declared resources, so a router may write nothing else, and read nothing else."""
    world, now = _start(mesh)
    assert {ref.resource for ref in look(mesh, world, now)} <= {*mesh.reads, *mesh.writes}
    for manifest in mesh.router.ensure(now, look(mesh, world, now)):
        assert ref_of(manifest).resource in mesh.writes


@every_mesh
def test_nothing_is_wrong_with_the_fixture(mesh: Mesh) -> None:
    """The Canary that all vectors start from is one the mesh accepts."""
    file = file_of(mesh.name)
    now = scene(canary(file.canary))
    assert list(mesh.router.check(now.canary, now.settings)) == []


@every_mesh
def test_capabilities_are_told_in_known_words(mesh: Mesh) -> None:
    """The core compares these words."""
    assert mesh.matches <= {"headers", "queryParams", "sourceLabels"}
