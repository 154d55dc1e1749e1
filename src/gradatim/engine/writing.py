"""One way of writing for everybody: compare, create or patch, and remember what the server answered."""

from __future__ import annotations

import logging
from contextlib import suppress

from gradatim.engine.differences import merge_patch
from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.workload import Patch

log = logging.getLogger(__name__)


class Writer:
    """Writes objects so that the next look sees them.

    Raises Conflict when the object is not what was seen; the cache then holds the live one, and a fresh look decides
    anew.
    """

    def __init__(self, client: Client, cache: Cache) -> None:
        self._client = client
        self._cache = cache

    async def write(self, ref: Ref, manifest: Manifest) -> Manifest:
        """Create the object or patch the difference; returns what an object that was there differed in."""
        live = self._cache.get(ref)
        if live is None:
            await self._create(ref, manifest)
            return {}
        patch = merge_patch(live, manifest)
        if patch:
            await self.patch_guarded(ref, patch)
        return patch

    async def patch_guarded(self, ref: Ref, body: Manifest, subresource: str = "") -> None:
        """Send a merge patch that only applies to the object as the cache has it."""
        live = self._cache.get(ref)
        if live is None:
            raise NotFound(f"{ref} not found", about=ref)
        metadata = {**body.get("metadata", {}), "resourceVersion": live["metadata"]["resourceVersion"]}
        await self.patch(Patch(ref, {**body, "metadata": metadata}), subresource)

    async def patch(self, patch: Patch, subresource: str = "") -> Manifest:
        """Send a merge patch of ours."""
        try:
            written = await self._client.patch(patch.ref, patch.body, subresource=subresource)
        except (Conflict, NotFound):
            await self._reread(patch.ref)
            raise
        self._cache.put(written, patch.ref)
        return written

    async def keep(self, ref: Ref, manifest: Manifest) -> None:
        """Create an object that is never changed. Where that is not allowed, nothing is kept and nothing is held up."""
        try:
            self._cache.put(await self._client.create(ref, manifest), ref)
        except AlreadyExists:
            return
        except (Forbidden, NotFound) as error:
            log.info("%s is not kept: %s", ref, error.message)

    async def forget(self, ref: Ref) -> None:
        """Delete what was kept, if it is there and may be deleted."""
        with suppress(Forbidden, NotFound):
            await self._client.delete(ref)
        self._cache.remove(ref)

    async def _create(self, ref: Ref, manifest: Manifest) -> None:
        try:
            self._cache.put(await self._client.create(ref, manifest), ref)
        except AlreadyExists as error:
            await self._reread(ref)
            raise Conflict(error.message, status=409, about=ref) from error

    async def _reread(self, ref: Ref) -> None:
        """See the live object: the cache was behind."""
        try:
            self._cache.put(await self._client.get(ref), ref)
        except NotFound:
            self._cache.remove(ref)
