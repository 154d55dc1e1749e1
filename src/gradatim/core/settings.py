"""The operator's settings as far as decisions and translations depend on them; parsed once, in `apps`."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Flags that change what is decided or written. Defaults are Flagger's; the flag's name stands in each line."""

    mesh_provider: str = "istio"
    """`-mesh-provider`: used by Canaries without `spec.provider`."""
    metrics_server: str = "http://prometheus:9090"
    """`-metrics-server`: Prometheus of built-in checks and inline queries."""
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    """`-selector-labels`: label keys tried in this order to tell primary and canary pods apart."""
    include_label_prefix: tuple[str, ...] = ()
    """`-include-label-prefix`: prefixes of label keys copied to primaries; `*` means all, none means none."""
    config_tracking: bool = True
    """`-enable-config-tracking`: whether ConfigMaps and Secrets are copied and watched for changes."""
    ingress_annotations_prefix: str = "nginx.ingress.kubernetes.io"
    """`-ingress-annotations-prefix`: prefix of the canary annotations of the NGINX router."""
    ingress_class: str = ""
    """`-ingress-class`: class written on Contour proxies."""
    no_cross_namespace_refs: bool = False
    """`-no-cross-namespace-refs`: refuse references that leave the Canary's namespace."""
    cluster_name: str = ""
    """`-cluster-name`: the `Cluster` field of alerts."""
    interval_floor: float = 10.0
    """Seconds; an analysis interval below it is raised to it, as Flagger does. Only the playground lowers it."""
    settle: float = 2.0
    """Seconds granted to proxies to follow a shift of traffic before pods without traffic are taken away."""
    drain: float = 0.0
    """`-drain-timeout`: seconds that such pods are kept at most while requests to them are counted; 0: not asked."""
