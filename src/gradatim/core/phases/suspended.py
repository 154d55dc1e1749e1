"""`spec.suspend`: nothing is moved, repaired or recorded; only deletion goes on."""

from __future__ import annotations

from gradatim.core import news
from gradatim.core.verdict import Known, Plan


def decide(_: Known) -> Plan:
    """Say once that this Canary is held."""
    return Plan(news=(news.suspended(),))
