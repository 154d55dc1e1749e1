"""The rules for `metadata` that hold for every kind: what the server fills in, keeps, and refuses.

Kinds add their own rules about names; who owns which field is the affair of `ownership`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim import names
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import Cause, forbidden_field, invalid, required, too_long

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
STANDARD_FINALIZERS = frozenset((FOREGROUND, ORPHAN, "kubernetes"))
ANNOTATIONS_LIMIT = 256 * 1024
IMMUTABLE = "field is immutable"

_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_SERVER_MADE = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")


def timestamp(seconds: float) -> str:
    """A moment as Kubernetes writes it, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """The reverse of `timestamp`."""
    return datetime.fromisoformat(text).timestamp()


def begin(meta: Manifest, namespace: str, uid: str, now: float, counted: bool) -> None:
    """What every new object gets from the server."""
    for key in _SERVER_MADE:
        meta.pop(key, None)
    if namespace:
        meta["namespace"] = namespace
    meta["uid"] = uid
    meta["creationTimestamp"] = timestamp(now)
    if counted:
        meta["generation"] = 1


def carry_over(meta: Manifest, old: Manifest) -> list[Cause]:
    """Give an updated object what only the server may set; say what the client tried to change nevertheless."""
    causes = []
    if meta.get("uid") and meta["uid"] != old["uid"]:
        causes.append(invalid("metadata.uid", meta["uid"], IMMUTABLE))
    if "deletionTimestamp" not in old and meta.get("deletionTimestamp"):
        causes.append(invalid("metadata.deletionTimestamp", meta["deletionTimestamp"], IMMUTABLE))
    meta.pop("selfLink", None)
    for key in _KEPT:
        if key in old:
            meta[key] = old[key]
        else:
            meta.pop(key, None)
    return causes


def tidy(meta: Manifest) -> None:
    """Leave out what is empty, as a server does that reads metadata into a struct."""
    for key in [key for key, value in meta.items() if value is None or value in ("", {}, [])]:
        del meta[key]


def check(meta: Manifest, old: Manifest | None, kind: Kind) -> Iterator[Cause]:
    """What is wrong with the metadata of a created (`old` is None) or updated object."""
    if old is None:
        yield from _check_name(meta, kind)
    elif "deletionTimestamp" in old:
        added = sorted(set(meta.get("finalizers", ())) - set(old.get("finalizers", ())))
        if added:
            shown = ", ".join(f'"{name}"' for name in added)
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield forbidden_field("metadata.finalizers", f"{detail} []string{{{shown}}}")
    for key, value in meta.get("labels", {}).items():
        yield from (invalid("metadata.labels", key, sentence) for sentence in names.qualified(key))
        yield from (invalid("metadata.labels", value, sentence) for sentence in names.label_value(value))
    yield from _check_annotations(meta.get("annotations", {}))
    yield from _check_owners(meta.get("ownerReferences", []))
    for name in meta.get("finalizers", ()):
        yield from (invalid("metadata.finalizers", name, sentence) for sentence in names.qualified(name))
    if not kind.plain_finalizers:
        yield from _check_plain_finalizers(meta.get("finalizers", []))


def _check_plain_finalizers(finalizers: list[str]) -> Iterator[Cause]:
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{index}]", name, detail)


def _check_name(meta: Manifest, kind: Kind) -> Iterator[Cause]:
    prefix, name = meta.get("generateName", ""), meta.get("name", "")
    if prefix:
        yield from (invalid("metadata.generateName", prefix, sentence) for sentence in kind.names(prefix, True))
    if not name:
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from (invalid("metadata.name", name, sentence) for sentence in kind.names(name, False))


def _check_annotations(annotations: dict[str, str]) -> Iterator[Cause]:
    for key in annotations:
        yield from (invalid("metadata.annotations", key, sentence) for sentence in names.qualified(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        yield too_long("metadata.annotations", ANNOTATIONS_LIMIT)


def _check_owners(owners: list[dict[str, Any]]) -> Iterator[Cause]:
    controller = ""
    for index, owner in enumerate(owners):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                yield required(f"metadata.ownerReferences[{index}].{key}", "must not be empty")
        if owner.get("controller"):
            named = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {named}"
                )
                yield invalid("metadata.ownerReferences", owners, detail)
            controller = controller or named
