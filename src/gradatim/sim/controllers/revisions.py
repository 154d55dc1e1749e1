"""Telling pod templates apart: their hash, the ReplicaSet that carries one, and the revision numbers.

The hash is ours (FNV over sorted JSON), spelled like Kubernetes'; only its equality means something.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec

from gradatim.ports.objects import DEPLOYMENT, Manifest
from gradatim.sim.controllers.belonging import annotations_of, owner_reference
from gradatim.sim.controllers.rollout import DESIRED, MAXIMUM, REVISION, fences, replicas_of

HASH_LABEL = "pod-template-hash"
HISTORY = "deployment.kubernetes.io/revision-history"

_NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAXIMUM}
)  # what a ReplicaSet does not take over from its Deployment's annotations
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Manifest, collisions: int = 0) -> str:
    """A short name for a pod template."""
    text = msgspec.json.encode(template, order="deterministic") + (b"%d" % collisions if collisions else b"")
    number = 0x811C9DC5
    for byte in text:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[int(digit)] for digit in str(number))


def same_template(one: Manifest, other: Manifest) -> bool:
    """Are two pod templates equal but for the hash label?"""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Manifest) -> Manifest:
    meta = template.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**meta, "labels": labels}}


def newest(deployment: Manifest, every: Sequence[Manifest]) -> Manifest | None:
    """The ReplicaSet that carries the Deployment's present template; the oldest one if there are several."""
    template = deployment["spec"]["template"]
    matching = [each for each in every if same_template(each["spec"]["template"], template)]
    return min(matching, key=lambda each: each["metadata"]["creationTimestamp"], default=None)


def revision_of(obj: Manifest) -> int:
    """The revision number in the annotations, 0 without one."""
    text = annotations_of(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def next_revision(old: Sequence[Manifest]) -> int:
    """One more than the highest revision among the others."""
    return max((revision_of(each) for each in old), default=0) + 1


def wanted_annotations(deployment: Manifest, replica_set: Manifest | None, revision: int) -> dict[str, str]:
    """The annotations of the newest ReplicaSet: the Deployment's, the revision, and the revisions it had before."""
    current = annotations_of(replica_set) if replica_set else {}
    own = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    wanted = {**current, **own}
    before = revision_of(replica_set) if replica_set else 0
    if before < revision:
        wanted[REVISION] = str(revision)
        if before:
            wanted[HISTORY] = ",".join(filter(None, [current.get(HISTORY, ""), str(before)]))
    return wanted


def size_annotations(deployment: Manifest) -> dict[str, str]:
    """What a ReplicaSet remembers of the Deployment's size when it was last scaled."""
    wanted = replicas_of(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + fences(deployment).surge)}


def replica_set_for(deployment: Manifest, replicas: int, revision: int) -> Manifest:
    """The ReplicaSet of the present template."""
    spec, meta = deployment["spec"], deployment["metadata"]
    mark = template_hash(spec["template"], int((deployment.get("status") or {}).get("collisionCount") or 0))
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {})["labels"] = {**(template["metadata"].get("labels") or {}), HASH_LABEL: mark}
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: mark}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{mark}",
            "namespace": meta["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {**wanted_annotations(deployment, None, revision), **size_annotations(deployment)},
            "ownerReferences": [owner_reference(DEPLOYMENT, deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": int(spec.get("minReadySeconds") or 0),
            "selector": selector,
            "template": template,
        },
    }
