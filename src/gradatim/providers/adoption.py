"""Objects that were there before us: kept in an annotation when we take one over, given back when the Canary goes.

`flagger.kubernetes.io/original-configuration` holds the parts of the object that we replace, as JSON of a partial
manifest. It is written once, at the takeover, and never on objects that we made. Two cases write none, because what is
seen is not what was there before: objects that Flagger took over earlier (they carry both Flux guards), and objects
that already have the annotation.

What `kubectl apply` noted wins over the annotation, as with Flagger: it is what the user wants today.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gradatim.api.canary import Canary
from gradatim.ports.objects import Manifest
from gradatim.providers.manifests import (
    LAST_APPLIED,
    ORIGINAL,
    annotations_of,
    at,
    controlled_by,
    controlled_by_any_canary,
    copy_of,
    flux_guard,
    labels_of,
    mapping,
    put,
)


def taking_over(seen: Manifest, canary: Canary) -> bool:
    """Whether an object is somebody else's and we are about to change it for the first time."""
    annotations = annotations_of(seen)
    guarded = flux_guard().items() <= annotations.items()
    return not controlled_by(seen, canary) and ORIGINAL not in annotations and not guarded


def mark(
    wanted: Manifest, seen: Manifest, spec: Mapping[str, Any], labels: Iterable[str], annotations: Iterable[str]
) -> None:
    """Note in `wanted` what we replace of `seen`: parts of its spec, and the labels and annotations of these keys."""
    metadata = {
        kind: {key: found[key] for key in keys if key in found}
        for kind, keys, found in (
            ("labels", labels, labels_of(seen)),
            ("annotations", annotations, annotations_of(seen)),
        )
    }
    original: Manifest = {"spec": dict(spec)}
    if kept := {kind: values for kind, values in metadata.items() if values}:
        original["metadata"] = kept
    put(wanted, json.dumps(original, sort_keys=True, separators=(",", ":")), "metadata", "annotations", ORIGINAL)


def before_us(seen: Manifest) -> Manifest | None:
    """What an object was before us, in parts; None where nobody noted it."""
    return _applied(seen) or _parsed(annotations_of(seen).get(ORIGINAL))


def given_back(seen: Manifest, labels: Iterable[str], annotations: Iterable[str]) -> Manifest | None:
    """An adopted object with its spec and these labels and annotations as before us; None where there is nothing to do.

    Objects that go with a Canary are left alone.
    """
    before = before_us(seen)
    if controlled_by_any_canary(seen) or before is None:
        return None
    wanted = copy_of(seen)
    wanted["spec"] = mapping(before, "spec")
    give_metadata_back(wanted, before, labels, annotations)
    return wanted


def give_metadata_back(wanted: Manifest, before: Manifest, labels: Iterable[str], annotations: Iterable[str]) -> None:
    """Set labels and annotations of these keys to what they were, in place; ours go where there were none."""
    for kind, keys in (("labels", labels), ("annotations", [*annotations, ORIGINAL])):
        for key in keys:
            put(wanted, at(before, "metadata", kind, key), "metadata", kind, key)
        if not mapping(wanted, "metadata", kind):
            put(wanted, None, "metadata", kind)


def _applied(seen: Manifest) -> Manifest | None:
    """What `kubectl apply` noted, if it is about this object; copies made by other tools carry someone else's note."""
    noted = _parsed(annotations_of(seen).get(LAST_APPLIED))
    if noted is None or noted.get("kind") != seen.get("kind"):
        return None
    return noted if at(noted, "metadata", "name") == at(seen, "metadata", "name") else None


def _parsed(text: str | None) -> Manifest | None:
    """A note as a manifest; one that cannot be read counts as none, so that it never holds up a deletion."""
    try:
        noted = json.loads(text or "null")
    except ValueError:
        return None
    return noted if isinstance(noted, dict) and isinstance(noted.get("spec"), dict) else None
