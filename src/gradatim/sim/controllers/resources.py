"""The kinds that only the simulated cluster's controllers deal with."""

from __future__ import annotations

from gradatim.ports.objects import Resource

POD = Resource("", "v1", "pods", "Pod")
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
