"""Plays the recorded scenarios in a simulated cluster."""

from __future__ import annotations

from cluster.parity import Recording, Scenario, load_base, load_scenario, play, scenario_names
from gradatim.api.errors import GradatimError
from gradatim.providers import registry
from simulated.cluster import simulated
from simulated.systems import SYSTEMS


def supported() -> list[str]:
    """Recorded scenarios of systems that there are providers and definitions for."""
    return [name for name in scenario_names() if _is_supported(load_scenario(name))]


async def played(name: str) -> Recording:
    """What our operator did in a recorded scenario."""
    scenario = load_scenario(name)
    async with simulated(*scenario.crds) as cluster, cluster.operator():
        return await play(scenario, load_base(), cluster.space(f"p-{name}"))


def _is_supported(scenario: Scenario) -> bool:
    try:
        registry.mesh(scenario.canary["provider"])
    except GradatimError:
        return False
    return set(scenario.crds) <= set(SYSTEMS)
