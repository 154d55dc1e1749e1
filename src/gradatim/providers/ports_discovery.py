"""Which container ports of a target its Services expose beside the main one (`spec.service.portDiscovery`).

Asked by the workloads, which know the pods; what a Service looks like is `services`' part.

Same as Flagger where its result is a valid Service. Better where it is not: a port number or a port name never comes
twice, neither among the discovered ports nor beside the main one. A second port of a number is left out, since one
entry reaches it already; a second port of a name gets the name that an unnamed one would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradatim.api.canary import Service
from gradatim.ports.objects import Manifest
from gradatim.ports.scene import Port
from gradatim.providers import manifests

_SIDECARS = ("istio-proxy", "envoy")


def main_port_name(service: Service) -> str:
    """The name of the one port that every generated Service has."""
    return service.port_name or "http"


def discovered_ports(pod_spec: Manifest, service: Service) -> tuple[Port, ...]:
    """The further ports in the order of the containers; none without `portDiscovery`."""
    if not service.port_discovery:
        return ()
    found: list[Port] = []
    numbers, names = {service.port}, {main_port_name(service)}
    for container, index, port in _container_ports(pod_spec):
        number = manifests.number(port, "containerPort")
        if _is_main(port, number, service) or number in numbers:
            continue
        unnamed = f"tcp-{container}-{index}"
        name = manifests.text(port, "name") or unnamed
        found.append(Port(unnamed if name in names else name, number))
        numbers.add(number)
        names.add(found[-1].name)
    return tuple(found)


def _container_ports(pod_spec: Manifest) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for container in manifests.items(pod_spec, "containers"):
        name = manifests.text(container, "name")
        if name not in _SIDECARS:
            for index, port in enumerate(manifests.items(container, "ports")):
                yield name, index, port


def _is_main(port: Manifest, number: int, service: Service) -> bool:
    match service.container_port:
        case None:
            return number == service.port
        case int(wanted):
            return number == wanted
        case wanted:
            return manifests.text(port, "name") == wanted
