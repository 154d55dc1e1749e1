"""KEDA ScaledObjects: the primary gets a second one, and the user's is paused while the target is switched off.

KEDA scales from zero, so an unpaused ScaledObject would start a target that we have just stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradatim.api.canary import Canary
from gradatim.core.names import primary_workload
from gradatim.ports.objects import SCALED_OBJECT, Manifest, Ref
from gradatim.ports.scaler import ScalerKind
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Patch
from gradatim.providers.absence import required
from gradatim.providers.manifests import (
    LAST_APPLIED,
    annotations_of,
    copy_of,
    items,
    labels_of,
    mapping,
    new_object,
    number,
    put,
    text,
    without_toolkit,
)
from gradatim.providers.scaler_queries import for_primary
from gradatim.providers.scaler_refs import scaler_ref

_WORD = "Keda ScaledObject"
_PAUSED = "autoscaling.keda.sh/paused-replicas"
_ANY_PAUSE = "autoscaling.keda.sh/paused"
_NAME_LABEL = "scaledobject.keda.sh/name"


class ScaledObject:
    """See `ports.scaler.Scaler`."""

    def reads(self, canary: Canary) -> Iterable[Ref]:
        """The user's and the primary's."""
        return (_own(canary), _primary(canary))

    def ensure(self, scene: Scene, seen: Seen, *, update: bool) -> Iterable[Manifest]:
        """The user's spec, with the primary's queries, on the primary's; its metadata is only written at creation."""
        canary = scene.canary
        own = required(seen, _own(canary), _WORD)
        live = seen[_primary(canary)]
        if live is None:
            name, labels, annotations = _primary(canary).name, _labels(own), _annotations(own)
            fresh = new_object(SCALED_OBJECT, canary.namespace, name, canary, labels=labels, annotations=annotations)
            return (fresh | {"spec": _spec(own, canary)},)
        wanted = copy_of(live) | {"spec": _spec(own, canary)}
        return (wanted,) if update and wanted != live else ()

    def pause(self, scene: Scene, seen: Seen) -> Patch | None:
        """Hold the target at zero."""
        own = required(seen, _own(scene.canary), _WORD)
        return None if annotations_of(own).get(_PAUSED) == "0" else _annotate(scene, "0")

    def resume(self, scene: Scene, seen: Seen) -> Patch | None:
        """Take our annotation away; a scaler that is gone holds nothing."""
        own = seen[_own(scene.canary)]
        return _annotate(scene, None) if own and _PAUSED in annotations_of(own) else None

    def least(self, scene: Scene, seen: Seen) -> int:
        """The user's `minReplicaCount`, at least 1; 1 also where there is no scaler to ask."""
        own = seen[_own(scene.canary)]
        return max(1, number(own, "spec", "minReplicaCount", default=1)) if own else 1


def _own(canary: Canary) -> Ref:
    return Ref(SCALED_OBJECT, canary.namespace, scaler_ref(canary).name)


def _primary(canary: Canary) -> Ref:
    return Ref(SCALED_OBJECT, canary.namespace, f"{scaler_ref(canary).name}-primary")


def _annotate(scene: Scene, value: str | None) -> Patch:
    return Patch(_own(scene.canary), {"metadata": {"annotations": {_PAUSED: value}}})


def _labels(own: Manifest) -> dict[str, str]:
    """KEDA labels each ScaledObject with its own name."""
    return {key: value for key, value in without_toolkit(labels_of(own)).items() if key != _NAME_LABEL}


def _annotations(own: Manifest) -> dict[str, str]:
    """A primary must not be born paused, nor with a record of what was applied to another object."""
    kept = without_toolkit(annotations_of(own))
    return {key: value for key, value in kept.items() if key != LAST_APPLIED and not key.startswith(_ANY_PAUSE)}


def _spec(own: Manifest, canary: Canary) -> Manifest:
    spec = copy_of(mapping(own, "spec"))
    reference = scaler_ref(canary)
    put(spec, primary_workload(canary), "scaleTargetRef", "name")
    replicas = reference.primary_scaler_replicas
    bounds = {"minReplicaCount": replicas.min_replicas, "maxReplicaCount": replicas.max_replicas}
    spec |= {key: value for key, value in bounds.items() if value}
    put(spec, _hpa_config(spec), "advanced", "horizontalPodAutoscalerConfig")
    for trigger in items(spec, "triggers"):
        _aim(trigger, canary, reference.primary_scaler_queries)
    return spec


def _hpa_config(spec: Manifest) -> Manifest:
    """Always there, as Flagger writes it; two HPAs cannot share a name."""
    config = mapping(spec, "advanced", "horizontalPodAutoscalerConfig")
    return config | ({"name": f"{config['name']}-primary"} if config.get("name") else {})


def _aim(trigger: Manifest, canary: Canary, queries: Mapping[str, str]) -> None:
    """Give a trigger the user's query for the primary, else its own query with the primary's name."""
    given = queries.get(text(trigger, "name"))
    if given is not None:
        put(trigger, given, "metadata", "query")
    elif query := text(trigger, "metadata", "query"):
        put(trigger, for_primary(query, canary.target, canary.namespace), "metadata", "query")


KINDS: tuple[ScalerKind, ...] = (ScalerKind(kind=SCALED_OBJECT.kind, scaler=ScaledObject(), writes=(SCALED_OBJECT,)),)
