"""The smallest JSON merge patch (RFC 7386) that turns one object into another.

Patching instead of replacing leaves every field alone that we do not mean, and makes "nothing to write" visible.
"""

from __future__ import annotations

from typing import Any

from gradatim.ports.objects import Manifest

_SERVER_MADE = frozenset(
    {"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp"}
)


def merge_patch(live: Manifest, wanted: Manifest) -> Manifest:
    """What to send; empty when the objects agree in everything that can be written.

    `status`, the type and what the server makes of the metadata are never part of it.
    """
    before = {key: value for key, value in live.items() if key not in {"status", "apiVersion", "kind", "metadata"}}
    after = {key: value for key, value in wanted.items() if key not in {"status", "apiVersion", "kind", "metadata"}}
    patch = _changes(before, after)
    metadata = _changes(_written(live.get("metadata") or {}), _written(wanted.get("metadata") or {}))
    if metadata:
        patch["metadata"] = metadata
    return patch


def fields_of(patch: Manifest, prefix: str = "") -> dict[str, Any]:
    """The fields that a patch touches, as dotted paths for people, with what it makes of them."""
    fields: dict[str, Any] = {}
    for key, value in patch.items():
        if isinstance(value, dict) and value:
            fields |= fields_of(value, f"{prefix}{key}.")
        else:
            fields[f"{prefix}{key}"] = value
    return fields


def _written(metadata: Manifest) -> Manifest:
    return {key: value for key, value in metadata.items() if key not in _SERVER_MADE}


def _changes(before: Manifest, after: Manifest) -> Manifest:
    patch: dict[str, Any] = {key: None for key in before if after.get(key) is None and before[key] is not None}
    for key, value in after.items():
        old = before.get(key)
        if value is None or value == old:
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := _changes(old, value):
                patch[key] = inner
        elif old is None and value in ({}, []):
            continue  # servers leave empty mappings and lists out, so they would differ for ever
        else:
            patch[key] = value
    return patch
