"""What every provider is told: the Canary, the settings, how its pods are told apart, and the objects seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from gradatim.api.canary import Canary
from gradatim.core.settings import Settings
from gradatim.ports.objects import Manifest, Ref

Seen: TypeAlias = Mapping[Ref, Manifest | None]
"""Live objects by name; None where there is none. A Ref that is not a key has not been looked at yet."""


class Port(msgspec.Struct, frozen=True):
    """One container port that a generated Service exposes beside the main one."""

    name: str
    port: int


class Scene(msgspec.Struct, frozen=True):
    """One Canary with what was learned from its target.

    `label` and `value` are the selector label of the target's pods; the primary's value is `value` plus `-primary`.
    Both are empty for targets that own no pods. Session cookies are read from `canary.status`.
    """

    canary: Canary
    settings: Settings
    label: str = ""
    value: str = ""
    ports: tuple[Port, ...] = ()
