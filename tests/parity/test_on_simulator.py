"""The recorded scenarios on the simulator: what differs from the reference is in the table of decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster.fixtures import not_run
from cluster.parity import Allowed, compare, load_allowed, load_reference, shared
from cluster.parity.scenario import NotAtHand
from simulated.parity import played, supported

pytestmark = pytest.mark.xdist_group("recorded")  # one process plays them all, and then knows which entries are needed

NOTHING = "no scenario at hand"
"""Stands for all scenarios on a machine without them."""


@pytest.fixture(scope="module")
def allowed() -> Iterator[Allowed]:
    """The table of decisions; in the end every entry must have been needed, if all scenarios were played."""
    table = load_allowed()
    yield table
    unused = table.unused(["sim"], supported())
    assert not unused, f"no difference needs these entries any more: {unused}"


@pytest.mark.parametrize("name", supported() or [NOTHING])
@pytest.mark.asyncio
async def test_a_scenario_ends_as_the_reference_or_as_decided(
    virtual_time: Callable[[], float], allowed: Allowed, name: str
) -> None:
    if name == NOTHING:
        not_run(_why())
    refused = allowed.refused("sim", name, compare(load_reference(name), await played(name)))
    assert not refused, "\n" + "\n".join(f"{one.what}  {one}" for one in refused)


def _why() -> str:
    try:
        return f"{shared()} has no scenario that can be played"
    except NotAtHand as error:
        return str(error)
