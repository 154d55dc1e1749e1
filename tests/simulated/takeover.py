"""What Flagger left behind when it stopped: its objects, its statuses, and everything in between two of its writes.

A recording has the whole namespace now and then, and every write between. So the namespace can be put together as it
was after each single write, and another operator started there.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.parity import Recording, Scenario, load_base
from cluster.parity.scenario import filled
from gradatim.core.conditions import timestamp
from gradatim.ports.objects import CANARY, Manifest
from simulated.cluster import Cluster
from simulated.space import Space

SHOP = f"{CANARY.kind}/shop"

_MADE_BY_CONTROLLERS = "IPAddress/"
_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")
_TIMES = ("lastTransitionTime", "lastUpdateTime")


@dataclass(frozen=True)
class Moment:
    """The namespace, and what the outside answers, after one write of the reference."""

    after: str
    objects: dict[str, Manifest]
    answers: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, int] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        """The Canary's phase."""
        return str(self.objects[SHOP]["status"]["phase"])

    @property
    def rests(self) -> bool:
        """Whether nothing moved: a target that was started last began a run that the status does not tell of yet."""
        started = re.search(r"(deployments|daemonsets|scaledobjects|horizontalpodautoscalers) shop at", self.after)
        return self.phase in ("Initialized", "Succeeded", "Failed") and not started


def moments(recording: Recording) -> list[Moment]:
    """The namespace at every `state`, and after every write that changed something since the first of them."""
    found: list[Moment] = []
    now = Moment("", {})
    for line in recording.until_the_end():
        now = _advanced(now, line)
        known = SHOP in now.objects and ("state" in line or "write" in line)
        if known and (not found or found[-1].objects != now.objects):
            found.append(now)
    return found


async def restore(cluster: Cluster, space: Space, scenario: Scenario, moment: Moment) -> None:
    """Make the namespace what it was; times in the status begin anew."""
    base = load_base()
    given = [*(one for group in scenario.groups for one in base[group]), *scenario.objects]
    unseen = {f"{one['kind']}/{one['metadata']['name']}": one for one in given if one["kind"] in _UNSEEN}
    objects = _filled({**unseen, **moment.objects}, space)
    canary = objects.pop(SHOP)
    await space.create(canary)
    status = _fresh(canary["status"], timestamp(cluster.clock.now()))
    await space.merge(CANARY.api_version, CANARY.kind, "shop", {"status": status}, subresource="status")
    uid = space.canary()["metadata"]["uid"]
    for name, manifest in objects.items():
        if not name.startswith(_MADE_BY_CONTROLLERS):
            await space.create(_owned(manifest, uid))
    for name, answer in moment.answers.items():
        setattr(space.script(), name, answer)
    for name, code in moment.hooks.items():
        space.set_hook(name, code)


_UNSEEN = ("MetricTemplate", "AlertProvider")
"""Kinds that the recorded states leave out."""


def _advanced(now: Moment, line: Manifest) -> Moment:
    if "state" in line:
        objects = {name: one for name, one in {**now.objects, **line["state"]}.items() if one is not None}
        return replace(now, objects=objects, after=f"state at {line['at']}")
    if "step" in line:
        ((kind, value),) = line["step"].items()
        if kind == "answer":
            return replace(now, answers={**now.answers, **{name: str(one) for name, one in value.items()}})
        if kind == "hook":
            return replace(now, hooks={**now.hooks, **value})
        if kind == "config":
            return _configured(now, value)
    if "write" in line and SHOP in now.objects:
        return _written(now, line["write"], line["at"])
    return now


def _configured(now: Moment, configs: Manifest) -> Moment:
    objects = dict(now.objects)
    for name, data in configs.items():
        before = objects[f"ConfigMap/{name}"]
        objects[f"ConfigMap/{name}"] = {**before, "data": {**before["data"], **data}}
    return replace(now, objects=objects)


def _written(now: Moment, write: Manifest, at: float) -> Moment:
    after = f"{write['verb']} {write['resource']} {write['name']} at {at}"
    if "status" in write and write["code"] == 200:
        canary = {**now.objects[SHOP], "status": write["status"]}
        return replace(now, objects={**now.objects, SHOP: canary}, after=after)
    if not write.get("set"):
        return now
    name = next(name for name in now.objects if _is_meant(name, write))
    changed = copy.deepcopy(now.objects[name])
    for path, value in write["set"].items():
        _put(changed, path, value)
    return replace(now, objects={**now.objects, name: changed}, after=after)


def _is_meant(name: str, write: Manifest) -> bool:
    kind, _, own = name.partition("/")
    plural = write["resource"].rpartition("/")[2]
    return own == write["name"] and plural in (f"{kind.lower()}s", f"{kind.lower()}es", f"{kind.lower()[:-1]}ies")


def _put(manifest: Manifest, path: str, value: Any) -> None:
    """Set a leaf, or remove it together with what becomes empty by that."""
    keys = [int(number) if number else plain or quoted for plain, number, quoted in _PART.findall(path)]
    chain: list[tuple[Any, Any]] = []
    place: Any = manifest
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        chain.append((place, key))
        if isinstance(place, list):
            place.extend({} for _ in range(key + 1 - len(place)))
        if following is None:
            break
        if isinstance(place, list):
            place = place[key]
        else:
            place = place.setdefault(key, [] if isinstance(following, int) else {})
    place, key = chain.pop()
    if value is not None:
        place[key] = value
        return
    if isinstance(place, list):
        del place[key]
    else:
        place.pop(key, None)
    while len(chain) > 1 and not place:
        place, key = chain.pop()
        del place[key]


def _filled(objects: dict[str, Manifest], space: Space) -> dict[str, Manifest]:
    whole: dict[str, Manifest] = filled(json.loads(json.dumps(objects)), space.namespace, space.hooks, space.answers)
    return whole


def _fresh(status: Manifest, now: str) -> Manifest:
    conditions = [{**one, **dict.fromkeys(_TIMES, now)} for one in status.get("conditions", ())]
    return {**status, "lastTransitionTime": now, "conditions": conditions}


def _owned(manifest: Manifest, uid: str) -> Manifest:
    """Recorded owners are named without their uid; all are the Canary."""
    meta = dict(manifest["metadata"])
    if "ownerReferences" in meta:
        meta["ownerReferences"] = [{**one, "uid": uid} for one in meta["ownerReferences"]]
    return {**manifest, "metadata": meta}
