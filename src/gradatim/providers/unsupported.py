"""Fields of a Canary that a mesh has no use for, said aloud instead of being dropped without a word.

Nothing in here holds a release up: the fields never had an effect on that mesh. What would move users where they must
not go is refused by the mesh itself; mirroring and session affinity are judged in `core/validation.py`, by the
capabilities of the mesh.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gradatim.api.canary import Service
from gradatim.core.problems import Problem

_ROUTING = {
    "timeout": "timeout",
    "backend_timeout": "backendTimeout",
    "gateways": "gateways",
    "gateway_refs": "gatewayRefs",
    "hosts": "hosts",
    "delegation": "delegation",
    "match": "match",
    "rewrite": "rewrite",
    "retries": "retries",
    "headers": "headers",
    "mirror": "mirror",
    "cors_policy": "corsPolicy",
    "traffic_policy": "trafficPolicy",
    "mesh_name": "meshName",
    "backends": "backends",
}
"""Fields of `spec.service` about routes; the others shape the generated Services, which every mesh has."""


def fields(service: Service, used: Collection[str], mesh: str) -> Iterator[Problem]:
    """One warning for each routing field of `spec.service` that is set and not in `used` (names as in YAML)."""
    for attribute, name in _ROUTING.items():
        if name not in used and getattr(service, attribute):
            yield Problem(f"spec.service.{name}", f"has no effect with provider {mesh}; remove it", blocks=False)
