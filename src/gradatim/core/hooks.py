"""What a hook can answer. Calling one is the engine's part; which hooks apply when is decided elsewhere in the core."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class HookPassed(msgspec.Struct, frozen=True):
    """The receiver said yes."""


class HookFailed(msgspec.Struct, frozen=True):
    """The receiver said no, or could not be asked and has not `answered`; `text` says why and may be empty."""

    text: str
    answered: bool = True


HookAnswer: TypeAlias = HookPassed | HookFailed
