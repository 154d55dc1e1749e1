"""`spec.suspend`: nothing is moved or repaired, and of a Canary only that it is known is recorded; deletion goes on."""

from __future__ import annotations

from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.record import record
from gradatim.core.verdict import Known, Plan


def decide(known: Known) -> Plan:
    """Say once that this Canary is held."""
    if not known.status.conditions:
        return Plan(status=record(known, Phase.INITIALIZING, waiting_for="the primary to be ready"), again=True)
    return Plan(news=(news.suspended(),))
