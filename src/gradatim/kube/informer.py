"""What is kept of one kind: everything, or only what somebody wants.

Three sources tell us about an object: the watch, a single GET, and the answers to our own writes. They may arrive in
any order, so nothing ever goes back in version; a wanted object that was deleted leaves its version behind for that.
Who wants what, and which kinds are followed at all, is `cache.py`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from gradatim.kube.client import Client
from gradatim.kube.envelope import Key, newer, packed, read_parts
from gradatim.kube.envelope import meta as read_meta
from gradatim.kube.errors import Forbidden, KubeError, NotFound
from gradatim.kube.watch import Reflector
from gradatim.ports.objects import Manifest, Ref, Resource

SYNC_TIMEOUT = 30.0
"""Seconds to wait for a first list."""


class Kept:
    """What is known of one object. `raw` is None when it is not there, `known` false when we cannot tell yet."""

    __slots__ = ("asked", "covered", "known", "owners", "raw", "version", "waiting")

    def __init__(self) -> None:
        self.owners: set[Ref] = set()
        self.version = ""
        self.raw: bytes | None = None
        self.known = False
        self.covered = False
        """Whether it was wanted before the running list started, so that the list decides whether it is there."""
        self.waiting: set[Ref] = set()
        """The owners that are waiting for it: they will look themselves and need no news of it."""
        self.asked: asyncio.Task[None] | None = None
        """The GET under way."""


class Informer:
    """The store of one kind, and the task that fills it. `changed` is called for objects that really changed."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str,
        clock: Callable[[], float],
        changed: Callable[[Ref, frozenset[Ref]], None],
        *,
        everything: bool = False,
        watch_list: bool = False,
    ) -> None:
        self.resource = resource
        self.everything = everything
        self.kept: dict[Key, Kept] = {}
        self.reflector = Reflector(client, resource, namespace, self, clock, watch_list=watch_list)
        self._client = client
        self._changed = changed
        self._deferred: dict[Key, set[str]] = {}
        """Versions the watch has shown while a write of ours was under way: echoes, or somebody else's changes."""

    def interest(self, ref: Ref, owner: Ref) -> Kept:
        """Keep this object from now on."""
        key = (ref.namespace, ref.name)
        kept = self.kept.get(key)
        if kept is None:
            kept = self.kept[key] = Kept()
            if self.everything and self.reflector.synced:
                kept.known, kept.version = True, self.reflector.version
        kept.owners.add(owner)
        return kept

    def disinterest(self, ref: Ref, owner: Ref) -> None:
        """This owner does not want it any more; without any owner it is forgotten."""
        key = (ref.namespace, ref.name)
        kept = self.kept.get(key)
        if kept is None:
            return
        kept.owners.discard(owner)
        if not kept.owners and not (self.everything and kept.raw is not None):
            del self.kept[key]

    async def settle(self, ref: Ref, kept: Kept, owner: Ref) -> None:
        """Return when it is known whether the object is there.

        A kind we may get but not list is asked for object by object, each time.
        """
        kept.waiting.add(owner)
        try:
            try:
                await self.reflector.wait_synced(SYNC_TIMEOUT)
            except Forbidden as refusal:
                await self._ask_instead(ref, kept, refusal)
            if not kept.known:
                await self._ask(ref, kept)
        finally:
            kept.waiting.discard(owner)

    async def _ask_instead(self, ref: Ref, kept: Kept, refusal: Forbidden) -> None:
        try:
            await self._ask(ref, kept)
        except Forbidden:
            raise refusal from None

    async def _ask(self, ref: Ref, kept: Kept) -> None:
        """One GET for all who wait, whoever of them gives up."""
        if kept.asked is None:
            kept.asked = asyncio.create_task(self._get(ref, kept), name=f"get {ref}")
            kept.asked.add_done_callback(lambda task: self._asked(kept, task))
        await asyncio.shield(kept.asked)

    def _asked(self, kept: Kept, task: asyncio.Task[None]) -> None:
        kept.asked = None
        if not task.cancelled():
            task.exception()  # told to whoever waits; if nobody does any more, the next one asks again

    async def _get(self, ref: Ref, kept: Kept) -> None:
        before, seen = kept.version, self.reflector.version
        try:
            parts = read_parts(await self._client.get_raw(ref))
            version, raw = read_meta(parts).version or "", packed(parts)
        except NotFound as error:
            if not error.served:
                raise
            if kept.version == before:  # else the watch has just told us something younger
                self._accept(ref, kept, seen if newer(seen, before) else before, None)
            return
        except msgspec.DecodeError as error:
            raise KubeError(f"get {ref}: the answer is no object", about=ref) from error
        if newer(version, kept.version):
            self._accept(ref, kept, version, raw)
        kept.known = True

    def put(self, ref: Ref, manifest: Manifest) -> None:
        """Our own write answered with this."""
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
        version: str = metadata.get("resourceVersion", "")
        key = (ref.namespace, ref.name)
        self._deferred.get(key, set()).discard(version)
        kept = self.kept.get(key)
        if kept is None:
            # Where everything is kept, what is not there was never there or is deleted, if the watch is that far.
            if not self.everything or not newer(version, self.reflector.version):
                return
            kept = self.kept[key] = Kept()
        if newer(version, kept.version):
            kept.version = version
            kept.raw = msgspec.json.encode({**manifest, "metadata": metadata})
        kept.known = True

    def remove(self, ref: Ref) -> None:
        """We have deleted it."""
        key = (ref.namespace, ref.name)
        self._deferred.pop(key, None)
        kept = self.kept.get(key)
        if kept is not None:
            kept.raw = None
            kept.known = True
            self._tidy(ref, kept)

    def wants(self, key: Key) -> bool:
        """For the Reflector: is this one kept?"""
        return self.everything or key in self.kept

    def saw(self, key: Key, version: str, raw: bytes) -> None:
        """From the Reflector: the object at a version."""
        kept = self.kept.get(key)
        if kept is None:
            kept = self.kept[key] = Kept()
        if newer(version, kept.version):
            self._accept(Ref(self.resource, *key), kept, version, raw)
        kept.known = True

    def lost(self, key: Key, version: str) -> None:
        """From the Reflector: the object is gone."""
        kept = self.kept.get(key)
        if kept is not None and not newer(kept.version, version):
            ref = Ref(self.resource, *key)
            self._accept(ref, kept, version, None)
            self._tidy(ref, kept)

    def held(self) -> Iterable[tuple[Key, str]]:
        """For the Reflector: what a list must contain, or else it has been deleted."""
        return ((key, kept.version) for key, kept in self.kept.items() if kept.raw is not None)

    def listing(self, rewound: bool) -> None:
        """From the Reflector: a list starts."""
        for kept in self.kept.values():
            kept.covered = True
            if rewound:
                kept.version = ""

    def listed(self, version: str) -> None:
        """From the Reflector: the list is complete."""
        for kept in self.kept.values():
            if kept.covered and not kept.known:
                kept.known = True
                kept.version = version

    def _accept(self, ref: Ref, kept: Kept, version: str, raw: bytes | None) -> None:
        changed = raw is not None or kept.raw is not None
        kept.version, kept.raw, kept.known = version, raw, True
        told = frozenset(kept.owners - kept.waiting)
        if not changed or not (told or self.everything):
            return
        if self._client.after_write(ref, lambda: self._tell_late(ref, kept, version, told)):
            self._deferred.setdefault((ref.namespace, ref.name), set()).add(version)
        else:
            self._changed(ref, told)

    def _tell_late(self, ref: Ref, kept: Kept, version: str, told: frozenset[Ref]) -> None:
        """Our writes are over, and what they brought about is known: was this change one of them?"""
        key = (ref.namespace, ref.name)
        deferred = self._deferred.get(key, set())
        if version in deferred:
            deferred.discard(version)
            told &= kept.owners
            if told or self.everything:
                self._changed(ref, told)
        if not deferred:
            self._deferred.pop(key, None)

    def _tidy(self, ref: Ref, kept: Kept) -> None:
        if self.everything and not kept.owners and kept.raw is None:
            self.kept.pop((ref.namespace, ref.name), None)
