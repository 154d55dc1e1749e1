"""The kinds every Kubernetes cluster has: their types as tables in `types/`, their defaults and rules as code."""

from __future__ import annotations

from gradatim.sim.builtin.catalogue import install

__all__ = ["install"]
