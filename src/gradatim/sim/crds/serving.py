"""Definitions at work: an accepted one is served, a changed one followed, one that goes takes its objects along."""

from __future__ import annotations

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim import metadata
from gradatim.sim.crds.custom import Custom
from gradatim.sim.crds.definition import CLEANUP, DEFINITION, Definition, condition, established, without
from gradatim.sim.history import DELETED, Event
from gradatim.sim.store import Store, Writer


class Definitions:
    """Makes a store serve what its definitions define; make it before anything writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.register(Definition(DEFINITION, short_names=("crd", "crds"), status=True, categories=("api-extensions",)))
        store.subscribe(self.react)

    def react(self, event: Event) -> None:
        """Accept a new definition, follow a changed one, empty the resource of one that goes."""
        if event.ref.resource != DEFINITION:
            self._perhaps_let_go(event)
        elif event.type == DELETED:
            self._forget(event.object)
        elif "deletionTimestamp" in event.object["metadata"]:
            self._empty(event.ref)
        elif established(event.object):
            if (
                event.previous is None
                or event.previous["spec"] != event.object["spec"]
                or not established(event.previous)
            ):
                self._store.register(Custom(event.object))
        else:
            self._establish(event.ref)

    def _establish(self, ref: Ref) -> None:
        now = metadata.timestamp(self._store.now())
        writer = Writer("kube-apiserver")
        self._store.mutate(ref, lambda obj: obj.update(status=_accepted(obj, now)), "status", writer=writer)

    def _empty(self, ref: Ref) -> None:
        definition = self._store.peek(ref)
        if definition is None:
            return
        resource = Custom(definition).resource
        for obj in list(self._store.scan(resource)):
            one = Ref(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            if "deletionTimestamp" not in obj["metadata"] and self._store.peek(one) is not None:
                self._store.delete(one)
        self._let_go(ref, resource)

    def _let_go(self, ref: Ref, resource: Resource) -> None:
        if not any(True for _ in self._store.scan(resource)) and self._store.peek(ref) is not None:
            self._store.mutate(ref, lambda obj: obj["metadata"].update(finalizers=without(obj["metadata"], CLEANUP)))

    def _perhaps_let_go(self, event: Event) -> None:
        if event.type != DELETED:
            return
        ref = Ref(DEFINITION, "", event.ref.resource.qualified)
        definition = self._store.peek(ref)
        if definition is not None and "deletionTimestamp" in definition["metadata"]:
            self._let_go(ref, event.ref.resource)

    def _forget(self, definition: Manifest) -> None:
        resource = Custom(definition).resource
        if self._store.serving(resource.group, resource.version, resource.plural):
            self._store.unregister(resource)


def _accepted(obj: Manifest, now: str) -> Manifest:
    conditions = [
        condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
    ]
    kept: Manifest = obj.get("status", {})
    return kept | {"conditions": conditions, "acceptedNames": obj["spec"]["names"]}
