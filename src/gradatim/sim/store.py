"""The objects of a simulated cluster, in memory: versions, conflicts, deletion, and everybody who wants to know.

This is the etcd and the registry of the simulator. It is synchronous: a write is done, and everybody who subscribed
has been told, when the call returns. Controllers of the simulator write here directly; programs that speak HTTP come
through `api`, which knows about verbs, patches and answers. What a kind defaults and refuses is in its `Kind`.

Manifests inside the store are shared and never changed. `get`, `list`, `create` and `update` hand out private copies;
`peek`, `scan` and events hand out the shared ones, for reading.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import msgspec

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim import metadata
from gradatim.sim.copying import clone
from gradatim.sim.history import ADDED, DEFAULT_LENGTH, DELETED, MODIFIED, Event, History, Snapshot
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import (
    Cause,
    NotFound,
    Refused,
    already_exists,
    bad_request,
    conflict,
    invalid,
    invalid_object,
    not_found,
)
from gradatim.sim.schema.reading import Reading

Manifests: TypeAlias = list[Manifest]
Snapshots: TypeAlias = list[Snapshot]

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
NAME_SUFFIX = 5
NAME_ATTEMPTS = 8
NAME_PREFIX_LIMIT = 63 - NAME_SUFFIX


class Writer(msgspec.Struct, frozen=True):
    """Who writes, for `managedFields`. An `Apply` has worked out the ownership itself."""

    manager: str
    operation: str = "Update"
    version: str = ""
    """The version of the resource in which it was written; the stored one if it does not say."""


CONTROLLERS = Writer("kube-controller-manager")


class Ownership(Protocol):
    """Keeps `metadata.managedFields` of `new` in step with who changed what."""

    def __call__(self, kind: Kind, new: Manifest, old: Manifest | None, writer: Writer, subresource: str) -> None: ...


class Admission(Protocol):
    """Refuses writes for reasons outside the object; `new` is None for a deletion, `old` for a creation."""

    def __call__(self, store: Store, ref: Ref, new: Manifest | None, old: Manifest | None) -> None: ...


class Outcome(msgspec.Struct, frozen=True):
    """What a write left behind. `gone`: the object is no longer there, this is its last state."""

    snapshot: Snapshot
    created: bool = False
    gone: bool = False


class Store:
    """All objects of one cluster. `now` tells the time in seconds since 1970."""

    def __init__(
        self, now: Callable[[], float], *, chance: random.Random | None = None, history: int = DEFAULT_LENGTH
    ) -> None:
        self.now = now
        self.version = int(now() * 1000)
        self.history = History(self.version, history)
        self.admission: list[Admission] = []
        self.ownership: Ownership | None = None
        self._chance = chance or random.Random()  # noqa: S311 - names and uids, no secrets
        self._kinds: dict[str, Kind] = {}
        self._served: dict[tuple[str, str, str], tuple[Kind, Resource]] = {}
        self._objects: dict[str, dict[tuple[str, str], Snapshot]] = {}
        self._subscribers: list[Callable[[Event], None]] = []
        self._untold: deque[Event] = deque()
        self._telling = False

    # Kinds ------------------------------------------------------------------------------------------------------

    def register(self, kind: Kind | Resource) -> Kind:
        """Serve a resource, a bare `Resource` without any rules; once more gives new rules to what is there."""
        known = kind if isinstance(kind, Kind) else Kind(kind)
        table = self._objects.setdefault(known.resource.qualified, {})
        for served in (known.resource, *known.served):
            self._kinds[served.qualified] = known
            self._objects[served.qualified] = table
        self._index()
        return known

    def unregister(self, resource: Resource) -> None:
        """Stop serving a resource; its objects must be gone."""
        for served in self.kind(resource).served:
            self._kinds.pop(served.qualified, None)
            self._objects.pop(served.qualified, None)
        self._index()

    def _index(self) -> None:
        names = ((kind, served) for kind in self.kinds() for served in kind.served)
        self._served = {(one.group, one.version, one.plural): (kind, one) for kind, one in names}

    def serving(self, group: str, version: str, plural: str) -> tuple[Kind, Resource] | None:
        """Which kind, and as which resource, is served there."""
        return self._served.get((group, version, plural))

    def kinds(self) -> list[Kind]:
        """Every served resource."""
        return list(dict.fromkeys(self._kinds.values()))

    def kind(self, resource: Resource) -> Kind:
        """The rules of a resource; NotFound if it is not served."""
        try:
            return self._kinds[resource.qualified]
        except KeyError:
            raise NotFound(404, "NotFound", "the server could not find the requested resource") from None

    # Reading ----------------------------------------------------------------------------------------------------

    def get(self, ref: Ref) -> Manifest:
        """A private copy of an object; NotFound if there is none."""
        return clone(self._shown(ref, self.snapshot(ref)))

    def find(self, ref: Ref) -> Manifest | None:
        """A private copy of an object, or None."""
        found = self._objects.get(ref.resource.qualified, {}).get((ref.namespace, ref.name))
        return clone(self._shown(ref, found)) if found else None

    def peek(self, ref: Ref) -> Manifest | None:
        """An object for reading only, or None."""
        found = self._objects.get(ref.resource.qualified, {}).get((ref.namespace, ref.name))
        return self._shown(ref, found) if found else None

    def list(self, resource: Resource, namespace: str = "") -> Manifests:
        """Private copies of all objects of a resource, or of those in one namespace, by name."""
        return [clone(obj) for obj in self.scan(resource, namespace)]

    def scan(self, resource: Resource, namespace: str = "") -> Iterator[Manifest]:
        """The same for reading only."""
        kind = self.kind(resource)
        for snapshot in self.snapshots(resource, namespace):
            yield kind.show(snapshot.manifest, resource)

    def snapshot(self, ref: Ref) -> Snapshot:
        """An object as it is stored; NotFound if there is none."""
        self.kind(ref.resource)
        found = self._objects[ref.resource.qualified].get((ref.namespace, ref.name))
        if found is None:
            raise not_found(ref.resource, ref.name)
        return found

    def snapshots(self, resource: Resource, namespace: str = "", version: int = 0) -> Snapshots:
        """All objects of a resource as they are stored, or were at `version`, in the order of their names."""
        stored = self.kind(resource).resource
        table = self._objects[resource.qualified]
        if version and version != self.version:
            table = self.history.rewind(table, version, stored.qualified)
        return [table[key] for key in sorted(table) if not namespace or key[0] == namespace]

    def _shown(self, ref: Ref, snapshot: Snapshot) -> Manifest:
        return self.kind(ref.resource).show(snapshot.manifest, ref.resource)

    # Being told -------------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back after every change, in order, also for changes made by callbacks. Returns what ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def _tell(self) -> None:
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for callback in tuple(self._subscribers):
                    callback(event)
        finally:
            self._telling = False

    # Writing ----------------------------------------------------------------------------------------------------

    def create(self, ref: Ref, obj: Manifest, *, writer: Writer = CONTROLLERS) -> Manifest:
        """Add an object; an empty name in `ref` is made from `generateName`. AlreadyExists, Invalid, …"""
        outcome = self.insert(ref, obj, writer=writer)
        return clone(self._shown(ref, outcome.snapshot))

    def update(self, ref: Ref, obj: Manifest, subresource: str = "", *, writer: Writer = CONTROLLERS) -> Manifest:
        """Replace an object (or its `status`); with a resourceVersion only if it is still that one (Conflict)."""
        obj = obj | {"metadata": {"resourceVersion": "", **obj.get("metadata", {})}}
        if not obj["metadata"]["resourceVersion"]:
            obj["metadata"]["resourceVersion"] = str(self.snapshot(ref).version)
        outcome = self.replace(ref, obj, subresource, writer=writer)
        return clone(self._shown(ref, outcome.snapshot))

    def mutate(
        self, ref: Ref, change: Callable[[Manifest], Any], subresource: str = "", *, writer: Writer = CONTROLLERS
    ) -> Manifest:
        """Get, let `change` work on the copy, update."""
        obj = self.get(ref)
        change(obj)
        return self.update(ref, obj, subresource, writer=writer)

    def delete(self, ref: Ref, *, policy: str = "", uid: str = "", grace: int | None = None) -> Outcome:
        """Delete an object, or mark it as being deleted while finalizers or a grace period hold it."""
        return self.remove(ref, policy=policy, uid=uid, grace=grace)

    def insert(
        self,
        ref: Ref,
        obj: Manifest,
        *,
        writer: Writer = CONTROLLERS,
        reading: Reading | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """`create` for callers that need the stored snapshot, or care for what was dropped while reading."""
        kind = self.kind(ref.resource)
        reading = reading or Reading()
        new = self._read(kind, ref, obj, reading)
        meta = new.setdefault("metadata", {})
        generated = not meta.get("name") and bool(meta.get("generateName"))
        if generated:
            meta["name"] = self._generated_name(ref, meta["generateName"])
        elif ref.name and meta.setdefault("name", ref.name) != ref.name:
            raise _misnamed(meta["name"], ref.name)
        ref = Ref(kind.resource, ref.namespace, meta.get("name", ""))
        if meta.get("namespace", ref.namespace) != ref.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if meta.pop("resourceVersion", ""):
            raise Refused(500, "", "resourceVersion should not be set on objects to be created")
        metadata.begin(meta, ref.namespace, self.uid(), self.now(), kind.counts_generations)
        kind.restrict(new, None, "")
        self._admit(ref, new, None)
        self._own(kind, new, None, writer, "")
        kind.prepare_create(new)
        self._finish(kind, new, None, "", reading.causes)
        reading.remarks += kind.remarks(new, None)
        if ref.name and (ref.namespace, ref.name) in self._objects[ref.resource.qualified]:
            raise already_exists(ref.resource, ref.name, generated)
        return Outcome(Snapshot(new, 0) if dry_run else self._commit(ADDED, ref, new, None), created=True)

    def replace(
        self,
        ref: Ref,
        obj: Manifest,
        subresource: str = "",
        *,
        writer: Writer = CONTROLLERS,
        reading: Reading | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """`update` for callers that need more, with the real rules about a missing resourceVersion."""
        kind = self.kind(ref.resource)
        reading = reading or Reading()
        new = self._read(kind, ref, obj, reading)
        before = self._objects[ref.resource.qualified].get((ref.namespace, ref.name))
        if before is None:
            if kind.created_by_update and not subresource:
                return self.insert(ref, _without_version(obj), writer=writer, reading=reading, dry_run=dry_run)
            raise not_found(ref.resource, ref.name)
        ref = Ref(kind.resource, ref.namespace, ref.name)
        old = before.manifest
        meta = new.setdefault("metadata", {})
        self._check_version(kind, ref, meta, before)
        if meta.setdefault("namespace", ref.namespace) != ref.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        causes = [*reading.causes, *metadata.carry_over(meta, old["metadata"])]
        kind.restrict(new, old, subresource)
        metadata.tidy(new["metadata"])
        self._admit(ref, new, old)
        former = old["metadata"].get("managedFields")
        if not _same(new, old) or new["metadata"].get("managedFields") not in (None, former):
            self._own(kind, new, old, writer, subresource)
        elif former is not None:
            new["metadata"]["managedFields"] = former
        kind.prepare_update(new, old, subresource)
        if kind.counts_generations and subresource != "status" and kind.changed(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._finish(kind, new, old, subresource, causes)
        reading.remarks += kind.remarks(new, old)
        if self._released(kind, new):
            return Outcome(before if dry_run else self._commit(DELETED, ref, new, before), gone=True)
        if _same(new, old) and _same_owners(new, old):
            return Outcome(before)
        return Outcome(_unwritten(new, before) if dry_run else self._commit(MODIFIED, ref, new, before))

    def remove(
        self,
        ref: Ref,
        *,
        policy: str = "",
        uid: str = "",
        version: str = "",
        grace: int | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """`delete` with everything a request can ask for."""
        before = self.snapshot(ref)
        kind = self.kind(ref.resource)
        ref = Ref(kind.resource, ref.namespace, ref.name)
        _check_preconditions(kind, ref, before, uid, version)
        self._admit(ref, None, before.manifest)
        new = clone(before.manifest)
        held = self._mark(kind, new, policy, grace)
        if not held:
            return Outcome(before if dry_run else self._commit(DELETED, ref, new, before), gone=True)
        if _same(new, before.manifest):
            return Outcome(before)
        return Outcome(_unwritten(new, before) if dry_run else self._commit(MODIFIED, ref, new, before))

    def _read(self, kind: Kind, ref: Ref, obj: Manifest, reading: Reading) -> Manifest:
        new = kind.read(obj, ref.resource, reading)
        reading.settle(ref.resource.api_version, ref.resource.kind)
        return new

    def _mark(self, kind: Kind, new: Manifest, policy: str, grace: int | None) -> bool:
        """Say in the object that it is being deleted; False if nothing holds it any longer."""
        meta = new["metadata"]
        _set_propagation(meta, policy)
        pending = kind.grace(new, grace)
        first = "deletionTimestamp" not in meta
        if not pending and not meta.get("finalizers") and not kind.held(new):
            if not first:
                meta["deletionGracePeriodSeconds"] = 0
            return False
        if first and "generation" in meta and kind.counts_its_deletion:
            meta["generation"] += 1
        if first or pending < meta.get("deletionGracePeriodSeconds", 0):
            begun = (
                self.now() if first else metadata.moment(meta["deletionTimestamp"]) - meta["deletionGracePeriodSeconds"]
            )
            meta["deletionTimestamp"] = metadata.timestamp(max(begun + pending, self.now()) if pending else self.now())
            meta["deletionGracePeriodSeconds"] = pending
        kind.prepare_delete(new)
        return True

    def _released(self, kind: Kind, new: Manifest) -> bool:
        meta = new["metadata"]
        waiting = meta.get("finalizers") or kind.held(new) or meta.get("deletionGracePeriodSeconds")
        return "deletionTimestamp" in meta and not waiting

    def _check_version(self, kind: Kind, ref: Ref, meta: Manifest, before: Snapshot) -> None:
        if meta.get("name", ref.name) != ref.name:
            raise _misnamed(meta["name"], ref.name)
        meta["name"] = ref.name
        asked = meta.pop("resourceVersion", "")
        if not asked and kind.needs_version:
            cause = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid_object(ref.resource.group, ref.resource.plural, ref.name, [cause])
        if asked and asked != str(before.version):
            raise conflict(ref.resource, ref.name)

    def _admit(self, ref: Ref, new: Manifest | None, old: Manifest | None) -> None:
        for rule in self.admission:
            rule(self, ref, new, old)

    def _own(self, kind: Kind, new: Manifest, old: Manifest | None, writer: Writer, subresource: str) -> None:
        if self.ownership is not None:
            self.ownership(kind, new, old, writer, subresource)

    def _finish(
        self, kind: Kind, new: Manifest, old: Manifest | None, subresource: str, causes: Iterable[Cause]
    ) -> None:
        """Hand out addresses, then refuse what is wrong."""
        kind.allocate(new, old, self)
        wrong = [*metadata.check(new["metadata"], old["metadata"] if old else None, kind)]
        wrong += [*kind.validate(new, old, subresource), *causes]
        if wrong:
            raise invalid_object(kind.resource.group, kind.resource.kind, new["metadata"].get("name", ""), wrong)

    def _commit(self, type_: str, ref: Ref, new: Manifest, before: Snapshot | None) -> Snapshot:
        self.version = max(self.version + 1, int(self.now() * 1000))
        new["metadata"]["resourceVersion"] = str(self.version)
        after = Snapshot(new, self.version)
        table = self._objects[ref.resource.qualified]
        if type_ == DELETED:
            del table[ref.namespace, ref.name]
        else:
            table[ref.namespace, ref.name] = after
        event = Event(type_, ref, after, before)
        self.history.add(event)
        self._untold.append(event)
        self._tell()
        return after

    def number(self, low: int, high: int) -> int:
        """A number by chance, both ends included."""
        return self._chance.randint(low, high)

    def uid(self) -> str:
        """A fresh identifier."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _generated_name(self, ref: Ref, prefix: str) -> str:
        name = ""
        for _ in range(NAME_ATTEMPTS):
            suffix = "".join(self._chance.choices(NAME_ALPHABET, k=NAME_SUFFIX))
            name = prefix[:NAME_PREFIX_LIMIT] + suffix
            if (ref.namespace, name) not in self._objects[ref.resource.qualified]:
                break
        return name


_VOLATILE = frozenset({"resourceVersion", "managedFields"})


def _same(new: Manifest, old: Manifest) -> bool:
    """Whether a write would change nothing but versions and ownership."""
    return {**new, "metadata": None} == {**old, "metadata": None} and _plain(new) == _plain(old)


def _plain(obj: Manifest) -> Manifest:
    return {key: value for key, value in obj["metadata"].items() if key not in _VOLATILE}


def _unwritten(new: Manifest, before: Snapshot) -> Snapshot:
    """What a dry run would have written: still the old version."""
    new["metadata"]["resourceVersion"] = str(before.version)
    return Snapshot(new, before.version)


def _same_owners(new: Manifest, old: Manifest) -> bool:
    return _untimed(new) == _untimed(old)


def _untimed(obj: Manifest) -> list[Manifest]:
    return [{**entry, "time": None} for entry in obj["metadata"].get("managedFields", ())]


def _misnamed(name: str, url: str) -> Refused:
    return bad_request(f"the name of the object ({name}) does not match the name on the URL ({url})")


def _without_version(obj: Manifest) -> Manifest:
    meta = {key: value for key, value in obj.get("metadata", {}).items() if key != "resourceVersion"}
    return obj | {"metadata": meta}


def _set_propagation(meta: Manifest, policy: str) -> None:
    """The finalizers by which the garbage collector learns how to treat dependents."""
    if not policy:
        return
    kept = [name for name in meta.get("finalizers", ()) if name not in (metadata.FOREGROUND, metadata.ORPHAN)]
    wanted = {"Foreground": metadata.FOREGROUND, "Orphan": metadata.ORPHAN}.get(policy)
    meta["finalizers"] = [*kept, wanted] if wanted else kept
    if not meta["finalizers"]:
        del meta["finalizers"]


def _check_preconditions(kind: Kind, ref: Ref, before: Snapshot, uid: str, version: str) -> None:
    resource = kind.resource
    named = Resource(resource.group, resource.version, resource.kind, resource.kind, resource.namespaced)
    found = before.manifest["metadata"]["uid"]
    if uid and uid != found:
        told = f"the UID in the precondition ({uid}) does not match the UID in record ({found})."
        raise conflict(named, ref.name, f"{told} The object might have been deleted and then recreated")
    if version and version != str(before.version):
        told = f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record"
        raise conflict(named, ref.name, f"{told} ({before.version}). The object might have been modified")
