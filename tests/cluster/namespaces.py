"""Making a namespace that is ready for pods, and waiting for the world to be as a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cluster.client import NAMESPACE, Client
from gradatim.ports.objects import Resource

SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")

T = TypeVar("T")


async def make_namespace(client: Client, name: str) -> str:
    """Create a namespace and wait for its default service account, without which no pod is let in."""
    await client.create(NAMESPACE, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await until(lambda: client.find(SERVICE_ACCOUNT, name, "default"), f"the default service account of {name}")
    return name


async def until(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 20.0, every: float = 0.05) -> T:
    """The first answer that is neither None nor False; raise if there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                seen = await look()
                if seen is not None and seen is not False:
                    return seen
                await asyncio.sleep(every)
    except TimeoutError:
        raise AssertionError(f"{what}: not seen within {seconds:.0f} s") from None
