"""Canary: what a team writes to have a workload released step by step.

Wire names are camelCase and live here only. Fields that only one router reads (matches, headers, policies) stay plain
mappings: they are translated, not understood, and their owner's schema validates them.
Source of the format: the published `flagger.app/v1beta1` schema.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from gradatim.api.status import CanaryStatus

Mapping: TypeAlias = dict[str, Any]

RESERVED_METRICS = ("request-success-rate", "request-duration")
FINALIZER = "finalizer.flagger.app"


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """Base of everything below a Canary's `spec`."""


class ObjectRef(Spec, frozen=True):
    """A reference to one object; `namespace` is empty where the Canary's own is meant."""

    name: str
    api_version: str = ""
    kind: str = ""
    namespace: str = ""


class ScalerReplicas(Spec, frozen=True):
    """Bounds of the primary's scaler where they differ from the target's."""

    min_replicas: int | None = None
    max_replicas: int | None = None


class ScalerRef(Spec, frozen=True):
    """The target's autoscaler (HorizontalPodAutoscaler or ScaledObject)."""

    kind: str
    name: str
    api_version: str = ""
    primary_scaler_queries: dict[str, str] = {}
    primary_scaler_replicas: ScalerReplicas = ScalerReplicas()


class CustomMetadata(Spec, frozen=True):
    """Extra labels and annotations of one generated Service."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class UnmanagedMetadata(Spec, frozen=True):
    """Keys on generated Services that are left as found."""

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()


class Service(Spec, frozen=True):
    """How Services and routing objects are generated. `port` is 0 when the user gave none."""

    port: int = 0
    name: str = ""
    port_name: str = ""
    target_port: int | str | None = None
    app_protocol: str = ""
    traffic_distribution: str = ""
    port_discovery: bool = False
    headless: bool = False
    timeout: str = ""
    backend_timeout: str = ""
    gateways: tuple[str, ...] = ()
    gateway_refs: tuple[Mapping, ...] = ()
    hosts: tuple[str, ...] = ()
    delegation: bool = False
    match: tuple[Mapping, ...] = ()
    rewrite: Mapping | None = None
    retries: Mapping | None = None
    headers: Mapping | None = None
    mirror: tuple[Mapping, ...] = ()
    cors_policy: Mapping | None = None
    traffic_policy: Mapping | None = None
    mesh_name: str = ""
    backends: tuple[str, ...] = ()
    apex: CustomMetadata | None = None
    primary: CustomMetadata | None = None
    canary: CustomMetadata | None = None
    unmanaged_metadata: UnmanagedMetadata = UnmanagedMetadata()

    @property
    def container_port(self) -> int | str | None:
        """Where the Services lead to; None for `port`, which 0 and "0" mean, too."""
        return None if self.target_port in (0, "", "0") else self.target_port


class ThresholdRange(Spec, frozen=True):
    """Inclusive bounds of a metric; percent for success rates, milliseconds for durations, else the raw value."""

    min: float | None = None
    max: float | None = None


class Policies(Spec, frozen=True):
    """What becomes of a check that gave no verdict: `fail` counts it as failed, `hold` halts without counting, for as
    long as the progress deadline at most, and `pass` goes on as if it had passed. Empty means the default."""

    no_data: str = ""
    inconclusive: str = ""
    cannot_measure: str = ""


class Metric(Spec, frozen=True):
    """One check of every tick.

    A value of fewer than `min_samples` samples is inconclusive. Built-in checks count requests; other queries say with
    `samples_query` how many samples their value has.
    """

    name: str
    interval: str = ""
    threshold: float = 0
    threshold_range: ThresholdRange | None = None
    query: str = ""
    template_ref: ObjectRef | None = None
    template_variables: dict[str, str] = {}
    min_samples: int = 0
    samples_query: str = ""
    policies: Policies = Policies()

    @property
    def built_in(self) -> bool:
        """Whether the name is reserved for a query of ours."""
        return self.name in RESERVED_METRICS


class Webhook(Spec, frozen=True):
    """One hook; an empty `type` means `rollout`.

    `secret_ref` names a Secret in the Canary's namespace to log in or to sign with. No retry begins later than
    `retry_deadline` after the first attempt. With `hide_response` a receiver's words are never told, only its status.
    A gate that stays closed for `deadline` ends the release. Both are Go durations.
    """

    name: str
    url: str
    type: str = ""
    timeout: str = ""
    retries: int = 0
    retry_deadline: str = ""
    disable_tls: bool = msgspec.field(default=False, name="disableTLS")
    mute_alert: bool = False
    hide_response: bool = False
    deadline: str = ""
    secret_ref: ObjectRef | None = None
    metadata: dict[str, str] = {}

    @property
    def kind(self) -> str:
        """The type with its default filled in."""
        return self.type or "rollout"


class Alert(Spec, frozen=True):
    """Where to send alerts of at least `severity`; empty means `info`, as documented."""

    name: str = ""
    severity: str = ""
    provider_ref: ObjectRef = ObjectRef(name="")


class SessionAffinity(Spec, frozen=True):
    """Cookie stickiness of weighted runs; `max_age` in seconds, 0 means a day."""

    cookie_name: str
    primary_cookie_name: str = ""
    max_age: int = 86400
    domain: str = ""
    path: str = ""
    http_only: bool = False
    secure: bool = False
    partitioned: bool = False
    same_site: str = ""


class Analysis(Spec, frozen=True):
    """The checks and the traffic plan. Weights are shares of 100."""

    interval: str = ""
    threshold: int = 0
    iterations: int = 0
    step_weight: int = 0
    step_weights: tuple[int, ...] = ()
    max_weight: int = 0
    step_weight_promotion: int = 0
    mirror: bool = False
    mirror_weight: int = 0
    primary_ready_threshold: int | None = None
    canary_ready_threshold: int | None = None
    match: tuple[Mapping, ...] = ()
    metrics: tuple[Metric, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    alerts: tuple[Alert, ...] = ()
    session_affinity: SessionAffinity | None = None

    @property
    def failures_allowed(self) -> int:
        """Failed checks that cause a rollback; the default is 1."""
        return self.threshold if self.threshold > 0 else 1


class CanarySpec(Spec, frozen=True):
    """`spec` of a Canary."""

    target_ref: ObjectRef
    analysis: Analysis
    service: Service = Service()
    provider: str = ""
    metrics_server: str = ""
    autoscaler_ref: ScalerRef | None = None
    ingress_ref: ObjectRef | None = None
    route_ref: ObjectRef | None = None
    upstream_ref: ObjectRef | None = None
    progress_deadline_seconds: int | None = None
    skip_analysis: bool = False
    revert_on_deletion: bool = False
    suspend: bool = False

    @property
    def progress_deadline(self) -> int:
        """Seconds a rollout may stay unavailable; the default is 600."""
        return self.progress_deadline_seconds or 600


class Canary(msgspec.Struct, frozen=True):
    """A Canary as read from the API server: identity, a spec that could be decoded, and the status."""

    name: str
    namespace: str
    spec: CanarySpec
    status: CanaryStatus = CanaryStatus()
    uid: str = ""
    generation: int = 0
    deleted: bool = False
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}

    @property
    def target(self) -> str:
        """Name of the workload in `targetRef`."""
        return self.spec.target_ref.name

    @property
    def kind(self) -> str:
        """Kind of the workload in `targetRef`."""
        return self.spec.target_ref.kind

    @property
    def apex(self) -> str:
        """The name that users call."""
        return self.spec.service.name or self.target
