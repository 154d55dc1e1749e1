"""From a Pod object to an order for the runner: images, environment, ports, grace. Reads the store, changes nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from gradatim.ports.objects import CONFIG_MAP, SECRET, Manifest, Ref, Resource
from gradatim.sim.controllers.endpoints import services_of, target_ports
from gradatim.sim.pods.runner import PodOrder
from gradatim.sim.store import Store

DEFAULT_GRACE = 30


class NotConfigured(Exception):
    """A ConfigMap, a Secret or one of their keys is not there (yet); the sentence is kubectl's."""


def order_for(store: Store, pod: Manifest, address: str) -> PodOrder:
    """What to run for a pod; raises NotConfigured when its environment cannot be put together."""
    meta, spec = pod["metadata"], pod["spec"]
    first = spec["containers"][0]
    return PodOrder(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        node=spec.get("nodeName", ""),
        address=address,
        images=tuple(container["image"] for container in spec["containers"]),
        command=(*(first.get("command") or ()), *(first.get("args") or ())),
        environment=tuple(environment(store, pod, first, address).items()),
        ports=ports(store, pod),
        grace=grace_of(pod),
    )


def grace_of(pod: Manifest) -> float:
    """How long a pod may take to end."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    usual = pod["spec"].get("terminationGracePeriodSeconds")
    return float(next((value for value in (asked, usual) if value is not None), DEFAULT_GRACE))


def ports(store: Store, pod: Manifest) -> tuple[int, ...]:
    """Where the pod has to listen: what its containers declare, Services send to, and Prometheus is told to ask."""
    found = {
        int(port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if (port.get("protocol") or "TCP") == "TCP"
    }
    annotations = pod["metadata"].get("annotations") or {}
    if annotations.get("prometheus.io/scrape") == "true" and annotations.get("prometheus.io/port", "").isdigit():
        found.add(int(annotations["prometheus.io/port"]))
    for service in services_of(store, pod):
        found.update(number for _, number, protocol in target_ports(service, pod) if protocol == "TCP")
    return tuple(sorted(found))


def environment(store: Store, pod: Manifest, container: Manifest, address: str) -> dict[str, str]:
    """The container's environment, references to ConfigMaps, Secrets and the pod itself filled in."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for resource, reference in _sources(source):
            data = _data(store, resource, pod["metadata"]["namespace"], reference)
            found.update({f"{prefix}{key}": value for key, value in data.items()})
    for variable in container.get("env") or ():
        value = _value(store, pod, variable, address)
        if value is not None:
            found[variable["name"]] = value
    return found


def _sources(source: Manifest) -> Iterator[tuple[Resource, Manifest]]:
    if source.get("configMapRef"):
        yield CONFIG_MAP, source["configMapRef"]
    if source.get("secretRef"):
        yield SECRET, source["secretRef"]


def _data(store: Store, resource: Resource, namespace: str, reference: Manifest) -> dict[str, str]:
    obj = store.peek(Ref(resource, namespace, reference["name"]))
    if obj is None:
        if reference.get("optional"):
            return {}
        raise NotConfigured(f'{resource.kind.lower()} "{reference["name"]}" not found')
    data: dict[str, str] = obj.get("data") or {}
    return {key: _decoded(value) for key, value in data.items()} if resource is SECRET else data


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode(errors="replace")
    except binascii.Error:
        return value


def _value(store: Store, pod: Manifest, variable: Manifest, address: str) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value") or "")
    if source.get("fieldRef"):
        return _field(pod, source["fieldRef"]["fieldPath"], address)
    for resource, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
        if source.get(field):
            return _key(store, pod, resource, source[field])
    return None


def _key(store: Store, pod: Manifest, resource: Resource, reference: Manifest) -> str | None:
    data = _data(store, resource, pod["metadata"]["namespace"], reference)
    if reference["key"] not in data and not reference.get("optional"):
        where = f"{resource.kind} {pod['metadata']['namespace']}/{reference['name']}"
        raise NotConfigured(f"couldn't find key {reference['key']} in {where}")
    return data.get(reference["key"])


def _field(pod: Manifest, path: str, address: str) -> str:
    meta = pod["metadata"]
    if path.startswith("metadata.labels['") or path.startswith("metadata.annotations['"):
        group, _, key = path.removeprefix("metadata.").partition("['")
        return str((meta.get(group) or {}).get(key.removesuffix("']"), ""))
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.hostIP": address,
    }
    return str(known.get(path, ""))
