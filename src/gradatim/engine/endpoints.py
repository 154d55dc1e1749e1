"""Where Services lead, read when it matters and not watched: slices change with every pod of a whole cluster.

Who may not read them, as with Flagger's access rules, goes on as if they were right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from gradatim.core import names
from gradatim.core.readiness import Ready, Waiting
from gradatim.engine.site import Site
from gradatim.kube.client import Client
from gradatim.kube.errors import KubeError
from gradatim.ports.objects import ENDPOINT_SLICE, SERVICE, Manifest, Ref
from gradatim.providers import manifests

log = logging.getLogger(__name__)

SERVICE_NAME = "kubernetes.io/service-name"


class Endpoints:
    """Reads EndpointSlices."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def repointed(self, site: Site, *, primary: bool) -> Ready | Waiting:
        """Whether the apex Service leads to pods, and to none of the primary or, otherwise, of the target.

        An apex that goes with its Canary is not pointed back, and one that is not ours at all leads where it likes.
        """
        canary = site.canary
        apex = site.seen.get(Ref(SERVICE, canary.namespace, canary.apex))
        ours = site.providers.kind.generates_services
        if not ours or apex is None or (primary and manifests.controlled_by_any_canary(apex)):
            return Ready()
        branch = names.primary_service(canary) if primary else names.canary_service(canary)
        try:
            slices = await self._client.list(
                ENDPOINT_SLICE, canary.namespace, f"{SERVICE_NAME} in ({canary.apex},{branch})"
            )
        except KubeError as error:
            log.debug(
                "endpoints are not seen: %s", error.message, extra={"canary": f"{canary.name}.{canary.namespace}"}
            )
            return Ready()
        leads_to, leaving = _addresses(slices, canary.apex), _addresses(slices, branch)
        if leads_to and leads_to.isdisjoint(leaving):
            return Ready()
        return Waiting(f"service {canary.apex}.{canary.namespace} still leads to pods that are to go")


def _addresses(slices: Iterable[Manifest], service: str) -> set[str]:
    """The ready endpoints of a Service."""
    return {
        address
        for one in slices
        if manifests.labels_of(one).get(SERVICE_NAME) == service
        for endpoint in manifests.items(one, "endpoints")
        if manifests.mapping(endpoint, "conditions").get("ready", True)
        for address in endpoint.get("addresses") or ()
    }
