"""Names that follow from a Canary. Suffixes are fixed: other people's manifests refer to them."""

from __future__ import annotations

from gradatim.api.canary import Canary

PRIMARY_SUFFIX = "-primary"
CANARY_SUFFIX = "-canary"
KNATIVE = "serving.knative.dev/v1"


def primary_workload(canary: Canary) -> str:
    """The copy of the target that serves users."""
    return f"{canary.target}{PRIMARY_SUFFIX}"


def primary_service(canary: Canary) -> str:
    """The Service in front of the primary."""
    return f"{canary.apex}{PRIMARY_SUFFIX}"


def canary_service(canary: Canary) -> str:
    """The Service in front of the target."""
    return f"{canary.apex}{CANARY_SUFFIX}"


def provider(canary: Canary, mesh_provider: str) -> str:
    """The mesh of a Canary: its own, else the operator's."""
    return canary.spec.provider or mesh_provider


def flavour(canary: Canary, mesh_provider: str) -> str:
    """What is said to be measured: the mesh, with a mark for core Services, as Flagger has it."""
    target = canary.spec.target_ref
    plain = target.kind != "Service" or target.api_version == KNATIVE
    return provider(canary, mesh_provider) + ("" if plain else ":service")
