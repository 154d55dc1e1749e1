"""Open files: as many as the system lets the process have, since everybody who is asked is a connection."""

from __future__ import annotations

import resource
from contextlib import suppress


def allow_all() -> None:
    """Raise the soft limit to the hard one; where the system refuses that, it stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
