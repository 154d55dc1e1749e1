"""The arithmetic of a rolling update: how many pods may come and go. Pure numbers and manifests, no store.

The rules are those of the real Deployment controller; `deployments` carries them out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.controllers.belonging import annotations_of

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
REVISION = "deployment.kubernetes.io/revision"

NO_DEADLINE = 2**31 - 1


def replicas_of(obj: Manifest) -> int:
    """`spec.replicas`; 1 when nobody said."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def counted(obj: Manifest, field: str) -> int:
    """A number in the status, 0 when it is not there."""
    return int((obj.get("status") or {}).get(field) or 0)


def resolve(value: int | str | None, total: int, *, up: bool) -> int:
    """A number or a percentage of the total."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


class Fences(msgspec.Struct, frozen=True):
    """How far a rolling update may go above and below the wanted number of pods."""

    surge: int
    unavailable: int


def fences(deployment: Manifest) -> Fences:
    """`maxSurge` and `maxUnavailable` as numbers; both zero would never move, so one may then be unavailable."""
    total = replicas_of(deployment)
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Fences(0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), total, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), total, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Fences(surge, min(unavailable, total))


def new_size(deployment: Manifest, every: Sequence[Manifest], new: Manifest | None) -> int:
    """How large the newest ReplicaSet should be now."""
    wanted, current = replicas_of(deployment), replicas_of(new) if new else 0
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return wanted
    room = wanted + fences(deployment).surge - sum(replicas_of(each) for each in every)
    return current if room <= 0 else current + max(0, min(room, wanted - current))


def shrunk_old(deployment: Manifest, every: Sequence[Manifest], new: Manifest) -> dict[str, int]:
    """The new sizes of old ReplicaSets that may shrink: unhealthy pods go first, then as availability allows."""
    old = sorted((each for each in every if each is not new and replicas_of(each) > 0), key=_age)
    least = replicas_of(deployment) - fences(deployment).unavailable
    waiting = replicas_of(new) - counted(new, "availableReplicas")
    spare = sum(replicas_of(each) for each in every) - least - waiting
    if not old or spare <= 0:
        return {}
    sizes = {each["metadata"]["name"]: replicas_of(each) for each in old}
    for each in old:
        name = each["metadata"]["name"]
        going = min(spare, sizes[name] - min(sizes[name], counted(each, "availableReplicas")))
        sizes[name] -= going
        spare -= going
    removable = sum(counted(each, "availableReplicas") for each in every) - least
    for each in old:
        name = each["metadata"]["name"]
        going = max(0, min(removable, sizes[name]))
        sizes[name] -= going
        removable -= going
    return {each["metadata"]["name"]: sizes[each["metadata"]["name"]] for each in old if _changed(each, sizes)}


def _changed(each: Manifest, sizes: dict[str, int]) -> bool:
    return sizes[each["metadata"]["name"]] != replicas_of(each)


def _age(obj: Manifest) -> tuple[str, str]:
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def proportional(deployment: Manifest, active: Sequence[Manifest]) -> dict[str, int]:
    """The sizes of several active ReplicaSets after the Deployment itself was scaled in the middle of an update."""
    wanted = replicas_of(deployment)
    allowed = wanted + fences(deployment).surge if wanted else 0
    change = allowed - sum(replicas_of(each) for each in active)
    by_size = sorted(active, key=lambda each: (-replicas_of(each), _age(each)), reverse=False)
    sizes: dict[str, int] = {}
    given = 0
    for each in by_size:
        share = _share(deployment, each, wanted + fences(deployment).surge)
        left = change - given
        part = 0 if change == 0 else (min(share, left) if change > 0 else max(share, left))
        sizes[each["metadata"]["name"]] = replicas_of(each) + part
        given += part
    if by_size and change != given:
        first = by_size[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + change - given)
    return sizes


def _share(deployment: Manifest, each: Manifest, maximum: int) -> int:
    size = replicas_of(each)
    if replicas_of(deployment) == 0:
        return -size
    before = int(annotations_of(each).get(MAXIMUM, 0)) or counted(deployment, "replicas")
    return 0 if not before or not size else math.floor(size * maximum / before + 0.5) - size
