"""Times in Kubernetes objects, as Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def unix(text: str) -> float | None:
    """The Unix time of an RFC 3339 text; None where there is none that can be read."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
