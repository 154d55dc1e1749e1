"""The life of namespaces: nothing is created outside one, and one ends when everything in it has ended.

What the real server does in an admission plugin and a controller.
"""

from __future__ import annotations

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim.history import DELETED, Event
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import forbidden, not_found
from gradatim.sim.store import Store

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
FROM_THE_START = ("default", "kube-node-lease", "kube-public", "kube-system")
IMMORTAL = frozenset(("default", "kube-public", "kube-system"))

_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")


class Namespaces:
    """Watches over one store's namespaces; make it before anything writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.admission.append(self.admit)
        store.subscribe(self.react)

    def begin(self) -> None:
        """Create the namespaces that every cluster has."""
        for name in FROM_THE_START:
            if self._store.peek(namespace(name)) is None:
                self._store.create(namespace(name), {"metadata": {"name": name}})

    def admit(self, store: Store, ref: Ref, new: Manifest | None, old: Manifest | None) -> None:
        """Refuse what is created in no namespace, or in one that is ending."""
        if ref.resource == NAMESPACE:
            if new is None and ref.name in IMMORTAL:
                raise forbidden(NAMESPACE, ref.name, "this namespace may not be deleted")
            return
        if old is not None or not ref.resource.namespaced:
            return
        home = store.peek(namespace(ref.namespace))
        if home is None:
            raise not_found(NAMESPACE, ref.namespace)
        if "deletionTimestamp" in home["metadata"]:
            why = f"unable to create new content in namespace {ref.namespace} because it is being terminated"
            refusal = forbidden(ref.resource, ref.name, why)
            told = f"namespace {ref.namespace} is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": told, "field": "metadata.namespace"}
            refusal.details = (refusal.details or {}) | {"causes": [cause]}
            raise refusal

    def react(self, event: Event) -> None:
        """Furnish a new namespace, empty an ending one, and let it go when it is empty."""
        if event.ref.resource == NAMESPACE:
            if event.type == DELETED:
                return
            if "deletionTimestamp" in event.object["metadata"]:
                self._empty(event.ref.name)
            elif event.previous is None:
                self._furnish(event.ref.name)
        elif event.type == DELETED and event.ref.namespace:
            home = self._store.peek(namespace(event.ref.namespace))
            if home is not None and "deletionTimestamp" in home["metadata"]:
                self._let_go(event.ref.namespace)

    def _furnish(self, name: str) -> None:
        account = Ref(_ACCOUNT, name, "default")
        if self._serves(_ACCOUNT) and self._store.peek(account) is None:
            self._store.create(account, {"metadata": {"name": "default"}})

    def _serves(self, resource: Resource) -> bool:
        return any(kind.resource == resource for kind in self._store.kinds())

    def _empty(self, name: str) -> None:
        for kind in self._living_in_namespaces():
            for obj in list(self._store.scan(kind.resource, name)):
                ref = Ref(kind.resource, name, obj["metadata"]["name"])
                if "deletionTimestamp" not in obj["metadata"] and self._store.peek(ref) is not None:
                    self._store.delete(ref, policy="Background")
        self._let_go(name)

    def _let_go(self, name: str) -> None:
        home = self._store.peek(namespace(name))
        if home is None or any(
            True for kind in self._living_in_namespaces() for _ in self._store.scan(kind.resource, name)
        ):
            return
        if home["spec"].get("finalizers"):
            self._store.mutate(namespace(name), lambda obj: obj["spec"].pop("finalizers", None), "finalize")

    def _living_in_namespaces(self) -> list[Kind]:
        return [kind for kind in self._store.kinds() if kind.resource.namespaced]


def namespace(name: str) -> Ref:
    """The namespace of that name."""
    return Ref(NAMESPACE, "", name)
