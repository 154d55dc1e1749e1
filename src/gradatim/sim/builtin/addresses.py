"""Cluster addresses, address families and node ports of Services: which may be asked for, and which are handed out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.refusals import Cause, invalid, invalid_object
from gradatim.sim.store import Store

RANGE = ipaddress.ip_network("10.96.0.0/16")
KEPT_FREE = 256
"""The lower end of the range is for addresses that people ask for, such as a cluster's DNS."""
NODE_PORTS = range(30000, 32768)

HEADLESS = "None"
EXTERNAL = ("NodePort", "LoadBalancer")


def allot(new: Manifest, old: Manifest | None, store: Store, resource: Resource) -> None:
    """Settle the addresses, families and node ports of a Service that is about to be written."""
    spec = new["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    causes = list(_check(spec))
    if causes:
        raise invalid_object("", "Service", new["metadata"]["name"], causes)
    services = [one["spec"] for one in store.scan(resource)]
    if old is None or "clusterIP" not in old["spec"]:
        _give_address(new, store, {one.get("clusterIP") for one in services})
    dual = spec["clusterIP"] == HEADLESS and not spec.get("selector")
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if dual else "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if dual else ["IPv4"])
    if spec["type"] in EXTERNAL:
        _give_node_ports(spec, store, services)


def _check(spec: Manifest) -> Iterator[Cause]:
    """What is refused before anybody looks at the rest."""
    headless = spec.get("clusterIP") == HEADLESS
    if headless and spec["type"] in EXTERNAL:
        yield invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {spec['type']} services")
    for index, address in enumerate(spec.get("clusterIPs", ())):
        if address != HEADLESS and _address(address) is None:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield invalid(f"spec.clusterIPs[{index}]", address, detail)
    policy = spec.get("ipFamilyPolicy")
    if policy == "RequireDualStack" and not (headless and not spec.get("selector")):
        yield invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")
    for index, family in enumerate(spec.get("ipFamilies", ())):
        if family == "IPv6" and policy == "SingleStack":
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _give_address(new: Manifest, store: Store, taken: set[str | None]) -> None:
    spec = new["spec"]
    wanted = spec.get("clusterIP")
    if wanted == HEADLESS:
        return
    if not wanted:
        first = int(RANGE.network_address)
        while not wanted or wanted in taken:
            wanted = str(ipaddress.ip_address(first + store.number(KEPT_FREE, RANGE.num_addresses - 1)))
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
        return
    why = ""
    if _address(wanted) not in RANGE:
        why = f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {RANGE}"
    elif wanted in taken:
        why = "provided IP is already allocated"
    if why:
        cause = invalid("spec.clusterIPs", spec["clusterIPs"], f"failed to allocate IP {wanted}: {why}")
        raise invalid_object("", "Service", new["metadata"]["name"], [cause])


def _give_node_ports(spec: Manifest, store: Store, services: list[Manifest]) -> None:
    used = {port.get("nodePort") for one in (*services, spec) for port in one.get("ports", ())}
    for port in spec.get("ports", ()):
        while not port.get("nodePort"):
            candidate = store.number(NODE_PORTS[0], NODE_PORTS[-1])
            if candidate not in used:
                used.add(candidate)
                port["nodePort"] = candidate


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
