"""A whole simulated API server, wired: store, kinds, ownership, definitions, garbage, namespaces."""

from __future__ import annotations

import random
from collections.abc import Callable

from gradatim.sim.api import Api
from gradatim.sim.builtin import install
from gradatim.sim.crds import Definitions
from gradatim.sim.garbage import Garbage
from gradatim.sim.history import DEFAULT_LENGTH
from gradatim.sim.namespaces import Namespaces
from gradatim.sim.patches.ownership import Tracker
from gradatim.sim.rest.subresources import Logs
from gradatim.sim.store import Store


def api_server(
    now: Callable[[], float],
    *,
    chance: random.Random | None = None,
    history: int = DEFAULT_LENGTH,
    logs: Logs | None = None,
) -> Api:
    """A server with nothing in it but the usual namespaces. `now` tells the time in seconds since 1970."""
    store = Store(now, chance=chance, history=history)
    install(store)
    Tracker(store)
    Definitions(store)
    namespaces = Namespaces(store)
    Garbage(store)
    namespaces.begin()
    return Api(store, logs)
