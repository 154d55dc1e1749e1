"""Writes that the API server refuses: the event says in Flagger's words what was done, and in the server's why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradatim.core.verdict import Part, StopCanary
from gradatim.engine import refusals
from gradatim.kube.errors import Forbidden, Invalid, Unavailable
from gradatim.ports.objects import DEPLOYMENT, SERVICE, Ref
from gradatim.sim.api import Fault, Request
from gradatim.sim.refusals import Refused
from stories.shop import shop
from stories.test_weather import ours, weather

Clock = Callable[[], float]

NO = "the policy says no"


def refusing(method: str, path: str) -> Fault:
    """A policy against one kind of write."""

    def one(request: Request) -> bool:
        return ours(request) and request.method == method and request.path.endswith(path)

    return Fault(one, None, refuse=Refused(422, "Invalid", NO))


@pytest.mark.parametrize(
    ("mesh", "path", "said"),
    [
        ("nginx", "/services", f"reconcileService failed: service shop-canary.shop create error: {NO}"),
        ("nginx", "/configmaps", "createPrimaryDeployment failed: CreatePrimaryConfigs failed: creating configmap"),
        (
            "nginx",
            "/deployments",
            f"createPrimaryDeployment failed: creating deployment shop-primary.shop failed: {NO}",
        ),
        ("nginx", "/ingresses", f"ingress shop-canary.shop create error: {NO}"),
        ("traefik", "/traefikservices", f"TraefikService shop.shop create error: {NO}"),
        ("gatewayapi:v1", "/httproutes", f"HTTPRoute shop.shop create error: {NO}"),
    ],
)
@pytest.mark.asyncio
async def test_a_refused_object_is_told_and_made_when_it_may_be(
    virtual_time: Clock, mesh: str, path: str, said: str
) -> None:
    async with shop(mesh) as (made, _):
        with weather(made, refusing("POST", path)):
            await made.open()
            await made.space.told(said)
            ready = next(one for one in made.space.status()["conditions"] if one["type"] == "Ready")
            assert said in ready["message"]
        await made.space.phase("Initialized", within=120)


@pytest.mark.parametrize(
    ("mesh", "path", "said"),
    [
        ("nginx", "/deployments/shop", f"scaling up shop.shop to 2 failed: {NO}"),
        ("nginx", "/ingresses/shop-canary", f"ingress shop-canary.shop update error {NO}"),
        ("nginx", "/deployments/shop-primary", f"updating deployment shop-primary.shop template spec failed: {NO}"),
        ("gatewayapi:v1", "/httproutes/shop", f"HTTPRoute shop.shop update error: {NO} while setting weights"),
    ],
)
@pytest.mark.asyncio
async def test_a_refused_step_is_told_and_taken_when_it_may_be(
    virtual_time: Clock, mesh: str, path: str, said: str
) -> None:
    async with shop(mesh) as (made, _):
        await made.open()
        await made.space.phase("Initialized")
        with weather(made, refusing("PATCH", path)):
            await made.release("shop:2")
            await made.space.told(said)
        await made.space.phase("Succeeded", within=180)


def test_what_has_no_words_of_flaggers_is_told_as_the_server_says_it() -> None:
    ref = Ref(SERVICE, "shop", "shop")
    with pytest.raises(Forbidden, match=r"^no$") as caught, refusals.told(StopCanary, ref, "Deployment"):
        raise Forbidden("no", status=403, about=ref)
    assert (caught.value.status, caught.value.ref) == (403, ref)


def test_what_passes_by_itself_is_left_as_it_is() -> None:
    with (
        pytest.raises(Unavailable, match=r"^away$"),
        refusals.told(Part.PRIMARY, Ref(DEPLOYMENT, "a", "b"), "Deployment"),
    ):
        raise Unavailable("away")


def test_core_services_are_told_apart_by_their_side() -> None:
    for name, side in (("shop-canary", "Canary"), ("shop-primary", "Primary")):
        with (
            pytest.raises(Invalid, match=f"^reconcile{side}Service failed: creating service {name}.a query error: no$"),
            refusals.told(Part.PRIMARY, Ref(SERVICE, "a", name), "Service", new=True),
        ):
            raise Invalid("no")
