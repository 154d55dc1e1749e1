"""What was promoted is kept, one revision at a time, so that a primary that somebody deletes comes back as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradatim.ports.objects import CONTROLLER_REVISION
from stories.shop import Shop, shop

Clock = Callable[[], float]


def kept(made: Shop) -> list[str]:
    """The images of all revisions that are kept."""
    held = made.cluster.store.scan(CONTROLLER_REVISION, "shop")
    return [one["data"]["promoted"]["spec"]["containers"][0]["image"] for one in held]


async def lose_the_primary(made: Shop) -> None:
    """Somebody deletes the primary, and it is waited for."""
    before = made.space.named("Deployment/shop-primary")
    assert before is not None
    await made.space.delete("apps/v1", "Deployment", "shop-primary")

    def back() -> bool:
        now = made.space.named("Deployment/shop-primary")
        new = now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]
        return new and bool((now or {}).get("status", {}).get("availableReplicas"))

    await made.space.until(back, "the primary is back")


@pytest.mark.asyncio
async def test_one_revision_is_kept_and_it_is_the_promoted_one(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=30)
        assert kept(made) == ["shop:1"]
        await made.release("shop:2")
        await made.space.phase("Succeeded")
        assert kept(made) == ["shop:2"]
        made.error_rate(30)
        await made.release("shop:3")
        await made.space.phase("Failed")
        assert kept(made) == ["shop:2"]
        await made.space.delete("flagger.app/v1beta1", "Canary", "shop")
        await made.space.until(lambda: not kept(made), "what was kept goes with the Canary")


@pytest.mark.asyncio
async def test_a_primary_lost_in_mid_run_comes_back_as_it_was_and_the_run_goes_on(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=30)
        await made.release("shop:2")
        await made.space.told("canary weight 25")
        await lose_the_primary(made)
        assert made.image("shop-primary") == "shop:1"
        await made.space.phase("Succeeded")
        assert (made.image("shop-primary"), kept(made)) == ("shop:2", ["shop:2"])


@pytest.mark.asyncio
async def test_a_primary_lost_after_a_rollback_does_not_come_back_as_what_failed(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=30)
        made.error_rate(30)
        await made.release("shop:2")
        await made.space.phase("Failed")
        await lose_the_primary(made)
        assert (made.image("shop-primary"), made.image("shop")) == ("shop:1", "shop:2")
        assert made.space.status()["phase"] == "Failed"


@pytest.mark.asyncio
async def test_where_nothing_was_kept_the_primary_waits_for_its_revision(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=30)
        first = made.space.named("Deployment/shop")
        assert first is not None
        await made.release("shop:2")
        await made.space.told("canary weight 25")
        (one,) = made.cluster.store.scan(CONTROLLER_REVISION, "shop")
        await made.space.delete("apps/v1", "ControllerRevision", one["metadata"]["name"])
        await made.space.delete("apps/v1", "Deployment", "shop-primary")
        await made.space.told("does not hold the revision that was promoted last")
        assert made.space.named("Deployment/shop-primary") is None
        await made.space.merge("apps/v1", "Deployment", "shop", {"spec": {"template": first["spec"]["template"]}})
        await made.space.until(lambda: made.space.named("Deployment/shop-primary") is not None, "the primary is back")
        assert made.image("shop-primary") == "shop:1"


@pytest.mark.asyncio
@pytest.mark.parametrize("write", range(1, 13))
async def test_the_first_revision_is_kept_whenever_the_operator_dies(virtual_time: Clock, write: int) -> None:
    """After any write of the initialization."""
    async with shop("nginx", write) as (made, _):
        await made.open()
        await made.space.phase("Initialized", within=60)
        assert kept(made) == ["shop:1"]
