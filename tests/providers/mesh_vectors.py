"""The vector files of the meshes (`tests/vectors/mesh/*.yaml`) and how one of their cases is played.

A file names its providers, what their Canaries have in common (`canary`, a merge patch on the fixture's spec), and what
users made beforehand (`given`). A case has its own patch, and steps:

    do          `ensure`, `shift` (with `to`), `restore`, `look` (read the routes), or `edit` (nothing of ours)
    edits       merge patches by somebody else, before that
    status      the Canary's status from here on
    canary      another patch on the Canary's spec from here on
    writes      the objects that must be written, whole; or `same`: nothing
    changes     instead: per object that must be written, the merge patch against what was there
    routes      what is read back afterwards
    error       instead of all that: the step must fail with a text that contains this
    settled     `Ready`, or the sentence of the waiting

After each step that writes, `ensure` must have nothing to add, although the server filled in its defaults.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import yaml
from worlds import World, canary, difference, ref_of, scene

from gradatim.core.readiness import Waiting
from gradatim.core.weights import Routes
from gradatim.ports.errors import ProviderError
from gradatim.ports.mesh import Mesh
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import registry

FOLDER = Path(__file__).parents[1] / "vectors" / "mesh"


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One problem that `check` must name."""

    path: str
    blocks: bool = True


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens, and what must follow."""

    do: Literal["ensure", "shift", "restore", "edit", "look"]
    to: Routes | None = None
    status: dict[str, Any] | None = None
    canary: dict[str, Any] = {}
    edits: tuple[dict[str, Any], ...] = ()
    writes: Literal["same"] | list[dict[str, Any]] | None = None
    changes: list[dict[str, Any]] | None = None
    routes: Routes | None = None
    error: str = ""
    settled: str = ""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence about a mesh."""

    name: str
    canary: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    given: tuple[dict[str, Any], ...] | None = None
    status: dict[str, Any] = {}
    steps: tuple[Step, ...] = ()
    problems: tuple[Said, ...] | None = None
    providers: tuple[str, ...] = ()
    """Where only some of the file's providers are meant."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vector file; `shared` is for YAML anchors."""

    providers: tuple[str, ...]
    cases: tuple[Case, ...]
    canary: dict[str, Any] = {}
    given: tuple[dict[str, Any], ...] = ()
    shared: Any = None


@cache
def files() -> dict[str, File]:
    """All vector files by name."""
    return {
        path.stem: msgspec.convert(yaml.safe_load(path.read_text()), File) for path in sorted(FOLDER.glob("*.yaml"))
    }


def file_of(provider: str) -> File:
    """The vector file of a provider."""
    return next(found for found in files().values() if provider in found.providers)


def play(provider: str, file: File, case: Case) -> list[dict[str, Any]]:
    """Play one case for one provider, asserting what it says; every object as it was written."""
    mesh = registry.mesh(provider)
    given = file.given if case.given is None else case.given
    world, changes, status = World(_versioned(mesh, found) for found in given), [file.canary, case.canary], case.status
    if case.problems is not None:
        now = scene(canary(*changes), case.settings)
        told = tuple(Said(found.path, found.blocks) for found in mesh.router.check(now.canary, now.settings))
        assert told == case.problems, told
    written = []
    for step in case.steps:
        status = status if step.status is None else step.status
        changes.append(step.canary)
        now = scene(canary(*changes, status=status), case.settings)
        written += _take(mesh, world, now, step)
    return written


def _take(mesh: Mesh, world: World, now: Scene, step: Step) -> list[dict[str, Any]]:
    for edit in step.edits:
        world.patch(_versioned(mesh, edit))
    if step.error:
        with pytest.raises(ProviderError, match=re.escape(step.error)):
            _act(mesh, world, now, step)
        return []
    changed = world.changed(_act(mesh, world, now, step))
    _expect_writes(mesh, world, changed, step)
    for manifest in changed:
        world.write(manifest)
    if step.do in ("ensure", "shift"):
        again = world.changed(mesh.router.ensure(now, look(mesh, world, now)))
        assert again == [], f"not settled:\n{_text(again)}"
    if step.routes is not None:
        routes = mesh.router.routes(now, look(mesh, world, now))
        assert routes == step.routes, routes
    if step.settled:
        told = mesh.router.settled(now, look(mesh, world, now))
        assert step.settled == (told.message if isinstance(told, Waiting) else "Ready"), told
    return changed


def _act(mesh: Mesh, world: World, now: Scene, step: Step) -> list[dict[str, Any]]:
    seen = look(mesh, world, now)
    match step.do:
        case "ensure":
            return list(mesh.router.ensure(now, seen))
        case "shift":
            assert step.to is not None
            return list(mesh.router.shift(now, seen, step.to))
        case "restore":
            return list(mesh.router.restore(now, seen))
        case "look":
            mesh.router.routes(now, seen)
    return []


def _expect_writes(mesh: Mesh, world: World, changed: list[dict[str, Any]], step: Step) -> None:
    if step.writes is not None:
        wanted = [] if step.writes == "same" else [_versioned(mesh, manifest) for manifest in step.writes]
        assert changed == wanted, f"written:\n{_text(changed)}"
    if step.changes is not None:
        patches = [difference(world.objects[ref_of(manifest)], manifest) for manifest in changed]
        assert patches == step.changes, f"changed:\n{_text(patches)}"


def _text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=None, width=160)


def look(mesh: Mesh, world: World, now: Scene) -> Seen:
    """What the router sees."""
    return world.seen(lambda seen: mesh.router.reads(now, seen))


def _versioned(mesh: Mesh, manifest: dict[str, Any]) -> dict[str, Any]:
    """The same in the provider's API version, so that one file serves versions that differ in nothing else."""
    for resource in mesh.writes:
        if resource.kind == manifest["kind"]:
            return {**manifest, "apiVersion": resource.api_version}
    return manifest
