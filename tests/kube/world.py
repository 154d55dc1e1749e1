"""What tests of this folder build again and again: a client of the fake server, names, and settling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import CANARY, DEPLOYMENT, Ref

from .fake_api import FakeApi


def now() -> float:
    return asyncio.get_running_loop().time()


def client(api: FakeApi, **settings: Any) -> Client:
    return Client(api, Limiter(0), now, "gradatim/test", chance=lambda: 0.5, **settings)


def canary(name: str, namespace: str = "test") -> Ref:
    return Ref(CANARY, namespace, name)


def deployment(name: str, namespace: str = "test") -> Ref:
    return Ref(DEPLOYMENT, namespace, name)


class Heard:
    """Collects what a cache reports."""

    def __init__(self) -> None:
        self.changes: list[tuple[Ref, frozenset[Ref]]] = []

    def __call__(self, ref: Ref, owners: frozenset[Ref]) -> None:
        self.changes.append((ref, owners))

    def take(self) -> list[tuple[Ref, frozenset[Ref]]]:
        taken, self.changes = self.changes, []
        return taken


@asynccontextmanager
async def cache_of(api: FakeApi, heard: Callable[..., None] | None = None, namespace: str = "", **settings: Any):
    cache = Cache(client(api), now, namespace, heard or Heard(), **settings)
    try:
        yield cache
    finally:
        await cache.close()


async def settled() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)
