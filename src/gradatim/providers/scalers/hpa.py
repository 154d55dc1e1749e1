"""HorizontalPodAutoscalers: the primary gets a second one; a target at zero switches its own off without our doing."""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.core.names import primary_workload
from gradatim.ports.objects import HORIZONTAL_POD_AUTOSCALER, Manifest, Ref
from gradatim.ports.scaler import ScalerKind
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Patch
from gradatim.providers.absence import required
from gradatim.providers.manifests import copy_of, labels_of, mapping, new_object, number, put, without_toolkit
from gradatim.providers.scaler_refs import scaler_ref


class HorizontalPodAutoscaler:
    """See `ports.scaler.Scaler`."""

    def reads(self, canary: Canary) -> Iterable[Ref]:
        """The user's and the primary's."""
        return (_own(canary), _primary(canary))

    def ensure(self, scene: Scene, seen: Seen, *, update: bool) -> Iterable[Manifest]:
        """The user's spec and labels on the primary's."""
        canary = scene.canary
        own = required(seen, _own(canary), HORIZONTAL_POD_AUTOSCALER.kind)
        labels = without_toolkit(labels_of(own))
        live = seen[_primary(canary)]
        if live is None:
            name = _primary(canary).name
            fresh = new_object(HORIZONTAL_POD_AUTOSCALER, canary.namespace, name, canary, labels=labels)
            return (fresh | {"spec": _spec(own, canary)},)
        if not update:
            return ()
        wanted = copy_of(live) | {"spec": _spec(own, canary)}
        put(wanted, (labels_of(live) | labels) or None, "metadata", "labels")
        return (wanted,) if wanted != live else ()

    def pause(self, scene: Scene, seen: Seen) -> Patch | None:
        """Nothing: Kubernetes does not scale what is at zero."""
        return None

    def resume(self, scene: Scene, seen: Seen) -> Patch | None:
        """Nothing, as nothing was paused."""
        return None

    def least(self, scene: Scene, seen: Seen) -> int:
        """The user's `minReplicas`; 1 also where there is no scaler to ask."""
        own = seen[_own(scene.canary)]
        return max(1, number(own, "spec", "minReplicas", default=1)) if own else 1


def _own(canary: Canary) -> Ref:
    return Ref(HORIZONTAL_POD_AUTOSCALER, canary.namespace, scaler_ref(canary).name)


def _primary(canary: Canary) -> Ref:
    return Ref(HORIZONTAL_POD_AUTOSCALER, canary.namespace, f"{scaler_ref(canary).name}-primary")


def _spec(own: Manifest, canary: Canary) -> Manifest:
    spec = copy_of(mapping(own, "spec"))
    put(spec, primary_workload(canary), "scaleTargetRef", "name")
    replicas = scaler_ref(canary).primary_scaler_replicas
    bounds = {"minReplicas": replicas.min_replicas, "maxReplicas": replicas.max_replicas}
    return spec | {key: value for key, value in bounds.items() if value}


KINDS: tuple[ScalerKind, ...] = (
    ScalerKind(
        kind=HORIZONTAL_POD_AUTOSCALER.kind,
        scaler=HorizontalPodAutoscaler(),
        writes=(HORIZONTAL_POD_AUTOSCALER,),
    ),
)
