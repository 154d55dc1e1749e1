"""What the playground releases: the scenario as it stands, and the same by weights, acceptable to a strict server."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from gradatim.api.decode import decode_canary
from gradatim.apps.playground.local_cluster import open_definition
from gradatim.apps.playground.releases import MESHES, NAMESPACE, release
from gradatim.apps.playground.story import shortened
from gradatim.ports.objects import CANARY, Manifest
from gradatim.providers import registry
from simulated import simulated

SCENARIO = resources.files("gradatim.apps") / "scenario"
SHARED = Path(os.environ.get("GRADATIM_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "scenario"
"""Where the scenario comes from; beside the repository, and not on every machine."""


def canary_of(mesh: str) -> Manifest:
    """The Canary of a release."""
    (found,) = [manifest for manifest in release(mesh).analysis() if manifest["kind"] == CANARY.kind]
    return found


def test_there_is_a_release_for_every_mesh_that_moves_traffic_through_traefik() -> None:
    assert MESHES == ("nginx", "traefik", "gatewayapi:v1")
    assert [release(mesh).mesh for mesh in MESHES] == list(MESHES)
    assert all(registry.mesh(mesh).shifts_traffic for mesh in MESHES)


def test_the_scenario_is_a_faithful_copy_wherever_its_origin_is_at_hand() -> None:
    """On other machines the two files must at least be there, and be all there is."""
    names = {file.name for file in SCENARIO.iterdir() if file.name.endswith(".yaml")}
    assert names == {"app.yaml", "canary.yaml"}
    for name in names & {file.name for file in SHARED.glob("*.yaml")}:
        assert (SCENARIO / name).read_bytes() == (SHARED / name).read_bytes(), name


@pytest.mark.parametrize("mesh", MESHES)
def test_only_the_interval_is_shortened(mesh: str) -> None:
    original = release(mesh).analysis()
    made = shortened(original, "3s")
    assert original == release(mesh).analysis()
    for before, after in zip(original, made, strict=True):
        if before["kind"] == CANARY.kind:
            assert before["spec"]["analysis"].pop("interval") == "10s"
            assert after["spec"]["analysis"].pop("interval") == "3s"
    assert made == original


@pytest.mark.asyncio
@pytest.mark.parametrize("mesh", MESHES)
async def test_a_strict_server_takes_it_and_the_operator_has_nothing_to_complain_of(
    virtual_time: Callable[[], float], mesh: str
) -> None:
    chosen = release(mesh)
    async with simulated("traefik", "gatewayapi") as cluster, cluster.operator():
        served = {kind.resource for kind in cluster.store.kinds()}
        cluster.define(open_definition(resource) for resource in chosen.crds if resource not in served)
        space = cluster.space(NAMESPACE)
        await space.create(*chosen.prepare(8000), *chosen.app(), *chosen.analysis())
        status = (await space.phase("Initialized", chosen.canary))["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"Promoted": "True", "Ready": "True"}


@pytest.mark.parametrize("mesh", MESHES)
def test_every_release_names_its_mesh_or_leaves_it_to_the_flag(mesh: str) -> None:
    canary = decode_canary(canary_of(mesh))
    assert canary.name == release(mesh).canary
    assert canary.spec.provider in ("", mesh)
