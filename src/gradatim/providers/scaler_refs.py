"""The reference to the target's scaler, for scalers: they are asked only where there is one."""

from __future__ import annotations

from gradatim.api.canary import Canary, ScalerRef
from gradatim.api.errors import Bug


def scaler_ref(canary: Canary) -> ScalerRef:
    """`spec.autoscalerRef`."""
    if (reference := canary.spec.autoscaler_ref) is None:
        raise Bug(f"a scaler was asked for canary {canary.name}.{canary.namespace}, which has no autoscalerRef")
    return reference
