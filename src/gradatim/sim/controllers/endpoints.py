"""Who stands behind a Service: EndpointSlices for proxies, and the older Endpoints for everybody else.

The port of a slice carries the *name* of the Service's port, which is how proxies find it; all three conditions are
written, because some readers take a missing one for true and some for false.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from gradatim.ports.objects import ENDPOINT_SLICE, SERVICE, Manifest, Ref
from gradatim.sim.builtin.catalogue import ENDPOINTS, POD
from gradatim.sim.controllers.belonging import is_true, labels_of, owner_reference, ref_of
from gradatim.sim.history import Event
from gradatim.sim.store import Store

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"

Port: TypeAlias = tuple[str, int, str]
"""The name of the Service's port, the pod's port number, and the protocol."""


def target_ports(service: Manifest, pod: Manifest) -> tuple[Port, ...]:
    """Where a Service's ports lead in this pod; a named port that the pod does not have leads nowhere."""
    found: list[Port] = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort") or port["port"]
        number = target if isinstance(target, int) else _named_port(pod, target)
        if number is not None:
            found.append((port.get("name") or "", number, port.get("protocol") or "TCP"))
    return tuple(found)


def _named_port(pod: Manifest, name: str) -> int | None:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return int(name) if name.isdigit() else None


def services_of(store: Store, pod: Manifest) -> Iterator[Manifest]:
    """The Services whose selector selects a pod."""
    for service in store.scan(SERVICE, pod["metadata"]["namespace"]):
        if has_selector(service) and service["spec"]["selector"].items() <= labels_of(pod).items():
            yield service


def has_selector(service: Manifest) -> bool:
    """Is it a Service whose endpoints are ours to keep?"""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


class Endpoints:
    """The endpoints and endpointslice controllers in one."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All Services."""
        return [ref_of(SERVICE, service) for service in self.store.scan(SERVICE)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A Service itself, those that select (or selected) a pod, and the one a slice belongs to."""
        kind = event.ref.resource.qualified
        if kind in (SERVICE.qualified, ENDPOINTS.qualified):
            yield Ref(SERVICE, event.ref.namespace, event.ref.name)
        elif kind == ENDPOINT_SLICE.qualified and SERVICE_LABEL in labels_of(event.object):
            yield Ref(SERVICE, event.ref.namespace, labels_of(event.object)[SERVICE_LABEL])
        elif kind == POD.qualified:
            for pod in (event.object, event.previous):
                if pod is not None:
                    yield from (ref_of(SERVICE, service) for service in services_of(self.store, pod))

    def sync(self, ref: Ref) -> float | None:
        """Write the slices and the Endpoints of one Service."""
        service = self.store.peek(ref)
        if service is None or "deletionTimestamp" in service["metadata"]:
            self._clear(ref)
        elif has_selector(service):
            wanted = service["spec"]["selector"].items()
            pods = [pod for pod in self.store.scan(POD, ref.namespace) if wanted <= labels_of(pod).items()]
            self._write_slices(service, [pod for pod in pods if _counts(pod)])
            self._write_endpoints(service, [pod for pod in pods if _counts(pod)])
        return None

    def _clear(self, ref: Ref) -> None:
        for each in self._slices(ref):
            self.store.delete(ref_of(ENDPOINT_SLICE, each))
        endpoints = Ref(ENDPOINTS, ref.namespace, ref.name)
        if self.store.peek(endpoints) is not None:
            self.store.delete(endpoints)

    def _slices(self, service: Ref) -> list[Manifest]:
        mine = {SERVICE_LABEL: service.name, MANAGER_LABEL: MANAGER}.items()
        every = self.store.scan(ENDPOINT_SLICE, service.namespace)
        return [each for each in every if mine <= labels_of(each).items()]

    def _write_slices(self, service: Manifest, pods: Sequence[Manifest]) -> None:
        """One slice for each set of port numbers; named ports may differ between pods."""
        groups: dict[tuple[Port, ...], list[Manifest]] = {}
        for pod in pods:
            groups.setdefault(target_ports(service, pod), []).append(pod)
        if not groups:
            groups[()] = []
        existing = self._slices(ref_of(SERVICE, service))
        for ports, members in groups.items():
            # Without any pod there is one slice with nothing in it; proxies are to know the Service nevertheless.
            body = {"ports": _slice_ports(ports) or None, "endpoints": [_endpoint(service, pod) for pod in members]}
            fitting = [each for each in existing if each.get("ports") == body["ports"]]
            if len(groups) == 1:
                fitting += existing  # rather change a slice than leave proxies without one for a moment
            if fitting:
                existing.remove(fitting[0])
                if any(fitting[0].get(key) != value for key, value in body.items()):
                    self.store.update(ref_of(ENDPOINT_SLICE, fitting[0]), {**fitting[0], **body})
            else:
                self._create_slice(service, body)
        for each in existing:
            self.store.delete(ref_of(ENDPOINT_SLICE, each))

    def _create_slice(self, service: Manifest, body: Manifest) -> None:
        meta = service["metadata"]
        slice_: Manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": {**labels_of(service), SERVICE_LABEL: meta["name"], MANAGER_LABEL: MANAGER},
                "ownerReferences": [owner_reference(SERVICE, service)],
            },
            "addressType": "IPv4",
            **body,
        }
        self.store.create(Ref(ENDPOINT_SLICE, meta["namespace"], ""), slice_)

    def _write_endpoints(self, service: Manifest, pods: Sequence[Manifest]) -> None:
        subsets = _subsets(service, pods)
        meta = service["metadata"]
        ref = Ref(ENDPOINTS, meta["namespace"], meta["name"])
        existing = self.store.peek(ref)
        if existing is None:
            body: Manifest = {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": labels_of(service)},
            }
            self.store.create(ref, {**body, "subsets": subsets} if subsets else body)
        elif (existing.get("subsets") or []) != subsets:
            self.store.mutate(ref, lambda obj: obj.update(subsets=subsets))


def _counts(pod: Manifest) -> bool:
    """Pods with an address that have not ended, those being deleted included."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _slice_ports(ports: Sequence[Port]) -> list[Manifest]:
    return [{"name": name, "port": number, "protocol": protocol} for name, number, protocol in ports]


def _endpoint(service: Manifest, pod: Manifest) -> Manifest:
    serving, terminating = is_true(pod, "Ready"), "deletionTimestamp" in pod["metadata"]
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": always or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": _target_ref(pod),
    }


def _target_ref(pod: Manifest) -> Manifest:
    meta = pod["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _subsets(service: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[tuple[Port, ...], dict[str, list[Any]]] = {}
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"] and not always:
            continue
        group = groups.setdefault(target_ports(service, pod), {})
        kind = "addresses" if always or is_true(pod, "Ready") else "notReadyAddresses"
        address = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName", "")}
        group.setdefault(kind, []).append({**address, "targetRef": _target_ref(pod)})
    return [{**addresses, "ports": _slice_ports(ports)} for ports, addresses in groups.items()]
