"""The status on its way to the API server: one merge patch that holds what changed, or nothing at all."""

from __future__ import annotations

import msgspec

from gradatim.api.status import CanaryStatus
from gradatim.engine.differences import merge_patch
from gradatim.ports.objects import Manifest

_ALWAYS = ("phase", "failedChecks", "canaryWeight", "iterations", "lastTransitionTime", "conditions")
"""Written even when empty or zero, as Flagger does; everything else is left out while it says nothing."""


def encode(status: CanaryStatus) -> Manifest:
    """The status as it stands in the object."""
    full: Manifest = msgspec.to_builtins(status)
    return {key: value for key, value in full.items() if key in _ALWAYS or value not in ("", 0, None, [], ())}


def patch(live: Manifest, status: CanaryStatus) -> Manifest:
    """The merge patch from the live object's status; empty when nothing but a time would change.

    A map is replaced as a whole, since keys that vanished must go.
    """
    before, after = live.get("status") or {}, encode(status)
    if status.tracked_configs == {}:
        after["trackedConfigs"] = {}
    difference = merge_patch({"spec": before}, {"spec": after}).get("spec") or {}
    if status.tracked_configs == {} and before.get("trackedConfigs") is None:
        difference["trackedConfigs"] = {}
    return difference if set(difference) - {"lastTransitionTime"} else {}
