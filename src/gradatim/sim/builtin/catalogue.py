"""Which kinds a cluster starts with, by which names and through which doors."""

from __future__ import annotations

from collections.abc import Iterator

from gradatim.ports import objects
from gradatim.ports.objects import Resource
from gradatim.sim.builtin import autoscaling, cluster, config, events, networking, pods, reviews, services, workloads
from gradatim.sim.builtin.kind import Builtin, Counted
from gradatim.sim.kind import Kind, ScalePaths
from gradatim.sim.store import Store

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
POD = Resource("", "v1", "pods", "Pod")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
INGRESS_CLASS = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")

_SCALE = ScalePaths()


def kinds() -> Iterator[Kind]:
    """Every kind but CustomResourceDefinition, which `sim.crds` brings."""
    yield cluster.Namespace(NAMESPACE, short_names=("ns",), status=True, also=("finalize",))
    yield cluster.Node(NODE, short_names=("no",), status=True)
    yield config.ConfigMap(objects.CONFIG_MAP, short_names=("cm",))
    yield config.Secret(objects.SECRET)
    yield Builtin(SERVICE_ACCOUNT, short_names=("sa",))
    yield services.Service(objects.SERVICE, short_names=("svc",), categories=("all",), status=True)
    yield cluster.Endpoints(ENDPOINTS, short_names=("ep",))
    yield pods.Pod(POD, short_names=("po",), categories=("all",), status=True, also=("log",))
    yield events.Event(objects.EVENT, short_names=("ev",), served=(objects.EVENT, events.NEWER))
    yield from _workloads()
    yield autoscaling.HorizontalPodAutoscaler(
        objects.HORIZONTAL_POD_AUTOSCALER, short_names=("hpa",), categories=("all",), status=True
    )
    yield networking.Ingress(objects.INGRESS, short_names=("ing",), status=True)
    yield networking.IngressClass(INGRESS_CLASS)
    yield networking.NetworkPolicy(NETWORK_POLICY, short_names=("netpol",))
    yield networking.EndpointSlice(objects.ENDPOINT_SLICE)
    yield cluster.Lease(objects.LEASE)
    yield cluster.PodDisruptionBudget(POD_DISRUPTION_BUDGET, short_names=("pdb",), status=True)
    yield from _roles()
    yield from reviews.reviews()


def _workloads() -> Iterator[Kind]:
    everything = ("all",)
    yield workloads.Deployment(
        objects.DEPLOYMENT, short_names=("deploy",), categories=everything, status=True, scale=_SCALE
    )
    yield workloads.ReplicaSet(REPLICA_SET, short_names=("rs",), categories=everything, status=True, scale=_SCALE)
    yield workloads.DaemonSet(objects.DAEMON_SET, short_names=("ds",), categories=everything, status=True)
    yield workloads.StatefulSet(STATEFUL_SET, short_names=("sts",), categories=everything, status=True, scale=_SCALE)
    yield Builtin(objects.CONTROLLER_REVISION)


def _roles() -> Iterator[Kind]:
    for kind, plural, rule in (("Role", "roles", cluster.Role), ("RoleBinding", "rolebindings", cluster.Binding)):
        yield rule(Resource(cluster.RBAC, "v1", plural, kind))
        yield rule(Resource(cluster.RBAC, "v1", f"cluster{plural}", f"Cluster{kind}", namespaced=False))


def install(store: Store) -> None:
    """Make a store serve all of them."""
    for kind in kinds():
        store.register(kind)


__all__ = ["Counted", "install", "kinds"]
