"""Everything that changed in a namespace, put into one order afterwards.

All versions of all kinds come from one etcd, so they can be compared with each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from cluster.client import Client, Refused, path
from gradatim.ports.objects import Manifest, Resource


@dataclass(frozen=True)
class Change:
    """One object as it became at one version; None where it was deleted."""

    version: int
    resource: Resource
    name: str
    manifest: Manifest | None


@dataclass
class History:
    """What was seen to change in a namespace, by version."""

    seen: dict[int, Change] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, resource: Resource, kind: str, manifest: Manifest) -> None:
        """One event of a watch; the same version may be seen again after a watch was cut."""
        meta = manifest["metadata"]
        version = int(meta["resourceVersion"])
        change = Change(version, resource, meta["name"], None if kind == "DELETED" else manifest)
        self.seen.setdefault(version, change)
        self._news.set()

    async def until(self, so: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for changes after which it is so; for one who waits at a time."""
        try:
            async with asyncio.timeout(seconds):
                while not so():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"{what!r} was not seen in {seconds:.0f} s") from None

    def changes(self) -> Iterator[Change]:
        """All of them, in the order in which they were made."""
        return (self.seen[version] for version in sorted(self.seen))

    @asynccontextmanager
    async def followed(self, admin: Client, namespace: str, resources: Iterable[Resource]) -> AsyncIterator[None]:
        """Watch these kinds for as long as the block lasts."""
        watches = [asyncio.create_task(self._follow(admin, namespace, resource)) for resource in resources]
        try:
            yield
        finally:
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _follow(self, admin: Client, namespace: str, resource: Resource) -> None:
        """Note every change; after a cut go on where it was cut."""
        version = ""
        while True:
            with suppress(aiohttp.ClientError, ConnectionError, Refused):
                params = {"resourceVersion": version} if version else {}
                async with admin.watching(path(resource, namespace), **params) as events:
                    async for event in events:
                        if event["type"] == "ERROR":  # the past is forgotten: everything again as it is now
                            version = ""
                            break
                        self.saw(resource, event["type"], event["object"])
                        version = event["object"]["metadata"]["resourceVersion"]
            await asyncio.sleep(0.1)
