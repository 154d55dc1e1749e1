"""Traefik: one TraefikService of the apex's name, to which the user's IngressRoute points.

Its weighted list has the primary and, while the canary has a weight, the canary: Traefik drops a weighted service one
of whose members has no endpoints.

Same as Flagger: name, entries and their order. Better than Flagger: live weights survive every repair; a weight of 0 is
written, since Traefik reads a missing one as 1; sticky sessions, mirroring and what else is on the object or on an
entry stay, and a new canary entry gets what the primary's has; a service without a weighted list is no accident; a
TraefikService that was there before is given back on deletion; A/B, which would move everybody, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.core import names
from gradatim.core.problems import Problem
from gradatim.core.readiness import Ready
from gradatim.core.settings import Settings
from gradatim.core.weights import ALL_PRIMARY, TOTAL, Routes, split
from gradatim.ports.errors import Missing, ProviderError, UnexpectedObject
from gradatim.ports.mesh import Mesh, Queries, QueryScope
from gradatim.ports.objects import TRAEFIK_SERVICE, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import absence, apex_metadata, manifests, unsupported
from gradatim.providers.queries import counters, p99, ratio

NAME = "traefik"
_OURS = frozenset({"name", "namespace", "port", "weight"})


class WeightedServices:
    """The router for TraefikServices."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """Requests cannot be told apart; what else has no effect."""
        if canary.spec.analysis.match:
            message = f"provider {NAME} cannot select requests: all users would get the canary; remove it"
            yield Problem("spec.analysis.match", message)
        yield from unsupported.fields(canary.spec.service, (), NAME)

    def reads(self, scene: Scene, seen: Seen) -> Iterable[Ref]:
        """The TraefikService of the apex's name."""
        return (_ref(scene.canary),)

    def ensure(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """The TraefikService as it must be, with its live weights."""
        found = seen[_ref(scene.canary)]
        live = None if found is None else _live(scene.canary, found)
        return self.shift(scene, seen, live or ALL_PRIMARY)

    def routes(self, scene: Scene, seen: Seen) -> Routes:
        """The shares of the primary and, where it is listed, the canary."""
        canary = scene.canary
        ref = _ref(canary)
        if (found := seen[ref]) is None:
            raise Missing(f"TraefikService {ref.name}.{ref.namespace} query error: {absence.not_found(ref)}")
        if (live := _live(canary, found)) is None:
            raise UnexpectedObject(f"TraefikService {ref.name}.{ref.namespace} services not found")
        return live

    def shift(self, scene: Scene, seen: Seen, to: Routes) -> Iterable[Manifest]:
        """The TraefikService with other weights."""
        canary = scene.canary
        if to.primary + to.canary <= 0:
            raise ProviderError(f"RoutingRule {canary.apex}.{canary.namespace} update failed: no valid weights")
        wanted = apex_metadata.claimed(TRAEFIK_SERVICE, scene, seen[_ref(canary)])
        weights = {names.primary_service(canary): to.primary, names.canary_service(canary): to.canary}
        services = [
            _entry(canary, wanted, name, weight)
            for name, weight in weights.items()
            if weight or name == names.primary_service(canary)
        ]
        manifests.put(wanted, services, "spec", "weighted", "services")
        return (wanted,)

    def settled(self, scene: Scene, seen: Seen) -> Ready:
        """Traefik writes nothing back."""
        return Ready()

    def restore(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """A TraefikService that was there before us as it was; our own goes with the Canary."""
        return apex_metadata.given_back(scene, seen[_ref(scene.canary)])


def _ref(canary: Canary) -> Ref:
    return Ref(TRAEFIK_SERVICE, canary.namespace, canary.apex)


def _entry(canary: Canary, route: Manifest, name: str, weight: int) -> Manifest:
    """One weighted service with what others added to it, or to the entry it takes over from."""
    listed = _listed(route)
    old = next((listed[key] for key in (name, names.primary_service(canary), canary.apex) if key in listed), {})
    added = {key: value for key, value in old.items() if key not in _OURS}
    ours = {"name": name, "namespace": canary.namespace, "port": canary.spec.service.port, "weight": weight}
    return added | ours


def _listed(route: Manifest) -> dict[str, Manifest]:
    return {service.get("name", ""): service for service in manifests.items(route, "spec", "weighted", "services")}


def _live(canary: Canary, route: Manifest) -> Routes | None:
    """The live split; None where the primary is not listed. A missing weight is one of 0 that Flagger left out."""
    listed = _listed(route)
    primary, other = listed.get(names.primary_service(canary)), listed.get(names.canary_service(canary))
    if primary is None:
        return None
    if other is None:
        return ALL_PRIMARY
    on_primary, on_canary = manifests.number(primary, "weight"), manifests.number(other, "weight")
    total = on_primary + on_canary
    return split(round(TOTAL * on_canary / total)) if total > 0 else None


def _success_rate(scope: QueryScope) -> str:
    series = "traefik_service_request_duration_seconds_bucket"
    return ratio(series, (_service(scope), 'le="+Inf"'), 'code!~"5.."', scope.interval, before_last=True)


def _duration(scope: QueryScope) -> str:
    series = "traefik_service_request_duration_seconds_bucket"
    return p99(series, (_service(scope),), scope.interval, " * 1000")


def _counters(scope: QueryScope, primary: bool) -> str:
    return counters(
        "traefik_service_request_duration_seconds_bucket",
        (_service(scope, "primary" if primary else "canary"), 'le="+Inf"'),
    )


def _service(scope: QueryScope, side: str = "canary") -> str:
    """Traefik's name for a side's Service; Flagger asks for the target's name, which finds nothing if it differs."""
    return f'service=~"{scope.namespace}-{scope.service}-{side}-[0-9a-zA-Z-]+@kubernetescrd"'


MESHES = (
    Mesh(
        name=NAME,
        router=WeightedServices(),
        queries=Queries(success_rate=_success_rate, duration=_duration, requests=_counters),
        writes=(TRAEFIK_SERVICE,),
    ),
)
