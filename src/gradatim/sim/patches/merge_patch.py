"""Merge patch: objects are merged, null removes, everything else replaces (RFC 7386)."""

from __future__ import annotations

from typing import Any

from gradatim.sim.copying import clone_value


def apply(document: Any, patch: Any) -> Any:
    """A changed copy."""
    if not isinstance(patch, dict):
        return clone_value(patch)
    made = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = apply(made.get(key), value)
    return made
