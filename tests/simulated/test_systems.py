"""Our small definitions of other systems do what the real ones do, as far as releases touch them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from cluster.binaries import NotAtHand
from cluster.crds import definitions as real_definitions
from cluster.fixtures import not_run
from cluster.parity import Recording, load_base, load_scenario, play, shared
from cluster.parity.scenario import NotAtHand as RecordingsNotAtHand
from gradatim.ports.objects import Manifest
from simulated import simulated
from simulated.ends import other_ends
from simulated.space import Refused
from simulated.systems import definitions

Clock = Callable[[], float]

SCENARIOS = (
    "gatewayapi-ab",
    "gatewayapi-affinity",
    "gatewayapi-affinity-headers",
    "gatewayapi-canary",
    "gatewayapi-cors",
    "keda",
    "traefik-canary",
)


def real(system: str) -> list[Manifest]:
    """Those of a system's real definitions that we have small ones of."""
    kinds = {one["spec"]["names"]["kind"] for one in definitions(system)}
    try:
        return [one for one in real_definitions(system) if one["spec"]["names"]["kind"] in kinds]
    except NotAtHand as error:
        not_run(str(error))


async def played(name: str, manifests: list[Manifest]) -> Recording:
    async with simulated() as cluster, cluster.operator():
        cluster.define(manifests)
        return await play(load_scenario(name), load_base(), cluster.space("systems"))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.asyncio
async def test_a_release_looks_the_same_with_the_real_definitions(virtual_time: Clock, name: str) -> None:
    try:
        shared()
    except RecordingsNotAtHand as error:
        not_run(str(error))
    (system,) = load_scenario(name).crds
    small, large = await played(name, list(definitions(system))), await played(name, real(system))
    assert not other_ends(large, small)
    assert large.states()


@pytest.mark.asyncio
async def test_a_definition_may_require_metadata(virtual_time: Clock) -> None:
    """Every object has metadata, so that only what else is required can be missing."""
    async with simulated() as cluster:
        (traefik,) = copy.deepcopy(definitions("traefik"))
        traefik["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] = ["metadata", "spec"]
        cluster.define([traefik])
        space = cluster.space("systems")
        made: Manifest = {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": {"name": "shop"}}
        with pytest.raises(Refused, match=r'"shop" is invalid: spec: Required value$'):
            await space.create(made)
        await space.create({**made, "spec": {}})
