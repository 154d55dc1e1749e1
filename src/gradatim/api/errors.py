"""The root of everything that can go wrong, and what a user can have written wrong.

Expected outcomes (not ready, no values, gate closed) are values, never exceptions; see `core/verdict.py`. What the API
server says no to lives in `kube/errors.py`, what a provider cannot read in `ports/errors.py`.
"""

from __future__ import annotations


class GradatimError(Exception):
    """Something went wrong.

    `reason` is CamelCase and constant, for events and conditions; `message` is one sentence for a person.
    """

    reason = "Error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SpecError(GradatimError):
    """A user wrote something we cannot do; `path` names the field, such as `spec.analysis.interval`."""

    reason = "InvalidSpec"

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class InvalidField(SpecError):
    """A field has the wrong type or a value that cannot be."""


class UnknownProvider(SpecError):
    """A mesh, workload kind, metrics source or notifier that nobody registered."""


class CrossNamespaceReference(SpecError):
    """A reference leaves the Canary's namespace although `-no-cross-namespace-refs` is set."""


class Bug(GradatimError):
    """Cannot happen; carries what is needed to reproduce it."""

    reason = "Bug"
