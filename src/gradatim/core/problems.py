"""What is wrong with a Canary, said before anything is moved."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing a user wrote that cannot work: the field, and a sentence with the fix.

    `blocks` is False for what must be told but need not hold a release up, such as a missing chat room. `measures` says
    that it is only in the way of measuring.
    """

    path: str
    message: str
    blocks: bool = True
    measures: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"
