"""What belongs to what: selectors, controller references, adoption, conditions and the clock of objects.

Shared by all controllers; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim import metadata
from gradatim.sim.history import Event
from gradatim.sim.store import Store


def ref_of(resource: Resource, obj: Manifest) -> Ref:
    """The reference of an object of a known resource."""
    meta = obj["metadata"]
    return Ref(resource, meta.get("namespace", ""), meta["name"])


def labels_of(obj: Manifest) -> dict[str, str]:
    """An object's labels."""
    labels: dict[str, str] = obj.get("metadata", {}).get("labels") or {}
    return labels


def annotations_of(obj: Manifest) -> dict[str, str]:
    """An object's annotations."""
    annotations: dict[str, str] = obj.get("metadata", {}).get("annotations") or {}
    return annotations


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Does a label selector (matchLabels, matchExpressions) select these labels? An empty one selects nothing here."""
    if not selector:
        return False
    exact = (selector.get("matchLabels") or {}).items()
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in exact) and all(_holds(e, labels) for e in expressions)


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def owner_reference(resource: Resource, owner: Manifest) -> Manifest:
    """The reference by which a controller owns what it creates."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Manifest) -> Manifest | None:
    """The owner reference of the controller of an object."""
    references: Iterable[Manifest] = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def controller_ref(obj: Manifest, resource: Resource) -> Ref | None:
    """The controller of an object as a Ref, if it is of this resource."""
    owner = controller_of(obj)
    if owner is None or owner["kind"] != resource.kind or owner["apiVersion"] != resource.api_version:
        return None
    return Ref(resource, obj["metadata"].get("namespace", ""), owner["name"])


def concerned_owners(event: Event, owner: Resource, owned: Resource) -> Iterator[Ref]:
    """Whom an event concerns when objects of `owner` own objects of `owned`."""
    if event.ref.resource.qualified == owner.qualified:
        yield Ref(owner, event.ref.namespace, event.ref.name)
    elif event.ref.resource.qualified == owned.qualified:
        found = controller_ref(event.object, owner)
        if found is not None:
            yield found


def possessions(store: Store, owner_kind: Resource, owner: Manifest, owned: Resource) -> list[Manifest]:
    """What an owner controls, by name; orphans that its selector selects are adopted on the way."""
    namespace, uid = owner["metadata"]["namespace"], owner["metadata"]["uid"]
    found = []
    for obj in list(store.scan(owned, namespace)):
        holder = controller_of(obj)
        if holder is not None:
            if holder["uid"] == uid:
                found.append(obj)
        elif _may_adopt(owner, obj):
            found.append(_adopt(store, owner_kind, owner, ref_of(owned, obj)))
    return found


def _may_adopt(owner: Manifest, obj: Manifest) -> bool:
    dying = "deletionTimestamp" in owner["metadata"] or "deletionTimestamp" in obj["metadata"]
    return not dying and selects(owner["spec"].get("selector"), labels_of(obj))


def _adopt(store: Store, owner_kind: Resource, owner: Manifest, ref: Ref) -> Manifest:
    def add_owner(obj: Manifest) -> None:
        obj["metadata"].setdefault("ownerReferences", []).append(owner_reference(owner_kind, owner))

    return store.mutate(ref, add_owner)


def condition(obj: Manifest, kind: str) -> Manifest | None:
    """One condition of an object's status."""
    conditions: Iterable[Manifest] = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), None)


def is_true(obj: Manifest, kind: str) -> bool:
    """Is a condition True?"""
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def is_active(pod: Manifest) -> bool:
    """A pod that runs or will run."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def is_terminating(pod: Manifest) -> bool:
    """A pod that is on its way out."""
    return "deletionTimestamp" in pod["metadata"] and (pod.get("status") or {}).get("phase") not in (
        "Succeeded",
        "Failed",
    )


def available_in(pod: Manifest, min_ready: int, now: float) -> float | None:
    """Seconds until a pod counts as available: 0 or less when it does, None while it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    return metadata.moment(ready["lastTransitionTime"]) + min_ready - now if min_ready else 0.0


def set_status(store: Store, ref: Ref, status: Manifest) -> Manifest:
    """Write a status if it differs; the object as it is afterwards."""

    def put(obj: Manifest) -> None:
        obj["status"] = status

    return store.mutate(ref, put, "status")
