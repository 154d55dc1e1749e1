"""MetricTemplate: a query that several Canaries share, and where to send it."""

from __future__ import annotations

import msgspec

from gradatim.api.canary import ObjectRef, Spec


class MetricProvider(Spec, frozen=True):
    """The metrics source; `secret_ref` names a Secret in the template's namespace."""

    type: str
    address: str = ""
    headers: dict[str, tuple[str, ...]] = {}
    secret_ref: ObjectRef | None = None
    region: str = ""
    insecure_skip_verify: bool = False


class MetricTemplateSpec(Spec, frozen=True):
    """`spec` of a MetricTemplate."""

    provider: MetricProvider
    query: str


class MetricTemplate(msgspec.Struct, frozen=True):
    """A MetricTemplate as read from the API server."""

    name: str
    namespace: str
    spec: MetricTemplateSpec
