"""Services: defaults, addresses and node ports, and what may not change once given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim import names
from gradatim.sim.builtin.addresses import EXTERNAL, HEADLESS, allot
from gradatim.sim.builtin.kind import Builtin, masked
from gradatim.sim.builtin.podspec import check_labels
from gradatim.sim.refusals import Cause, duplicate, forbidden_field, invalid, required
from gradatim.sim.store import Store

_PORT_RULE = "must be between 1 and 65535, inclusive"
_AFFINITY_SECONDS = 10800


class Service(Builtin):
    """A Service."""

    shows_deleted = True
    created_by_update = True
    selectable = ("spec.clusterIP", "spec.type")

    def names(self, name: str, generated: bool) -> list[str]:
        """A Service's name is one label of a DNS name."""
        return list(names.label(masked(name) if generated else name))

    def default(self, obj: Manifest) -> None:
        """Ports that point to themselves, policies that fit the type."""
        spec = obj["spec"]
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        elif spec["sessionAffinity"] == "ClientIP":
            client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            client.setdefault("timeoutSeconds", _AFFINITY_SECONDS)
        for port in spec.get("ports", ()):
            if not port.get("targetPort"):
                port["targetPort"] = port["port"]
        if spec["type"] in EXTERNAL or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def prepare_update(self, new: Manifest, old: Manifest, subresource: str) -> None:
        """What was handed out stays, unless the type has no use for it."""
        if subresource:
            return
        spec, before = new["spec"], old["spec"]
        changed = spec.get("clusterIP") and spec.get("clusterIP") != before.get("clusterIP")
        if changed and spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif before.get("clusterIPs") and spec.get("clusterIPs") == before["clusterIPs"] and not spec.get("clusterIP"):
            del spec["clusterIPs"]
        if before["type"] in EXTERNAL and spec["type"] not in EXTERNAL:
            _drop_same(spec, before, "externalTrafficPolicy", "allocateLoadBalancerNodePorts", "loadBalancerClass")
        if spec["type"] != "ExternalName" and before["type"] != "ExternalName":
            if not spec.get("clusterIP") and not spec.get("clusterIPs"):
                _take(spec, before, "clusterIP", "clusterIPs")
            for key in ("ipFamilies", "ipFamilyPolicy"):
                if key not in spec:
                    _take(spec, before, key)
        elif spec["type"] == "ExternalName" and spec.get("clusterIP") == before.get("clusterIP"):
            for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                spec.pop(key, None)
        _keep_node_ports(spec, before)

    def remarks(self, new: Manifest, old: Manifest | None) -> Iterator[str]:
        """A name outside that nobody will look at."""
        if new["spec"].get("externalName") and new["spec"]["type"] != "ExternalName":
            yield 'spec.externalName is ignored when spec.type is not "ExternalName"'

    def check_status(self, new: Manifest, old: Manifest) -> Iterator[Cause]:
        """Only a load balancer has ingress points."""
        if new["status"].get("loadBalancer", {}).get("ingress") and new["spec"]["type"] != "LoadBalancer":
            detail = "may only be used when `spec.type` is 'LoadBalancer'"
            yield forbidden_field("status.loadBalancer.ingress", detail)

    def allocate(self, new: Manifest, old: Manifest | None, store: Store) -> None:
        """Hand out a cluster address and node ports."""
        if new["spec"]["type"] != "ExternalName":
            allot(new, old, store, self.resource)

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Ports, addresses, names."""
        spec = new["spec"]
        if old is not None and "ExternalName" not in (spec["type"], old["spec"]["type"]):
            before, now = old["spec"].get("clusterIPs", []), spec.get("clusterIPs", [])
            if before and now != before:
                yield invalid("spec.clusterIPs[0]", now, "may not change once set")
        ports = spec.get("ports", [])
        if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != HEADLESS:
            yield required("spec.ports")
        if spec["type"] == "ExternalName" and not spec.get("externalName"):
            yield required("spec.externalName")
        elif spec["type"] == "ExternalName":
            name = spec["externalName"].removesuffix(".")
            yield from (invalid("spec.externalName", spec["externalName"], wrong) for wrong in names.subdomain(name))
        yield from _check_ports(spec, ports)
        yield from check_labels(spec.get("selector", {}), "spec.selector")
        if spec.get("externalTrafficPolicy") and spec["type"] not in EXTERNAL and not spec.get("externalIPs"):
            detail = "may only be set for externally-accessible services"
            yield invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], detail)


def _check_ports(spec: Manifest, ports: list[Manifest]) -> Iterator[Cause]:
    taken_names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{path}.name")
        elif name:
            yield from (invalid(f"{path}.name", name, sentence) for sentence in names.label(name))
            if name in taken_names:
                yield duplicate(f"{path}.name", name)
            taken_names.add(name)
        if not 0 < port["port"] < 65536:
            yield invalid(f"{path}.port", port["port"], _PORT_RULE)
        yield from check_target(port["targetPort"], f"{path}.targetPort")
        if port.get("nodePort") and spec["type"] not in EXTERNAL:
            yield forbidden_field(f"{path}.nodePort", f"may not be used when `type` is '{spec['type']}'")
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        if (port["protocol"], port["port"]) in seen:
            shown = {"Name": "", "Protocol": port["protocol"], "AppProtocol": None, "Port": port["port"]}
            yield duplicate(f"spec.ports[{index}]", shown | {"TargetPort": 0, "NodePort": 0})
        seen.add((port["protocol"], port["port"]))


def check_target(target: Any, path: str) -> Iterator[Cause]:
    """A port by number or by name."""
    if isinstance(target, int):
        if not 0 < target < 65536:
            yield invalid(path, target, _PORT_RULE)
        return
    if len(target) > 15:
        yield invalid(path, target, "must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", target):
        yield invalid(path, target, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", target):
        yield invalid(path, target, "must contain at least one letter (a-z)")
    if "--" in target:
        yield invalid(path, target, "must not contain consecutive hyphens")
    if target.startswith("-") or target.endswith("-"):
        yield invalid(path, target, "must not begin or end with a hyphen")


def _keep_node_ports(spec: Manifest, before: Manifest) -> None:
    if spec["type"] in EXTERNAL and before["type"] in EXTERNAL:
        given = {(port["protocol"], port["port"]): port.get("nodePort") for port in before.get("ports", ())}
        for port in spec.get("ports", ()):
            kept = given.get((port["protocol"], port["port"]))
            if not port.get("nodePort") and kept:
                port["nodePort"] = kept
    elif before["type"] in EXTERNAL:
        given = {(port["protocol"], port["port"]): port.get("nodePort") for port in before.get("ports", ())}
        for port in spec.get("ports", ()):
            if port.get("nodePort") == given.get((port["protocol"], port["port"])):
                port.pop("nodePort", None)


def _drop_same(new: Manifest, old: Manifest, *keys: str) -> None:
    for key in keys:
        if key in new and new[key] == old.get(key):
            del new[key]


def _take(new: Manifest, old: Manifest, *keys: str) -> None:
    for key in keys:
        if key in old:
            new[key] = old[key]
