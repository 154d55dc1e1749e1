"""What a workload is: something that can be copied to a primary, promoted and scaled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from gradatim.api.canary import Canary
from gradatim.core.problems import Problem
from gradatim.core.readiness import Readiness
from gradatim.core.settings import Settings
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scene import Port, Scene, Seen


class Patch(msgspec.Struct, frozen=True):
    """A JSON merge patch of somebody else's object: only the fields named in it are touched."""

    ref: Ref
    body: Manifest


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a target says about itself.

    `revision` is a content hash of what counts as a new revision (format: `core/revision.py`); `configs` maps
    `configmap/{name}` and `secret/{name}` to checksums, None with tracking off or without the notion; `running` tells
    whether the target has pods to lose (replicas above zero, or not switched off). `lacking` is the sentence about an
    object that its pods need and that is not there; then `configs` say nothing.
    """

    label: str = ""
    value: str = ""
    ports: tuple[Port, ...] = ()
    revision: str
    configs: dict[str, str] | None = None
    running: bool = True
    lacking: str = ""


class Workload(Protocol):
    """Translates one kind of target. Methods may raise `ports.errors.ProviderError` (`Missing` for absent objects)."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """What cannot work for this kind of target, named by field."""
        ...

    def target(self, canary: Canary) -> Ref:
        """The workload in `targetRef`."""
        ...

    def primary(self, canary: Canary) -> Ref | None:
        """Its primary copy; None where the kind has none."""
        ...

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterable[Ref]:
        """Target, primary, tracked configs and their copies; asked again until nothing new is named."""
        ...

    def facts(self, canary: Canary, settings: Settings, seen: Seen) -> Facts:
        """What the target is now; told by the Canary's spec and deletion and by what was seen, and by nothing else."""
        ...

    def create(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """Config copies and the primary, in writing order, where missing; `token` is a fresh UUID for `flagger-id`.

        A primary that comes back is made from what was promoted last, wherever that is kept.
        """
        ...

    def promote(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """Config copies and the primary with the target's template, in writing order."""
        ...

    def abrupt(self, canary: Canary, seen: Seen) -> bool:
        """Whether rolling out a new revision may leave the primary without an available pod for a moment."""
        ...

    def keeping(self, canary: Canary, seen: Seen) -> Manifest | None:
        """The object that keeps what the target holds, so that a primary made from it can come back; never changed.

        None where the kind keeps its revisions by itself.
        """
        ...

    def kept(self, canary: Canary, revision: str) -> Ref | None:
        """The name of the object that keeps a revision."""
        ...

    def ready(self, scene: Scene, seen: Seen, *, primary: bool, now: float, since: float) -> Readiness:
        """How far the rollout of the primary or of the target is; messages are whole event texts.

        `since` is when the waiting for it began, where its own objects do not tell; times are Unix seconds.
        """
        ...

    def stop(self, scene: Scene, seen: Seen) -> Patch | None:
        """Take the target's pods away; None when there are none to take."""
        ...

    def start(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """Give the target its pods; `least` is the scaler's lower bound, None without a scaler."""
        ...

    def revert(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """Give the target back what the primary has, on deletion with `revertOnDeletion`; `least` as for `start`."""
        ...


class WorkloadKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of target: how `targetRef` names it and what it can do."""

    kind: str
    api_version: str = ""
    """Empty: any API version selects it."""
    workload: Workload
    reads: tuple[Resource, ...] = ()
    writes: tuple[Resource, ...] = ()
    keeps: tuple[Resource, ...] = ()
    """Kinds of the objects that keep revisions: created, read when a primary is missing, and deleted, never changed."""
    generates_services: bool = True
    waits: bool = True
    """False: there is nothing to wait for, no readiness and no deadline."""
    routed_by: tuple[str, ...] = ()
    """The only meshes that can send traffic to it; empty: all of them. Without one of them its rights are no use."""
