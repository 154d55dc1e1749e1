"""What happens in the playground, second by second: what the view shows, what the summary is made of."""

from __future__ import annotations

import time
from collections import Counter, deque

import msgspec

from gradatim.api.canary import Canary
from gradatim.api.decode import decode_canary
from gradatim.api.status import Phase
from gradatim.ports.objects import CANARY, EVENT, Ref
from gradatim.sim.history import Event as Change
from gradatim.sim.load import Load, Tally
from gradatim.sim.store import Store


class Line(msgspec.Struct, frozen=True):
    """One thing worth telling; `kind` is `event`, `warning`, `phase` or `you`."""

    at: float
    kind: str
    text: str


class Journal:
    """Listens to the store and to the load."""

    def __init__(self, store: Store, canary: Ref) -> None:
        self.began = time.monotonic()
        self.lines: deque[Line] = deque(maxlen=400)
        self.fresh: deque[Line] = deque()
        self.canary: Canary | None = None
        self.chapter = ""
        self.shares: dict[str, float] = {}
        self._store = store
        self._ref = canary
        self._load: Load | None = None
        self._forget = store.subscribe(self._changed)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    @property
    def total(self) -> Tally:
        """All requests so far."""
        return self._load.total if self._load is not None else Tally()

    @property
    def lost(self) -> int:
        """Requests that no version answered: no answer at all, or an error page of the proxy."""
        return self.total.lost + sum(self.total.strays.values())

    def listen(self, load: Load) -> None:
        """Count the requests of this load."""
        self._load = load

    def say(self, text: str, kind: str = "you") -> None:
        """Note something that was done or found."""
        line = Line(self.seconds, kind, text)
        self.lines.append(line)
        self.fresh.append(line)

    def sample(self) -> None:
        """Note who answered the requests since the last sample."""
        if self._load is None:
            return
        taken = self._load.take()
        recent: Counter[str] = taken.versions
        if total := recent.total():
            self.shares = {version: number / total for version, number in sorted(recent.items())}
        for what, number in (*taken.strays.items(), *taken.failures.items()):
            self.say(f"{number} requests failed: {what}", "warning")

    def _changed(self, change: Change) -> None:
        if change.ref == self._ref:
            before = self.canary.status.phase if self.canary is not None else Phase.UNSET
            self.canary = decode_canary(change.object)
            if self.canary.status.phase is not before:
                self.say(self.canary.status.phase.value, "phase")
        elif change.ref.resource.kind == EVENT.kind and change.type != "DELETED":
            about = change.object.get("involvedObject") or change.object.get("regarding") or {}
            if about.get("kind") == CANARY.kind:
                text = change.object.get("message") or change.object.get("note") or ""
                self.say(text, "warning" if change.object.get("type") == "Warning" else "event")
