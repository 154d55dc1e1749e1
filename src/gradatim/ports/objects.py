"""Names of objects in a cluster, and the objects themselves as plain mappings.

Other people's objects are read through narrow views and written back whole or patched, never through typed models:
a typed round trip drops the fields its author did not know.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as decoded JSON."""


class Resource(msgspec.Struct, frozen=True, order=True):
    """One kind of object and where the API serves it. `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`deployments.apps`, as RBAC rules and kubectl spell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Ref(msgspec.Struct, frozen=True, order=True):
    """The name of one object. `namespace` is empty for cluster-scoped kinds."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.qualified} {self.name}.{self.namespace}"


CANARY = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRIC_TEMPLATE = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDER = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")

DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
DAEMON_SET = Resource("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLER_REVISION = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
SERVICE = Resource("", "v1", "services", "Service")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SECRET = Resource("", "v1", "secrets", "Secret")
EVENT = Resource("", "v1", "events", "Event")
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
HORIZONTAL_POD_AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECT = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
INGRESS = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
TRAEFIK_SERVICE = Resource("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
KNATIVE_SERVICE = Resource("serving.knative.dev", "v1", "services", "Service")
KNATIVE_REVISION = Resource("serving.knative.dev", "v1", "revisions", "Revision")
