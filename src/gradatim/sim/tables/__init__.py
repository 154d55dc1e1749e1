"""Answers for people: the tables that `kubectl get` prints."""

from __future__ import annotations

from gradatim.sim.tables.render import table

__all__ = ["table"]
