"""Names that follow from a Canary. Suffixes are fixed: other people's manifests refer to them."""

from __future__ import annotations

from gradatim.api.canary import Canary


def primary_workload(canary: Canary) -> str:
    """The copy of the target that serves users."""
    return f"{canary.target}-primary"


def primary_service(canary: Canary) -> str:
    """The Service in front of the primary."""
    return f"{canary.apex}-primary"


def canary_service(canary: Canary) -> str:
    """The Service in front of the target."""
    return f"{canary.apex}-canary"


def provider(canary: Canary, mesh_provider: str) -> str:
    """The mesh of a Canary: its own, else the operator's."""
    return canary.spec.provider or mesh_provider
