"""Objects that do not stay as they were written: releases go on beside them, and nobody fights."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from gradatim.ports.objects import SERVICE, Manifest, Ref
from gradatim.sim.history import Event
from stories.shop import INTERVAL, MESHES, Shop, shop

Clock = Callable[[], float]

LABEL = "policy.example.com/cost-center"
ANNOTATION = "field.example.com/endpoints"
LASTS = "does not stay as it was written"


def labelled(store: object, ref: Ref, new: Manifest | None, old: Manifest | None) -> None:
    """A webhook that puts a label on every Service."""
    if new is not None and ref.resource == SERVICE:
        new["metadata"].setdefault("labels", {})[LABEL] = "42"


def dropped(store: object, ref: Ref, new: Manifest | None, old: Manifest | None) -> None:
    """A server that is older than some fields."""
    if new is None:
        return
    if ref.resource == SERVICE:
        new["spec"].pop("trafficDistribution", None)
    if ref.resource.kind == "HTTPRoute":
        for rule in new["spec"]["rules"]:
            rule.pop("timeouts", None)


class Controller:
    """Puts an annotation back on every Service that has lost it."""

    def __init__(self, made: Shop) -> None:
        self.at_work = True
        self.changes: Counter[str] = Counter()
        """How often Services were changed, by the operator or by this."""
        self._store = made.cluster.store
        self._store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.ref.resource != SERVICE or event.type == "DELETED":
            return
        self.changes[event.ref.name] += 1
        if self.at_work and ANNOTATION not in (event.object["metadata"].get("annotations") or {}):
            asyncio.get_running_loop().call_later(0.03, self._annotate, event.ref)

    def _annotate(self, ref: Ref) -> None:
        self._store.mutate(ref, lambda live: live["metadata"].setdefault("annotations", {}).update({ANNOTATION: "[]"}))


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.asyncio
async def test_a_webhook_that_labels_services_holds_up_neither_setting_up_nor_a_rollback(
    virtual_time: Clock, mesh: str
) -> None:
    async with shop(mesh) as (made, operators):
        made.cluster.store.admission.append(labelled)
        await made.open()
        await made.space.phase("Initialized")
        await asyncio.sleep(2 * INTERVAL)
        before = operators[-1].parts.client.requests["patch"]
        await asyncio.sleep(10 * INTERVAL)
        assert operators[-1].parts.client.requests["patch"] - before <= 3 * 11, "one try a Service and interval"
        made.error_rate(50)
        await made.release("shop:2")
        await made.space.phase("Failed", within=120)
        assert (made.canary_share(), made.replicas("shop"), made.image("shop-primary")) == (0, 0, "shop:1")
        assert not made.users.lost
        told = [text for text in made.told if LASTS in text]
        assert {text.split(" ")[1] for text in told} == {"shop", "shop-primary", "shop-canary"}
        assert all(LABEL in text for text in told)
        assert not [text for text in made.told if "Brought back" in text]


@pytest.mark.asyncio
async def test_a_webhook_that_begins_in_mid_run_does_not_keep_a_bad_canary(virtual_time: Clock) -> None:
    async with shop("nginx") as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        await made.release("shop:2")
        await made.space.until(lambda: made.canary_share() == 25, "the first step")
        made.cluster.store.admission.append(labelled)
        await made.space.merge("v1", "Service", "shop-canary", {"metadata": {"labels": {"by": "hand"}}})
        made.error_rate(50)
        await made.space.phase("Failed", within=60)
        assert (made.canary_share(), made.replicas("shop")) == (0, 0)
        labels = made.space.named("Service/shop-canary")["metadata"]["labels"]  # type: ignore[index]
        assert "by" not in labels, "what can be set right is"


@pytest.mark.parametrize("mesh", ["kubernetes", "gatewayapi:v1"])
@pytest.mark.asyncio
async def test_a_server_that_drops_fields_releases_without_them(virtual_time: Clock, mesh: str) -> None:
    service = {"port": 80, "targetPort": 8080, "trafficDistribution": "PreferClose", "timeout": "5s"}
    async with shop(mesh) as (made, _):
        made.cluster.store.admission.append(dropped)
        await made.open(service={**MESHES[mesh].get("service", {}), **service})
        await made.space.phase("Initialized")
        await made.release("shop:2")
        await made.space.phase("Succeeded", within=120)
        assert (made.image("shop-primary"), made.replicas("shop"), made.canary_share()) == ("shop:2", 0, 0)
        assert not made.users.lost
        assert any("Service shop (spec.trafficDistribution) " + LASTS in text for text in made.told)


@pytest.mark.asyncio
async def test_a_controller_that_puts_back_what_we_take_away_is_answered_once_an_interval_in_the_end(
    virtual_time: Clock,
) -> None:
    async with shop("nginx") as (made, _):
        other = Controller(made)
        await made.open()
        await made.space.phase("Initialized")
        await asyncio.sleep(2 * INTERVAL)
        before = Counter(other.changes)
        await asyncio.sleep(12 * INTERVAL)
        for name in ("shop", "shop-primary", "shop-canary"):
            assert 2 * 10 <= other.changes[name] - before[name] <= 2 * 13, "taken away and put back once an interval"
        assert len([text for text in made.told if "Brought back" in text]) <= 3
        await made.release("shop:2")
        await made.space.phase("Succeeded", within=120)
        other.at_work = False
        await asyncio.sleep(2 * INTERVAL)
        for name in ("shop", "shop-primary", "shop-canary"):
            assert ANNOTATION not in (made.space.named(f"Service/{name}")["metadata"].get("annotations") or {})  # type: ignore[index]
