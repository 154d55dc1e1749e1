"""What a provider raises when an object or an answer is not as it must be."""

from __future__ import annotations

from gradatim.api.errors import GradatimError


class ProviderError(GradatimError):
    """A provider cannot go on; the message is what users read in the Warning event.

    `fix` is what they can do about it where the message does not say so.
    """

    reason = "ProviderError"
    fix = ""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix or self.fix


class Missing(ProviderError):
    """An object that the user must create is not there (yet)."""

    reason = "NotFound"
    fix = "create it or correct the name"


class UnexpectedObject(ProviderError):
    """An object lacks what we put there or need there, such as our routes."""


class UnexpectedAnswer(ProviderError):
    """A metrics source answered something that cannot be read."""
