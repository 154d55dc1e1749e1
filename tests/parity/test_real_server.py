"""The recorded scenarios on the real API server: what differs from the reference is in the table of decisions.

All scenarios run at once under one operator, as they did when the reference was recorded, so this takes as long as the
longest of them: some minutes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.audit import Request
from cluster.client import Client
from cluster.fixtures import Cluster, not_run
from cluster.hooks import Hooks
from cluster.namespaces import make_namespace
from cluster.operator import Account, Operator
from cluster.parity import Allowed, Recording, compare, load_allowed, load_base, load_reference, load_scenario, play
from cluster.parity.real import RealWorld
from cluster.parity.scenario import NotAtHand, scenario_names, shared
from cluster.prometheus import Prometheus
from gradatim.api.errors import GradatimError
from gradatim.providers import registry

CRDS = ("gatewayapi", "keda", "traefik")
"""Systems whose definitions can be had; scenarios of others wait for them."""


def supported() -> list[str]:
    """Scenarios of the systems that there are providers for."""
    return [name for name in scenario_names() if _is_supported(name)]


def _is_supported(name: str) -> bool:
    scenario = load_scenario(name)
    try:
        registry.mesh(scenario.canary["provider"])
    except GradatimError:
        return False
    return set(scenario.crds) <= set(CRDS)


@dataclass(frozen=True)
class Played:
    """What our operator did in every scenario, and what it was refused."""

    recordings: dict[str, Recording]
    refused: list[Request]


@pytest.fixture(scope="module")
def played(cluster: Cluster, crds: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All scenarios, played at once."""
    try:
        shared()
    except NotAtHand as error:
        not_run(str(error))
    crds("own", *CRDS)
    played = asyncio.run(_play_all(cluster, tmp_path_factory.mktemp("operator") / "operator.log"))
    folder = tmp_path_factory.mktemp("recordings")
    for name, recording in played.recordings.items():
        recording.save(folder / f"{name}.jsonl")
    return played


async def _play_all(cluster: Cluster, log: Path) -> Played:
    clock = asyncio.get_running_loop().time
    async with Client(cluster.plane.admin) as admin, Prometheus(clock) as prometheus, Hooks(clock) as hooks:
        account = await Account.install(cluster.plane, admin)
        flags = {"metrics-server": prometheus.url, "mesh-provider": "nginx"}
        operator = await Operator.start(cluster.plane, admin, account, flags, log=log)
        try:
            base = load_base()

            async def one(name: str) -> Recording:
                namespace = await make_namespace(admin, f"p-{name}-{secrets.token_hex(3)}")
                world = RealWorld(admin, namespace, prometheus, hooks)
                return await play(load_scenario(name), base, world)

            names = supported()
            recordings = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
            return Played(recordings, operator.audit.forbidden())
        finally:
            operator.kill()


@pytest.fixture(scope="module")
def allowed() -> Iterator[Allowed]:
    """The table of decisions; in the end every entry must have been needed, if all scenarios were compared."""
    table = load_allowed()
    yield table
    unused = table.unused(["real"], supported())
    assert not unused, f"no difference needs these entries any more: {unused}"


@pytest.mark.parametrize("name", supported())
def test_a_scenario_ends_as_the_reference_or_as_decided(played: Played, allowed: Allowed, name: str) -> None:
    differences = compare(load_reference(name), played.recordings[name])
    refused = allowed.refused("real", name, differences)
    assert not refused, "\n" + "\n".join(f"{one.what}  {one}" for one in refused)


def test_nothing_is_asked_for_that_is_not_granted(played: Played) -> None:
    """The other half, that everything granted is used, is told by the stories of `tests/cluster/stories`."""
    assert played.refused == []
