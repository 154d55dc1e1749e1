"""What a metrics source can answer. Four different answers, never mixed up: a value, no data, and no measurement."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Value(msgspec.Struct, frozen=True):
    """The query has this value, in the unit of the query. `samples` is None where nobody asked how many there are."""

    value: float
    samples: int | None = None


class NoValues(msgspec.Struct, frozen=True):
    """The source works and has no data for this query."""

    message: str = "no values found"


class QueryFailed(msgspec.Struct, frozen=True):
    """The source could not be asked or did not answer; nothing is known about the release."""

    message: str


Measurement: TypeAlias = Value | NoValues
"""What a source returns; a failure is raised as ProviderError and becomes `QueryFailed` in the engine."""
