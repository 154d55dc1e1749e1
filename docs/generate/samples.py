"""A Canary that is all placeholders, so that sentences about it show what varies in them."""

from __future__ import annotations

import msgspec

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef


def canary(*, skip_analysis: bool = False, **analysis: object) -> Canary:
    """`CANARY.NAMESPACE` with target `TARGET`."""
    made = msgspec.structs.replace(Analysis(iterations=10, step_weight=10), **analysis)
    target = ObjectRef(name="TARGET", api_version="apps/v1", kind="Deployment")
    spec = CanarySpec(target_ref=target, analysis=made, skip_analysis=skip_analysis)
    return Canary(name="CANARY", namespace="NAMESPACE", spec=spec)
