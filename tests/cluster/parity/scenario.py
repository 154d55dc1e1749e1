"""The recorded scenarios, which live beside the repository: where they are and what is in one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from cluster.parity.recording import Recording
from gradatim.ports.objects import CANARY, Manifest

_REPOSITORY = Path(__file__).resolve().parents[3]
_PLACEHOLDER = re.compile(r"\b(NS|HOOKS|ANSWERS)\b")


class NotAtHand(Exception):
    """The recordings are not on this machine; the message says where they are looked for."""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scenario as it is written down."""

    about: str
    canary: Manifest
    steps: tuple[Manifest, ...]
    crds: tuple[str, ...] = ()
    groups: tuple[str, ...] = msgspec.field(name="with", default=())
    objects: tuple[Manifest, ...] = ()

    def canary_manifest(self) -> Manifest:
        """The Canary `shop`."""
        return {"apiVersion": CANARY.api_version, "kind": "Canary", "metadata": {"name": "shop"}, "spec": self.canary}

    def target(self) -> tuple[str, str, str]:
        """Version, kind and name of what is released."""
        reference = self.canary["targetRef"]
        return reference["apiVersion"], reference["kind"], reference["name"]


def shared() -> Path:
    """The folder of the recordings: `GRADATIM_SHARED`, or `shared` beside the repository."""
    folder = Path(os.environ.get("GRADATIM_SHARED") or _REPOSITORY.parent / "shared") / "parity"
    if not (folder / "scenarios").is_dir():
        raise NotAtHand(f"the recordings of the reference are not at {folder}; GRADATIM_SHARED says where they are")
    return folder


def scenario_names() -> list[str]:
    """Every scenario, by name; none on a machine without the recordings."""
    try:
        return sorted(path.stem for path in (shared() / "scenarios").glob("*.yaml"))
    except NotAtHand:
        return []


def load_scenario(name: str) -> Scenario:
    """One scenario."""
    return msgspec.yaml.decode((shared() / "scenarios" / f"{name}.yaml").read_bytes(), type=Scenario)


def load_base() -> dict[str, list[Manifest]]:
    """The groups of objects that scenarios start from."""
    groups: dict[str, list[Manifest]] = yaml.safe_load((shared() / "base.yaml").read_text())
    return groups


def load_reference(name: str) -> Recording:
    """What the reference did."""
    return Recording.load(shared() / "reference" / f"{name}.jsonl")


def filled(value: Any, namespace: str, hooks: str, answers: str) -> Any:
    """The same with the placeholders of the scenario files replaced, wherever they stand in a text."""
    words = {"NS": namespace, "HOOKS": hooks, "ANSWERS": answers}
    match value:
        case str():
            return _PLACEHOLDER.sub(lambda found: words[found[0]], value)
        case dict():
            return {key: filled(one, namespace, hooks, answers) for key, one in value.items()}
        case list() | tuple():
            return [filled(one, namespace, hooks, answers) for one in value]
        case _:
            return value
