"""What the engine reads: the cluster, as far as somebody is interested in it.

Canaries and what they refer to by kind are kept whole (`watch_all`). Of all other kinds only the objects that a Canary
wants are kept, and a kind is followed only while something of it is wanted. How one kind is kept in step with the
cluster is `informer.py`'s business.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable

import msgspec

from gradatim.api.errors import Bug
from gradatim.kube.client import Client
from gradatim.kube.errors import NotFound, Unavailable
from gradatim.kube.informer import SYNC_TIMEOUT, Informer, Kept
from gradatim.ports.objects import Manifest, Ref, Resource

IDLE = 60.0
"""Seconds a kind is followed on after its last object was released."""

Refs = builtins.list[Ref]


class Counts(msgspec.Struct, frozen=True):
    """One kind, in numbers, for metrics."""

    objects: int
    events: int
    lists: int
    watches: int
    skipped: int
    connected: bool


class Cache:
    """Objects of one cluster, in one namespace or (empty) in all.

    `on_change(ref, owners)` is called when a kept object has changed in the cluster through anybody but us, with the
    owners that want it (none for kinds kept whole, unless somebody wants the object as well). It must not block.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        namespace: str,
        on_change: Callable[[Ref, frozenset[Ref]], None],
        *,
        watch_list: bool = False,
    ) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._on_change = on_change
        self._watch_list = watch_list
        self._informers: dict[Resource, Informer] = {}
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._wanted: dict[Ref, set[Ref]] = {}
        self._crash: asyncio.Future[None] | None = None
        self._crashed: BaseException | None = None

    async def run(self) -> None:
        """Wait for ever; raise if a watch ends, which only a bug can do. For the root task group."""
        if self._crashed is not None:
            raise self._crashed
        self._crash = asyncio.get_running_loop().create_future()
        await self._crash

    async def close(self) -> None:
        """Stop following anything."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        self._informers.clear()
        self._wanted.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch_all(self, resource: Resource) -> None:
        """Keep every object of this kind."""
        informer = self._informers.get(resource)
        if informer is None:
            self._start(resource, everything=True)
        elif not informer.everything:
            raise Bug(f"{resource.qualified} must be watched as a whole before single objects of it are wanted")

    async def synced(self, resource: Resource, timeout: float = SYNC_TIMEOUT) -> None:
        """Wait until all objects of a kind kept whole are here. Raises if the kind is not served or forbidden."""
        await self._whole(resource).reflector.wait_synced(timeout)

    async def want(self, ref: Ref, owner: Ref) -> None:
        """Keep `ref` for `owner`; when this returns, `get` knows whether it is there.

        Raises NotFound if the cluster does not serve the kind, Forbidden if we may neither list nor get it, and
        Unavailable if the API server gives no answer. The interest stays registered all the same.
        """
        if self._outside(ref):
            raise NotFound(f"{ref} is outside namespace {self._namespace}, the only one to look at", about=ref)
        informer = self._informers.get(ref.resource) or self._start(ref.resource, everything=False)
        self._wanted.setdefault(owner, set()).add(ref)
        kept = informer.interest(ref, owner)
        if not (kept.known and informer.reflector.synced):
            await informer.settle(ref, kept, owner)

    def get(self, ref: Ref) -> Manifest | None:
        """The object as far as we know, or None if it is not there. The caller may change what it gets.

        Asking for what was never wanted, or could not be found out, is refused: "not there" would be a wrong answer.
        """
        kept = self._present(ref)
        if kept is None:
            return None
        manifest: Manifest = msgspec.json.decode(kept.raw or b"{}")
        manifest.setdefault("apiVersion", ref.resource.api_version)
        manifest.setdefault("kind", ref.resource.kind)
        return manifest

    def version(self, ref: Ref) -> str:
        """The version of what `get` gives, empty for None; tells ten times faster that nothing has changed."""
        kept = self._present(ref)
        return "" if kept is None else kept.version

    def put(self, manifest: Manifest, ref: Ref) -> None:
        """Remember what a write of our own answered, so that the next look sees it."""
        if informer := self._informers.get(ref.resource):
            informer.put(ref, manifest)

    def remove(self, ref: Ref) -> None:
        """Remember that we have deleted it."""
        if informer := self._informers.get(ref.resource):
            informer.remove(ref)

    def release(self, owner: Ref) -> None:
        """Forget what only this owner wanted."""
        for ref in self._wanted.pop(owner, ()):
            if informer := self._informers.get(ref.resource):
                informer.disinterest(ref, owner)
                self._stop_later(informer)

    def list(self, resource: Resource) -> Refs:
        """The objects there are of a kind kept whole."""
        return sorted(Ref(resource, *key) for key, _ in self._whole(resource).held())

    def stale_seconds(self) -> float:
        """How long the worst watch has been away. Kinds that the cluster refuses to us are not counted."""
        away = [
            self._clock() - informer.reflector.disconnected_at
            for informer in self._informers.values()
            if informer.reflector.disconnected_at is not None
            and (informer.reflector.refused is None or informer.everything)
        ]
        return max(away, default=0.0)

    def counts(self) -> dict[Resource, Counts]:
        """What is followed at the moment, for metrics."""
        return {
            resource: Counts(
                objects=sum(kept.raw is not None for kept in informer.kept.values()),
                events=informer.reflector.events,
                lists=informer.reflector.lists,
                watches=informer.reflector.watches,
                skipped=informer.reflector.skipped,
                connected=informer.reflector.disconnected_at is None,
            )
            for resource, informer in self._informers.items()
        }

    def _present(self, ref: Ref) -> Kept | None:
        """What is kept of an object, or None if it is not there."""
        if self._outside(ref):
            return None
        informer = self._informers.get(ref.resource)
        kept = informer.kept.get((ref.namespace, ref.name)) if informer is not None else None
        if informer is None or (kept is None and not informer.everything):
            raise Bug(f"{ref} is read without having been wanted")
        if kept is None or not kept.known:
            absent = isinstance(informer.reflector.refused, NotFound) or (kept is None and informer.reflector.synced)
            if not absent:
                raise Unavailable(f"{ref}: the API server has not told yet whether it is there", about=ref)
            return None
        return kept if kept.raw is not None else None

    def _whole(self, resource: Resource) -> Informer:
        informer = self._informers.get(resource)
        if informer is None or not informer.everything:
            raise Bug(f"{resource.qualified} is not watched as a whole")
        return informer

    def _outside(self, ref: Ref) -> bool:
        return bool(self._namespace) and ref.resource.namespaced and ref.namespace != self._namespace

    def _start(self, resource: Resource, everything: bool) -> Informer:
        namespace = self._namespace if resource.namespaced else ""
        informer = Informer(
            self._client,
            resource,
            namespace,
            self._clock,
            self._on_change,
            everything=everything,
            watch_list=self._watch_list,
        )
        task = asyncio.create_task(informer.reflector.run(), name=f"watch {resource.qualified}")
        task.add_done_callback(self._ended)
        self._informers[resource] = informer
        self._tasks[resource] = task
        return informer

    def _stop_later(self, informer: Informer) -> None:
        if not informer.everything and not informer.kept:
            asyncio.get_running_loop().call_later(IDLE, self._stop_if_idle, informer)

    def _stop_if_idle(self, informer: Informer) -> None:
        if not informer.kept and self._informers.get(informer.resource) is informer:
            del self._informers[informer.resource]
            self._tasks.pop(informer.resource).cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self._crashed = task.exception() or Bug(f"{task.get_name()} has ended")
        if self._crash is not None and not self._crash.done():
            self._crash.set_exception(self._crashed)
