"""The kind CustomResourceDefinition itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.builtin.kind import Counted
from gradatim.sim.crds import rules
from gradatim.sim.refusals import Cause

DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class Definition(Counted):
    """The kind CustomResourceDefinition."""

    needs_version = True
    plain_finalizers = True
    counts_its_deletion = False

    def held(self, obj: Manifest) -> bool:
        """Its objects go first; a finalizer that comes with the deletion sees to that."""
        return "deletionTimestamp" not in obj["metadata"]

    def prepare_delete(self, obj: Manifest) -> None:
        """Announce the end of its objects."""
        meta, status = obj["metadata"], obj.setdefault("status", {})
        meta.pop("deletionGracePeriodSeconds", None)
        conditions = list(status.get("conditions") or ())
        if any(one["type"] == "Terminating" for one in conditions):
            return
        meta["finalizers"] = [*without(meta, CLEANUP), CLEANUP]
        told = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        ending = condition("Terminating", "InstanceDeletionPending", told, meta["deletionTimestamp"])
        status["conditions"] = [*conditions, ending]

    def default(self, obj: Manifest) -> None:
        """Names that follow from others."""
        named = obj["spec"]["names"]
        kind = named.get("kind", "")
        if kind:
            named.setdefault("singular", kind.lower())
            named.setdefault("listKind", f"{kind}List")

    def prepare_create(self, new: Manifest) -> None:
        """Nothing is accepted yet."""
        stored = [one["name"] for one in new["spec"].get("versions") or () if one.get("storage")]
        nothing = {"plural": "", "kind": ""}
        new["status"] = {"conditions": None, "acceptedNames": nothing, "storedVersions": stored[:1]}

    def remarks(self, new: Manifest, old: Manifest | None) -> Iterator[str]:
        """Formats that nobody checks."""
        return rules.remarks(new["spec"])

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Names, versions and schemas; some of it stays as it is."""
        yield from rules.check(new)
        if old is None:
            yield from rules.check_name(new)
        else:
            yield from rules.check_change(new, old, established=established(old))


def established(obj: Manifest) -> bool:
    """Whether a definition is served."""
    found = obj.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in found)


def condition(kind: str, reason: str, message: str, now: str) -> Manifest:
    """A condition that holds."""
    told = {"reason": reason, "message": message, "lastTransitionTime": now}
    return {"type": kind, "status": "True"} | told


def without(meta: Manifest, finalizer: str) -> list[str]:
    """The other finalizers."""
    return [name for name in meta.get("finalizers", ()) if name != finalizer]
