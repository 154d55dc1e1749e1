"""Where Services lead, as their EndpointSlices say: before pods go, the apex must lead to others."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gradatim.api.decode import decode_canary
from gradatim.core.readiness import Ready, Waiting
from gradatim.engine.endpoints import Endpoints
from gradatim.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from gradatim.ports.objects import ENDPOINT_SLICE, SERVICE, Manifest, Ref, Resource

pytestmark = pytest.mark.asyncio

OLD, NEW = "10.0.0.1", "10.0.0.2"
OWNED = {
    "ownerReferences": [{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "shop", "controller": True}]
}


class Client:
    """Lists the slices that a test has made, or refuses."""

    def __init__(self, *slices: Manifest, refuses: KubeError | None = None) -> None:
        self.slices = list(slices)
        self.refuses = refuses
        self.asked: list[tuple[Resource, str, str]] = []

    async def list(self, resource: Resource, namespace: str, label_selector: str) -> list[Manifest]:
        """As the real client."""
        self.asked.append((resource, namespace, label_selector))
        if self.refuses is not None:
            raise self.refuses
        return self.slices


def slice_of(service: str, *addresses: str, **conditions: bool) -> Manifest:
    """One slice; endpoints are ready unless told otherwise."""
    endpoints = [{"addresses": [address], "conditions": conditions} for address in addresses]
    return {"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": endpoints}


def site(apex: Manifest | None, *, generates: bool = True) -> Any:
    spec = {"targetRef": {"kind": "Deployment", "name": "shop"}, "service": {"port": 80}, "analysis": {}}
    canary = decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})
    kind = SimpleNamespace(generates_services=generates)
    seen = {Ref(SERVICE, "test", "shop"): apex}
    return SimpleNamespace(canary=canary, seen=seen, providers=SimpleNamespace(kind=kind))


THERE_BEFORE: Manifest = {"metadata": {"name": "shop", "namespace": "test"}}


async def answer(client: Client, apex: Manifest | None = THERE_BEFORE, *, primary: bool = False) -> Ready | Waiting:
    return await Endpoints(client).repointed(site(apex), primary=primary)  # type: ignore[arg-type]


async def test_an_apex_that_leads_to_other_pods_has_been_repointed() -> None:
    client = Client(slice_of("shop", NEW), slice_of("shop-canary", OLD))
    assert await answer(client) == Ready()
    assert client.asked == [(ENDPOINT_SLICE, "test", "kubernetes.io/service-name in (shop,shop-canary)")]


def astray() -> Iterator[tuple[str, list[Manifest]]]:
    yield "to the pods that go", [slice_of("shop", OLD), slice_of("shop-canary", OLD)]
    yield "to them and to others", [slice_of("shop", NEW), slice_of("shop", OLD), slice_of("shop-canary", OLD)]
    yield "nowhere", [slice_of("shop"), slice_of("shop-canary", OLD)]
    yield "to pods that are not ready", [slice_of("shop", NEW, ready=False), slice_of("shop-canary", OLD)]
    yield "nobody knows where yet", []


@pytest.mark.parametrize("slices", [slices for _, slices in astray()], ids=[name for name, _ in astray()])
async def test_pods_are_kept_while_the_apex_leads(slices: list[Manifest]) -> None:
    assert await answer(Client(*slices)) == Waiting("service shop.test still leads to pods that are to go")


async def test_endpoints_without_conditions_count_as_ready() -> None:
    bare = slice_of("shop", OLD)
    del bare["endpoints"][0]["conditions"]
    assert isinstance(await answer(Client(bare, slice_of("shop-canary", OLD))), Waiting)


async def test_on_deletion_the_primarys_pods_are_those_that_go() -> None:
    client = Client(slice_of("shop", OLD), slice_of("shop-primary", OLD))
    assert isinstance(await answer(client, primary=True), Waiting)
    assert client.asked[0][2].endswith("(shop,shop-primary)")


async def test_an_apex_that_goes_with_its_canary_is_waited_for_at_its_beginning_only() -> None:
    ours = {"metadata": {**THERE_BEFORE["metadata"], **OWNED}}
    client = Client(slice_of("shop", OLD), slice_of("shop-primary", OLD), slice_of("shop-canary", OLD))
    assert await answer(client, ours, primary=True) == Ready()
    assert isinstance(await answer(client, ours), Waiting)


async def test_without_an_apex_of_ours_nobody_is_asked() -> None:
    client = Client()
    assert await answer(client, None) == Ready()
    assert await Endpoints(client).repointed(site(THERE_BEFORE, generates=False), primary=False) == Ready()  # type: ignore[arg-type]
    assert not client.asked


@pytest.mark.parametrize("error", [Forbidden("no"), NotFound("no such kind"), Unavailable("away")])
async def test_who_may_not_or_cannot_see_endpoints_goes_on_as_if_they_were_right(error: KubeError) -> None:
    assert await answer(Client(refuses=error)) == Ready()
