"""What a metrics source is: one query in, one number out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from gradatim.api.metric_template import MetricProvider
from gradatim.core.measurement import Measurement
from gradatim.ports.http import Http


class Source(Protocol):
    """A source ready to be asked; both methods raise `ports.errors.ProviderError` when it cannot be."""

    async def measure(self, query: str, http: Http, now: float) -> Measurement:
        """The value of a query at `now` (Unix seconds), or that there is none."""
        ...

    async def online(self, http: Http) -> None:
        """Return when the source answers."""
        ...


class SourceKind(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a MetricTemplate's `provider.type`.

    `build(provider, secret, interval)` makes a source from the template's provider block, the decoded data of its
    Secret (None without one) and the metric's interval as written; it raises ProviderError naming what is missing.
    """

    type: str
    build: Callable[[MetricProvider, Mapping[str, str] | None, str], Source]
