"""What an autoscaler is: it has a copy for the primary and can be kept from scaling the target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from gradatim.api.canary import Canary
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Patch


class Scaler(Protocol):
    """Translates one kind of autoscaler; methods may raise `ports.errors.ProviderError`."""

    def reads(self, canary: Canary) -> Iterable[Ref]:
        """The user's scaler and the primary's copy."""
        ...

    def ensure(self, scene: Scene, seen: Seen, *, update: bool) -> Iterable[Manifest]:
        """The primary's scaler: created when missing, brought up to date only with `update` (at promotions)."""
        ...

    def pause(self, scene: Scene, seen: Seen) -> Patch | None:
        """Keep the user's scaler from scaling the target; None when nothing is to be done."""
        ...

    def resume(self, scene: Scene, seen: Seen) -> Patch | None:
        """Let it scale again; None when nothing is to be done."""
        ...

    def least(self, scene: Scene, seen: Seen) -> int:
        """The replicas a target starts with: the scaler's lower bound, at least 1."""
        ...


class ScalerKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind in `autoscalerRef`."""

    kind: str
    scaler: Scaler
    writes: tuple[Resource, ...] = ()
