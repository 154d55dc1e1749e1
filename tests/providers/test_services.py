"""The generated Services and the ports they expose are what their vectors say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from worlds import World, canary, difference, ref_of, scene, scribble

from gradatim.api.canary import Service
from gradatim.ports.objects import Manifest
from gradatim.ports.scene import Port, Scene
from gradatim.providers import services
from gradatim.providers.ports_discovery import discovered_ports

PATH = Path(__file__).parents[1] / "vectors" / "services.yaml"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call, and what must be written; `ends_as` is the object as it must be afterwards."""

    do: Literal["branches", "apex", "restore_apex"]
    canary: dict[str, Any] = {}
    edits: tuple[dict[str, Any], ...] = ()
    writes: Literal["same"] | list[dict[str, Any]] | None = None
    changes: list[dict[str, Any]] | None = None
    ends_as: dict[str, Any] | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence about the Services."""

    name: str
    steps: tuple[Step, ...]
    canary: dict[str, Any] = {}
    ports: tuple[Port, ...] = ()
    given: tuple[dict[str, Any], ...] = ()


class Discovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Containers and a service section in, further ports out."""

    name: str
    containers: list[dict[str, Any]]
    found: tuple[Port, ...]
    service: dict[str, Any] | None = None


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vector file."""

    cases: tuple[Case, ...]
    discovery: tuple[Discovery, ...]
    shared: Any = None


FILE = msgspec.convert(yaml.safe_load(PATH.read_text()), File)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in FILE.cases])
def test_services_are_what_their_vectors_say(case: Case) -> None:
    """The case's own sentence says what."""
    world, changes = World(case.given), [case.canary]
    for step in case.steps:
        changes.append(step.canary)
        _take(world, scene(canary(*changes), ports=case.ports), step)


def _take(world: World, now: Scene, step: Step) -> None:
    for edit in step.edits:
        world.patch(edit)
    changed = world.changed(_do(step.do, world, now))
    if step.writes is not None:
        wanted = [] if step.writes == "same" else step.writes
        assert changed == wanted, yaml.safe_dump(changed)
    if step.changes is not None:
        patches = [difference(world.objects[ref_of(manifest)], manifest) for manifest in changed]
        assert patches == step.changes, yaml.safe_dump(patches)
    for manifest in changed:
        world.write(manifest)
    if step.do != "restore_apex":
        assert world.changed(_do(step.do, world, now)) == []
    if step.ends_as is not None:
        ref = ref_of(step.ends_as)
        assert world.objects[ref] == World([step.ends_as]).objects[ref]


def _do(name: str, world: World, now: Scene) -> list[Manifest]:
    seen = world.seen(lambda _: services.reads(now))
    before = copy.deepcopy(seen)
    made: list[Manifest] = getattr(services, name)(now, seen)
    wanted = copy.deepcopy(made)
    for manifest in made:
        scribble(manifest)
    assert seen == before, "what was seen was changed"
    return wanted


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in FILE.discovery])
def test_ports_are_discovered_as_the_vectors_say(case: Discovery) -> None:
    """The case's own sentence says what."""
    service = msgspec.convert({"portDiscovery": case.service is not None, **(case.service or {})}, Service)
    assert discovered_ports({"containers": case.containers}, service) == case.found


_names = st.sampled_from(["http", "grpc", "x", None])
_port = st.fixed_dictionaries({"containerPort": st.integers(1, 5)}, optional={"name": _names})
_container = st.fixed_dictionaries({"name": st.sampled_from(["a", "b"]), "ports": st.lists(_port, max_size=4)})


@given(
    containers=st.lists(_container, max_size=3, unique_by=lambda container: container["name"]),
    port=st.integers(1, 5),
    target=st.one_of(st.none(), st.integers(0, 5), st.sampled_from(["http", "grpc"])),
)
def test_no_port_number_and_no_port_name_comes_twice(
    containers: list[dict[str, Any]], port: int, target: int | str | None
) -> None:
    """The API server refuses a Service with either, whatever the containers say."""
    service = Service(port=port, target_port=target, port_discovery=True)
    found = discovered_ports({"containers": containers}, service)
    numbers, names = [service.port, *(each.port for each in found)], ["http", *(each.name for each in found)]
    assert len(set(numbers)) == len(numbers)
    assert len(set(names)) == len(names)


def test_the_services_are_looked_at_by_name() -> None:
    """In the order in which they are written."""
    refs = services.reads(scene(canary({"service": {"name": "store"}})))
    assert [str(ref) for ref in refs] == [
        "services store-canary.shop",
        "services store-primary.shop",
        "services store.shop",
    ]
