"""The three Services of a Deployment or DaemonSet: canary, primary and the apex that users call.

The apex always selects the primary's pods; meshes split traffic between the other two. Which ports a pod has is
`ports_discovery`'s part, routes are the meshes'.

Same as Flagger: a Service that goes with the Canary has exactly our labels and annotations (but those in
`unmanagedMetadata`), any other Service keeps its own; node ports stay; cluster IP and type are never changed. What the
API server fills in is never taken for a difference.

Better than Flagger: an apex Service that was there before us keeps its further ports, and is given back whole
(selector, ports, annotations) on deletion. `trafficDistribution` reaches Services that exist already. An apex that is
gone or was never taken over does not hold up a deletion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gradatim.api.canary import Canary, CustomMetadata
from gradatim.core import names
from gradatim.ports.objects import SERVICE, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import adoption, manifests
from gradatim.providers.manifests import ORIGINAL, flux_guard
from gradatim.providers.ports_discovery import main_port_name


def reads(scene: Scene) -> tuple[Ref, ...]:
    """The canary's, the primary's and the apex Service."""
    canary = scene.canary
    return tuple(
        _ref(canary, name) for name in (names.canary_service(canary), names.primary_service(canary), canary.apex)
    )


def branches(scene: Scene, seen: Seen) -> list[Manifest]:
    """The Services in front of the target and in front of the primary, in writing order."""
    canary, service = scene.canary, scene.canary.spec.service
    return [
        _service(scene, seen, names.canary_service(canary), scene.value, service.canary),
        _service(scene, seen, names.primary_service(canary), _primary(scene), service.primary),
    ]


def apex(scene: Scene, seen: Seen) -> list[Manifest]:
    """The Service that users call, pointed at the primary's pods."""
    return [_service(scene, seen, scene.canary.apex, _primary(scene), scene.canary.spec.service.apex)]


def restore_apex(scene: Scene, seen: Seen) -> list[Manifest]:
    """An apex Service that was there before us as it was; nothing where it goes with a Canary or is gone already."""
    found = seen[_ref(scene.canary, scene.canary.apex)]
    if found is None or manifests.controlled_by_any_canary(found) or not _taken_over(scene, found):
        return []
    wanted = manifests.copy_of(found)
    before = adoption.before_us(found) or _plain(scene, found)
    ports = [_filled(port) for port in manifests.items(before, "spec", "ports")]
    manifests.put(wanted, manifests.at(before, "spec", "selector"), "spec", "selector")
    manifests.put(wanted, _kept_or_new(found, ports) or None, "spec", "ports")
    adoption.give_metadata_back(wanted, before, (), flux_guard())
    return [wanted]


def _plain(scene: Scene, found: Manifest) -> Manifest:
    """What an apex Service is taken to have been when nobody noted it: in front of the target, with its ports."""
    ours = _ports(scene)
    return {"spec": {"selector": {scene.label: scene.value}, "ports": [*ours, *_further(found, ours)]}}


def _service(scene: Scene, seen: Seen, name: str, value: str, custom: CustomMetadata | None) -> Manifest:
    found = seen[_ref(scene.canary, name)]
    if found is None:
        return _created(scene, name, value, custom)
    if manifests.controlled_by(found, scene.canary):
        return _owned(scene, found, value, custom)
    return _adopted(scene, found, value)


def _created(scene: Scene, name: str, value: str, custom: CustomMetadata | None) -> Manifest:
    service = scene.canary.spec.service
    labels, annotations = _metadata(scene, name, custom)
    wanted = manifests.new_object(
        SERVICE, scene.canary.namespace, name, scene.canary, labels=labels, annotations=annotations
    )
    wanted["spec"] = {"type": "ClusterIP", "selector": {scene.label: value}, "ports": _ports(scene)}
    if service.headless:
        wanted["spec"]["clusterIP"] = "None"
    if service.traffic_distribution:
        wanted["spec"]["trafficDistribution"] = service.traffic_distribution
    return wanted


def _owned(scene: Scene, found: Manifest, value: str, custom: CustomMetadata | None) -> Manifest:
    service = scene.canary.spec.service
    labels, annotations = _metadata(scene, manifests.text(found, "metadata", "name"), custom)
    wanted = manifests.copy_of(found)
    for kind, ours, unmanaged in (
        ("labels", labels, service.unmanaged_metadata.labels),
        ("annotations", annotations, service.unmanaged_metadata.annotations),
    ):
        live = manifests.mapping(found, "metadata", kind)
        kept = {key: live[key] for key in unmanaged if key in live}
        manifests.put(wanted, ours | kept, "metadata", kind)
    manifests.put(wanted, {scene.label: value}, "spec", "selector")
    manifests.put(wanted, _kept_or_new(found, _ports(scene)), "spec", "ports")
    if service.traffic_distribution:
        manifests.put(wanted, service.traffic_distribution, "spec", "trafficDistribution")
    return wanted


def _adopted(scene: Scene, found: Manifest, value: str) -> Manifest:
    """Somebody else's Service: selector and our ports only; its metadata is touched only when these change."""
    wanted = manifests.copy_of(found)
    ours = _ports(scene) if scene.canary.spec.service.port_name else _under_live_names(_ports(scene), found)
    selector = {scene.label: value}
    manifests.put(wanted, selector, "spec", "selector")
    manifests.put(wanted, _kept_or_new(found, [*ours, *_further(found, ours)]), "spec", "ports")
    if wanted == found:
        return wanted
    if _to_be_noted(scene, found, selector):
        live = manifests.mapping(found, "spec")
        spec: Manifest = {key: live[key] for key in ("selector", "ports") if key in live}
        adoption.mark(wanted, found, spec, (), flux_guard())
    for key, guard in flux_guard().items():
        manifests.put(wanted, guard, "metadata", "annotations", key)
    return wanted


def _to_be_noted(scene: Scene, found: Manifest, selector: dict[str, str]) -> bool:
    """Only the apex is given back. A selector that is ours already was set by Flagger: that was not there before us."""
    return (
        manifests.text(found, "metadata", "name") == scene.canary.apex
        and ORIGINAL not in manifests.annotations_of(found)
        and manifests.mapping(found, "spec", "selector") != selector
    )


def _taken_over(scene: Scene, found: Manifest) -> bool:
    selected = manifests.mapping(found, "spec", "selector")
    return ORIGINAL in manifests.annotations_of(found) or (
        bool(scene.label) and selected == {scene.label: _primary(scene)}
    )


def _metadata(scene: Scene, name: str, custom: CustomMetadata | None) -> tuple[dict[str, str], dict[str, str]]:
    custom = custom or CustomMetadata()
    return {**custom.labels, scene.label: name}, {**custom.annotations, **flux_guard()}


def _ports(scene: Scene) -> list[Manifest]:
    service = scene.canary.spec.service
    main: Manifest = {
        "name": main_port_name(service),
        "protocol": "TCP",
        "port": service.port,
        "targetPort": service.container_port or service.port,
    }
    if service.app_protocol:
        main["appProtocol"] = service.app_protocol
    found = [{"name": p.name, "protocol": "TCP", "port": p.port, "targetPort": p.port} for p in scene.ports]
    return [main, *found]


def _under_live_names(ours: list[Manifest], found: Manifest) -> list[Manifest]:
    """Our ports with the names that an adopted Service has for these numbers, or none where it gave none.

    Proxies match Service and endpoints by the port's name. With another name they find no endpoints between our write
    and that of the endpoints controller, and answer 503 in the meantime.
    """
    live = {(port["port"], port["protocol"]): port for port in map(_filled, manifests.items(found, "spec", "ports"))}
    named = [_named(port, live.get((port["port"], port["protocol"])), alone=len(ours) == 1) for port in ours]
    names = [port.get("name") for port in named]
    return named if len(set(names)) == len(names) else ours


def _named(port: Manifest, live: Manifest | None, *, alone: bool) -> Manifest:
    """A port under the name of its live one; only the one port of a Service may go without."""
    if live is None or not (live.get("name") or alone):
        return port
    bare = {key: value for key, value in port.items() if key != "name"}
    return bare | {"name": live["name"]} if live.get("name") else bare


def _further(found: Manifest, ours: list[Manifest]) -> list[Manifest]:
    """The ports of an adopted Service that do not collide with ours; each has a name, as several ports must."""
    numbers = {(port["port"], port["protocol"]) for port in ours}
    taken = {port.get("name") for port in ours}
    further = []
    for port in map(_filled, manifests.items(found, "spec", "ports")):
        name = port.get("name") or f"{port['protocol'].lower()}-{port['port']}"
        if (port["port"], port["protocol"]) not in numbers and name not in taken:
            further.append({**port, "name": name})
    return further


def _kept_or_new(found: Manifest, wanted: list[Manifest]) -> list[Manifest]:
    """The live ports where they say the same in any order, else the wanted ones with their node ports."""
    live = manifests.items(found, "spec", "ports")
    if _ordered(live) == _ordered(wanted):
        return manifests.copy_of(live)
    return [_with_node_port(port, live) for port in wanted]


def _with_node_port(port: Manifest, live: list[Manifest]) -> Manifest:
    """A port with the node port of the live port of its name, else of its number: load balancers point there."""
    for key in ("name", "port"):
        for other in live:
            if other.get("nodePort") and other.get(key) == port.get(key):
                return {"nodePort": other["nodePort"], **port}
    return port


def _ordered(ports: Iterable[Manifest]) -> list[Manifest]:
    bare = ({key: value for key, value in _filled(port).items() if key != "nodePort"} for port in ports)
    return sorted(bare, key=lambda port: (port["port"], port["protocol"], port.get("name", "")))


def _filled(port: Manifest) -> Manifest:
    """A port with what the API server fills in."""
    defaults: dict[str, Any] = {"protocol": "TCP", "targetPort": port.get("port")}
    return defaults | port


def _primary(scene: Scene) -> str:
    return f"{scene.value}-primary"


def _ref(canary: Canary, name: str) -> Ref:
    return Ref(SERVICE, canary.namespace, name)
