"""Waiting as a value, so that tests and the settling of proxies use the same kind of sleep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Lets some seconds pass."""
