"""What the engine remembers of one Canary between looks. Losing it costs a little waiting and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradatim.api.status import CanaryStatus
from gradatim.core import conditions
from gradatim.core.news import News
from gradatim.core.readiness import Ready
from gradatim.core.timing import interval_of
from gradatim.core.verdict import CanaryReady, Plan, PrimaryReady, Question, Repointed, Settled
from gradatim.engine.repairs import Repairs
from gradatim.engine.site import Learned

_WAITED_FOR = (PrimaryReady, CanaryReady, Settled, Repointed)
REGAINED = 0.1
"""Share of an interval by which the next tick may come earlier when this one came late."""


class Memory:
    """When the last tick was used, what has been told in this phase, and what was learned about the target."""

    __slots__ = ("_interval", "_last_tick", "_told", "_turned", "failures", "first", "learned", "repairs", "waits")

    def __init__(self, status: CanaryStatus, now: float, ticks: float) -> None:
        since = conditions.seconds(status.last_transition_time)
        self._last_tick = ticks - (max(0.0, now - since - 1.0) if since is not None else 0.0)
        self._interval = 0.0
        self._told: dict[str, float] = {}
        self._turned = False
        self.first = True
        """Whether no tick has been used since the phase or the run began."""
        self.failures = 0
        """Errors in a row, for the back-off."""
        self.learned: Learned | None = None
        self.repairs = Repairs()
        self.waits: dict[Question[Any], float] = {}
        """Since when something has not been as it should, in Unix seconds."""

    def asleep(self, interval: str, floor: float, ticks: float) -> float:
        """Seconds until the next tick is due; 0 when it is."""
        self._interval = interval_of(interval, floor)
        return max(0.0, self._last_tick + self._interval - ticks)

    def record(self, before: CanaryStatus, plan: Plan, ticks: float) -> None:
        """Note what a plan that was carried out means for the next looks."""
        regained = 0.0 if self.first else self._regained(ticks)
        if plan.begins or (plan.status is not None and plan.status.phase is not before.phase):
            self.first = True
            self._turned = True
        elif plan.ticked:
            self.first = False
        if plan.ticked or plan.asked:
            self._last_tick = ticks - regained

    def heard(self, answers: Mapping[Question[Any], Any], now: float) -> None:
        """Note since when what is waited for has not been as it should; what is right again is forgotten."""
        for question, answer in answers.items():
            if not isinstance(question, _WAITED_FOR):
                continue
            if isinstance(answer, Ready):
                self.waits.pop(question, None)
            else:
                self.waits.setdefault(question, now)

    def _regained(self, ticks: float) -> float:
        """How late a tick is, if that is little: the next one keeps to the rhythm.

        Else whoever is held up together once, by a server that takes a breath, would come together ever after, and be
        held up by each other.
        """
        late = ticks - self._last_tick - self._interval
        return late if 0 < late <= self._interval * REGAINED else 0.0

    def untold(self, news: tuple[News, ...], ticks: float) -> list[News]:
        """Those news that have not been told in this phase, or long enough ago; they count as told now.

        The news of a plan that turns to another phase belong to both: told in either, they are not told again.
        """
        fresh = [item for item in news if self._is_new(item, ticks)]
        if self._turned:
            self._told, self._turned = {_key(item): ticks for item in news if item.once}, False
        return fresh

    def _is_new(self, item: News, ticks: float) -> bool:
        if not item.once:
            return True
        key = _key(item)
        last = self._told.get(key)
        every = getattr(item, "every", None)
        if last is not None and (every is None or ticks - last < every):
            return False
        self._told[key] = ticks
        return True


def _key(item: News) -> str:
    return f"{type(item).__name__}:{item.once}"
