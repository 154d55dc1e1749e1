"""Core Services as targets: the back ends are the user's, we keep two clones of the Service for routes to point at.

Nothing runs here that could be waited for or scaled. The target itself, which users call, is never written.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.core.names import primary_workload
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Readiness, Ready
from gradatim.core.revision import revision
from gradatim.core.settings import Settings
from gradatim.ports.objects import CONTROLLER_REVISION, SERVICE, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Facts, Patch, WorkloadKind
from gradatim.providers import promoted
from gradatim.providers.absence import get_error, required
from gradatim.providers.manifests import (
    LAST_APPLIED,
    annotations_of,
    copy_of,
    items,
    labels_of,
    mapping,
    new_object,
    put,
    without_toolkit,
)

# Addresses belong to one Service: the API server allots them, or a network answers to them for one Service only.
_ALLOTTED = ("clusterIP", "clusterIPs", "healthCheckNodePort")
_TAKEN = ("externalIPs", "loadBalancerIP")
_HEADLESS = "None"


class CoreService:
    """See `ports.workload.Workload`."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """An autoscaler has nothing to scale here."""
        if canary.spec.autoscaler_ref:
            sentence = "a Service has no pods of its own that could be scaled; remove the reference"
            yield Problem("spec.autoscalerRef", sentence, blocks=False)

    def target(self, canary: Canary) -> Ref:
        """The Service in `targetRef`."""
        return Ref(SERVICE, canary.namespace, canary.target)

    def primary(self, canary: Canary) -> Ref | None:
        """`{target}-primary`."""
        return _primary(canary)

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterable[Ref]:
        """The target, its two clones, and what was promoted where that is needed."""
        yield from (self.target(canary), _primary(canary), _canary(canary))
        target = seen.get(self.target(canary))
        if target is not None and _primary(canary) in seen and seen[_primary(canary)] is None:
            yield from promoted.needed(canary, mapping(target, "spec"))

    def facts(self, canary: Canary, settings: Settings, seen: Seen) -> Facts:
        """The revision is that of the complete spec."""
        return Facts(revision=revision(mapping(self._found(canary, seen), "spec")))

    def create(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """The canary's clone as the target is now, on every call, and the primary's where it is missing."""
        canary = scene.canary
        target = self._found(canary, seen)
        writes = []
        live = seen[_canary(canary)]
        wanted = _clone(target, _canary(canary).name, scene) if live is None else _refreshed(target, live, scene)
        if wanted != live:
            writes.append(wanted)
        if seen[_primary(canary)] is None:
            spec = promoted.comes_back_as(canary, mapping(target, "spec"), seen, "service")
            writes.append(_clone(target | {"spec": spec}, primary_workload(canary), scene))
        return writes

    def abrupt(self, canary: Canary, seen: Seen) -> bool:
        """The pods are not ours to roll."""
        return False

    def keeping(self, canary: Canary, seen: Seen) -> Manifest | None:
        """The target's spec."""
        return promoted.keeping(canary, mapping(self._found(canary, seen), "spec"))

    def kept(self, canary: Canary, revision: str) -> Ref | None:
        """A ControllerRevision."""
        return promoted.kept(canary, revision)

    def promote(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """The primary's clone with the target's spec."""
        primary = _primary(scene.canary)
        before = f"updating service {primary.name}.{primary.namespace} spec failed: "
        live = required(seen, primary, "service", before)
        return (_refreshed(self._found(scene.canary, seen), live, scene),)

    def ready(self, scene: Scene, seen: Seen, *, primary: bool, now: float, since: float) -> Readiness:
        """A Service that is there is ready."""
        ref = _primary(scene.canary) if primary else self.target(scene.canary)
        return Absent(get_error("service", ref)) if seen[ref] is None else Ready()

    def stop(self, scene: Scene, seen: Seen) -> Patch | None:
        """The pods are not ours to stop."""
        return None

    def start(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """The pods are not ours to start."""
        return None

    def revert(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """The target was never changed."""
        return None

    def _found(self, canary: Canary, seen: Seen) -> Manifest:
        """The target. Flagger's sentence about a missing one names the primary; it is kept for those who match it."""
        ref = self.target(canary)
        before = f"service {canary.target}-primary.{canary.namespace} get query error: "
        return required(seen, ref, "service", before)


def _primary(canary: Canary) -> Ref:
    return Ref(SERVICE, canary.namespace, primary_workload(canary))


def _canary(canary: Canary) -> Ref:
    # By the target's name, unlike the Services that are generated for pods.
    return Ref(SERVICE, canary.namespace, f"{canary.target}-canary")


def _clone(target: Manifest, name: str, scene: Scene) -> Manifest:
    """A new Service like the target, with addresses of its own."""
    canary = scene.canary
    labels, annotations = _metadata(target)
    clone = new_object(SERVICE, canary.namespace, name, canary, labels=labels, annotations=annotations)
    return clone | {"spec": _spec(target, scene)}


def _refreshed(target: Manifest, live: Manifest, scene: Scene) -> Manifest:
    """A clone as the target is now; addresses, owners and what others wrote into the metadata stay."""
    wanted = copy_of(live)
    labels, annotations = _metadata(target)
    put(wanted, (labels_of(live) | labels) or None, "metadata", "labels")
    put(wanted, (annotations_of(live) | annotations) or None, "metadata", "annotations")
    spec = _spec(target, scene)
    wanted["spec"] = spec | _addresses(live, spec)
    return wanted


def _metadata(target: Manifest) -> tuple[dict[str, str], dict[str, str]]:
    annotations = {key: value for key, value in annotations_of(target).items() if key != LAST_APPLIED}
    return without_toolkit(labels_of(target)), without_toolkit(annotations)


def _spec(target: Manifest, scene: Scene) -> Manifest:
    """The target's spec without the addresses that only one Service can have; headless stays headless."""
    headless = mapping(target, "spec").get("clusterIP") == _HEADLESS
    kept = {key: value for key, value in copy_of(mapping(target, "spec")).items() if key not in (*_ALLOTTED, *_TAKEN)}
    for port in items(kept, "ports"):
        port.pop("nodePort", None)
    if headless:
        kept["clusterIP"] = _HEADLESS
    if distribution := scene.canary.spec.service.traffic_distribution:
        kept["trafficDistribution"] = distribution
    return kept


def _addresses(live: Manifest, spec: Manifest) -> Manifest:
    """What the API server allotted to a clone, as far as its new type may have it."""
    if spec.get("type") == "ExternalName":
        return {}
    old = mapping(live, "spec")
    checked = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    kept = [key for key in _ALLOTTED if key in old and (checked or key != "healthCheckNodePort")]
    return {key: old[key] for key in kept} | {"ports": _with_node_ports(old, spec)}


def _with_node_ports(old: Manifest, spec: Manifest) -> list[Manifest]:
    if spec.get("type") not in ("NodePort", "LoadBalancer"):
        return items(spec, "ports")
    allotted = {_identity(port): port["nodePort"] for port in items(old, "ports") if port.get("nodePort")}
    return [
        port | ({"nodePort": allotted[_identity(port)]} if _identity(port) in allotted else {})
        for port in items(spec, "ports")
    ]


def _identity(port: Manifest) -> tuple[object, object]:
    return port.get("port"), port.get("protocol", "TCP")


KINDS: tuple[WorkloadKind, ...] = (
    WorkloadKind(
        kind="Service",
        workload=CoreService(),
        writes=(SERVICE,),
        keeps=(CONTROLLER_REVISION,),
        generates_services=False,
        waits=False,
    ),
)
