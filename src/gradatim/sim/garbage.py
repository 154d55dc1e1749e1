"""The garbage collector: what an owner leaves behind goes too, goes first, or stays as an orphan.

It works at once, inside the write that makes garbage; a real cluster takes moments longer.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradatim.ports.objects import Manifest, Ref
from gradatim.sim.history import DELETED, Event
from gradatim.sim.metadata import FOREGROUND, ORPHAN
from gradatim.sim.refusals import NotFound
from gradatim.sim.store import Store

_IGNORED = frozenset(("events", "leases.coordination.k8s.io"))


class Garbage:
    """Collects the garbage of one store; make it before anything writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dependents: dict[str, set[Ref]] = {}
        self._living: dict[str, Ref] = {}
        store.subscribe(self.react)

    def react(self, event: Event) -> None:
        """Keep the graph, then see what follows from the change."""
        if event.ref.resource.qualified in _IGNORED:
            return
        before = _owner_uids(event.previous)
        now = set() if event.type == DELETED else _owner_uids(event.object)
        for uid in before - now:
            self._dependents.get(uid, set()).discard(event.ref)
        for uid in now - before:
            self._dependents.setdefault(uid, set()).add(event.ref)
        uid = event.object["metadata"]["uid"]
        if event.type == DELETED:
            self._living.pop(uid, None)
            self._bury(uid)
            for owner in before:
                self._look_at_owner(owner)
            return
        self._living[uid] = event.ref
        if now != before:
            self._look_at_dependent(event.ref)
        if "deletionTimestamp" in event.object["metadata"]:
            self._take_leave(event.ref, event.object)

    def _bury(self, uid: str) -> None:
        """An owner is gone."""
        for ref in sorted(self._dependents.pop(uid, set())):
            self._look_at_dependent(ref)

    def _look_at_dependent(self, ref: Ref) -> None:
        """Delete what nobody owns any more; forget owners that are gone where another remains."""
        obj = self._store.peek(ref)
        if obj is None or not obj["metadata"].get("ownerReferences") or "deletionTimestamp" in obj["metadata"]:
            return
        owners = obj["metadata"]["ownerReferences"]
        gone = [owner["uid"] for owner in owners if not self._is_there(owner, ref.namespace)]
        if len(gone) == len(owners):
            self._store.delete(ref, uid=obj["metadata"]["uid"])
        elif gone:
            self._store.mutate(ref, lambda one: _disown(one, gone))

    def _is_there(self, owner: Manifest, namespace: str) -> bool:
        found = self._living.get(owner["uid"])
        if found is not None:
            return not found.namespace or found.namespace == namespace
        group = owner["apiVersion"].rpartition("/")[0]
        kinds = (kind.resource for kind in self._store.kinds())
        return not any(kind.kind == owner["kind"] and kind.group == group for kind in kinds)

    def _take_leave(self, ref: Ref, obj: Manifest) -> None:
        """An owner that is being deleted asked for its dependents to go first, or to stay."""
        finalizers = obj["metadata"].get("finalizers", ())
        if ORPHAN in finalizers:
            for dependent in self._dependents_of(obj):
                self._store.mutate(dependent, lambda one: _disown(one, [obj["metadata"]["uid"]]))
            self._drop_finalizer(ref, ORPHAN)
        elif FOREGROUND in finalizers:
            for dependent in self._dependents_of(obj):
                self._end(dependent)
            self._look_at_owner(obj["metadata"]["uid"])

    def _end(self, ref: Ref) -> None:
        obj = self._store.peek(ref)
        if obj is None or "deletionTimestamp" in obj["metadata"]:
            return
        has_own = bool(self._dependents.get(obj["metadata"]["uid"]))
        self._store.delete(ref, policy="Foreground" if has_own else "Background")

    def _look_at_owner(self, uid: str) -> None:
        """Let an owner go for whose end no dependent has to be waited any longer."""
        ref = self._living.get(uid)
        obj = self._store.peek(ref) if ref else None
        if ref is None or obj is None or FOREGROUND not in obj["metadata"].get("finalizers", ()):
            return
        if "deletionTimestamp" in obj["metadata"] and not any(
            self._blocks(one, uid) for one in self._dependents_of(obj)
        ):
            self._drop_finalizer(ref, FOREGROUND)

    def _blocks(self, ref: Ref, uid: str) -> bool:
        obj = self._store.peek(ref) or {"metadata": {}}
        owners = obj["metadata"].get("ownerReferences", ())
        return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)

    def _dependents_of(self, obj: Manifest) -> Iterator[Ref]:
        return iter(sorted(self._dependents.get(obj["metadata"]["uid"], set())))

    def _drop_finalizer(self, ref: Ref, name: str) -> None:
        try:
            self._store.mutate(ref, lambda obj: _without(obj["metadata"], name))
        except NotFound:
            return  # gone meanwhile, as it should


def _owner_uids(obj: Manifest | None) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())} if obj else set()


def _disown(obj: Manifest, uids: list[str]) -> None:
    kept = [owner for owner in obj["metadata"].get("ownerReferences", ()) if owner["uid"] not in uids]
    obj["metadata"]["ownerReferences"] = kept


def _without(meta: Manifest, finalizer: str) -> None:
    meta["finalizers"] = [name for name in meta.get("finalizers", ()) if name != finalizer]
