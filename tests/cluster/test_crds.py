"""Other systems' definitions come from their modules and judge what we write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.client import Client, path
from cluster.crds import SYSTEMS
from gradatim.ports.objects import HTTP_ROUTE, KNATIVE_SERVICE, SCALED_OBJECT, TRAEFIK_SERVICE, Manifest, Resource

OBJECTS: dict[str, tuple[Resource, Manifest, Manifest]] = {
    "gatewayapi": (
        HTTP_ROUTE,
        {"parentRefs": [{"name": "web"}], "rules": [{"backendRefs": [{"name": "shop", "port": 80, "weight": 10}]}]},
        {"parentRefs": [{"name": "web"}], "rules": [{"backendRefs": [{"name": "shop", "port": 80, "weight": -1}]}]},
    ),
    "traefik": (
        TRAEFIK_SERVICE,
        {"weighted": {"services": [{"name": "shop", "port": 80, "weight": 10}]}},
        {"weighted": {"services": [{"name": "shop", "port": 80, "weight": "ten"}]}},
    ),
    "keda": (
        SCALED_OBJECT,
        {"scaleTargetRef": {"name": "shop"}, "triggers": [{"type": "cron", "metadata": {}}]},
        {"scaleTargetRef": {"name": "shop"}, "triggers": [{"metadata": {}}]},
    ),
    "knative": (
        KNATIVE_SERVICE,
        {"traffic": [{"latestRevision": True, "percent": 0}, {"revisionName": "shop-00001", "percent": 100}]},
        {"traffic": [{"latestRevision": True, "percent": "none"}]},
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.asyncio
async def test_a_definition_accepts_what_is_right_and_refuses_what_is_wrong(
    crds: Callable[..., None], admin: Client, namespace: str, system: str
) -> None:
    crds(system)
    resource, right, wrong = OBJECTS[system]
    for spec, status in ((right, 201), (wrong, 422)):
        manifest = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": "shop"},
            "spec": spec,
        }
        answer = await admin.ask("POST", path(resource, namespace), manifest)
        assert answer.status == status, answer.message
