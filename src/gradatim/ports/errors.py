"""What a provider raises when an object or an answer is not as it must be."""

from __future__ import annotations

from gradatim.api.errors import GradatimError


class ProviderError(GradatimError):
    """A provider cannot go on; the message is what users read in the Warning event."""

    reason = "ProviderError"


class Missing(ProviderError):
    """An object that the user must create is not there (yet)."""

    reason = "NotFound"


class UnexpectedObject(ProviderError):
    """An object lacks what we put there or need there, such as our routes."""


class UnexpectedAnswer(ProviderError):
    """A metrics source answered something that cannot be read."""
