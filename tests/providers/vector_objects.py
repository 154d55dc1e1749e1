"""Vector files of providers: named objects, small changes to them, and what a case looks at.

A file has `objects` by name and `cases`. A change is written as the recordings write theirs, one leaf a line:
`spec.template.spec.containers[0].image: shop:2`, `metadata.annotations[example.com/owner]: team-a`; null takes a key
away. A wanted object is either `like` a named one, with changes, and then compared whole, or checked leaf by leaf
(`has`), where null means that there is no such key.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gradatim.api.canary import Canary
from gradatim.api.decode import decode_canary
from gradatim.ports import objects
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scene import Seen
from gradatim.ports.workload import Patch

VECTORS = Path(__file__).parents[1] / "vectors"
TOKEN = "c055011e-b2c1-46b7-afd5-eadc6bead916"

_KEYS = re.compile(r"[^.\[\]]+|\[[^\]]+\]")
_RESOURCES = {(found.api_version, found.kind): found for found in vars(objects).values() if isinstance(found, Resource)}
_CANARY: Manifest = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop", "namespace": "test", "uid": "2f6d3f4e"},
    "spec": {
        "targetRef": {"name": "shop"},
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 2, "iterations": 1},
    },
    "status": {},
}

Leaves = dict[str, Any]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One write: whole (`like` with `but`) or leaf by leaf (`has`)."""

    like: str = ""
    but: Leaves = {}
    has: Leaves = {}


class WantedPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A patch of a named object."""

    of: str
    body: Manifest


def read(path: Path) -> Any:
    """The content of a vector file."""
    return yaml.safe_load(path.read_text())


def changed(manifest: Manifest, leaves: Leaves) -> Manifest:
    """A copy with leaves set, or taken away where they are null."""
    result = copy.deepcopy(manifest)
    for path, value in leaves.items():
        *way, last = _keys(path)
        parent: Any = result
        for key in way:
            parent = parent[key] if isinstance(key, int) else parent.setdefault(key, {})
        if value is not None:
            parent[last] = copy.deepcopy(value)
        elif isinstance(last, str):
            parent.pop(last, None)
    return result


def leaf(manifest: Any, path: str) -> Any:
    """The value of a leaf; None where there is none."""
    for key in _keys(path):
        try:
            manifest = manifest[key]
        except (KeyError, IndexError, TypeError):
            return None
    return manifest


def canary_manifest(kind: str, api_version: str, leaves: Leaves) -> Manifest:
    """The Canary `shop` with a target of a kind and with changes."""
    target = {"spec.targetRef.kind": kind, "spec.targetRef.apiVersion": api_version}
    return changed(_CANARY, target | leaves)


def canary_with(kind: str, api_version: str, leaves: Leaves) -> Canary:
    """The same, decoded."""
    return decode_canary(canary_manifest(kind, api_version, leaves))


def ref(manifest: Manifest) -> Ref:
    """The name of an object of a known kind."""
    resource = _RESOURCES[manifest["apiVersion"], manifest["kind"]]
    return Ref(resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def name(of: Ref) -> str:
    """`Deployment/shop`, as objects are named in vector files."""
    return f"{of.resource.kind}/{of.name}"


def store(named: Mapping[str, Manifest], seen: Iterable[str], but: Mapping[str, Leaves]) -> dict[Ref, Manifest]:
    """What is there: some of the named objects, with changes."""
    picked = tuple(seen)
    unused = but.keys() - set(picked)
    assert not unused, f"changes of objects that are not there: {unused}"
    live = (changed(named[key], but.get(key, {})) for key in picked)
    return {ref(manifest): manifest for manifest in live}


def look(there: Mapping[Ref, Manifest], reads: Callable[[Seen], Iterable[Ref]]) -> dict[Ref, Manifest | None]:
    """Read what a provider names until it names nothing new, as the engine does."""
    seen: dict[Ref, Manifest | None] = {}
    while new := set(reads(seen)) - seen.keys():
        seen |= {key: there.get(key) for key in new}
    return seen


def check_writes(written: Iterable[Manifest], wanted: Mapping[str, Wanted], named: Mapping[str, Manifest]) -> None:
    """Compare writes, in their order, with the wanted ones."""
    found = list(written)
    assert [name(ref(manifest)) for manifest in found] == list(wanted)
    for manifest, expected in zip(found, wanted.values(), strict=True):
        assert bool(expected.like) != bool(expected.has), "say like or has"
        if expected.like:
            assert manifest == changed(named[expected.like], expected.but)
        for path, value in expected.has.items():
            assert leaf(manifest, path) == value, path


def check_patch(patch: Patch | None, wanted: WantedPatch | None) -> None:
    """Compare a patch with the wanted one."""
    found = None if patch is None else WantedPatch(name(patch.ref), patch.body)
    assert found == wanted


def _keys(path: str) -> list[str | int]:
    keys = [key.strip("[]") if key.startswith("[") else key for key in _KEYS.findall(path)]
    return [int(key) if key.isdigit() else key for key in keys]
