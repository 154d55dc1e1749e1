"""Namespaces, nodes, and the small kinds with a rule or two: roles, leases, budgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim import names
from gradatim.sim.builtin.kind import Builtin, Counted, masked
from gradatim.sim.refusals import Cause, invalid, required

RBAC = "rbac.authorization.k8s.io"
NAME_LABEL = "kubernetes.io/metadata.name"
NOT_READY = "node.kubernetes.io/not-ready"


class Namespace(Builtin):
    """A Namespace: it ends when everything in it has ended, which `sim.namespaces` sees to."""

    shows_deleted = True
    selectable = ("status.phase",)

    def names(self, name: str, generated: bool) -> list[str]:
        """A namespace's name is one label of a DNS name."""
        return list(names.label(masked(name) if generated else name))

    def default(self, obj: Manifest) -> None:
        """The label by which selectors find it."""
        if name := obj["metadata"].get("name"):
            obj["metadata"].setdefault("labels", {}).setdefault(NAME_LABEL, name)
        obj["status"].setdefault("phase", "Active")

    def prepare_create(self, new: Manifest) -> None:
        """Active, and held by its own finalizer."""
        new["status"] = {"phase": "Active"}
        new["metadata"].setdefault("labels", {}).setdefault(NAME_LABEL, new["metadata"].get("name", ""))
        finalizers = new["spec"].setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")

    def restrict(self, new: Manifest, old: Manifest | None, subresource: str) -> None:
        """The finalizers of the spec have a door of their own, `finalize`."""
        super().restrict(new, old, subresource)
        if old is None or subresource == "finalize":
            return
        new["spec"]["finalizers"] = old["spec"].get("finalizers", [])
        if not new["spec"]["finalizers"]:
            del new["spec"]["finalizers"]

    def held(self, obj: Manifest) -> bool:
        """Something may still live in it."""
        return bool(obj["spec"].get("finalizers"))

    def prepare_delete(self, obj: Manifest) -> None:
        """Visible in its phase."""
        obj["status"] = obj.get("status", {}) | {"phase": "Terminating"}
        obj["metadata"].pop("deletionGracePeriodSeconds", None)


class Node(Builtin):
    """A Node."""

    selectable = ("spec.unschedulable",)

    def field(self, obj: Manifest, name: str) -> str:
        """A node takes pods unless it says otherwise."""
        return super().field(obj, name) or ("false" if name == "spec.unschedulable" else "")

    def default(self, obj: Manifest) -> None:
        """What it has is what it can give."""
        capacity = obj["status"].get("capacity")
        if capacity and not obj["status"].get("allocatable"):
            obj["status"]["allocatable"] = dict(capacity)

    def restrict(self, new: Manifest, old: Manifest | None, subresource: str) -> None:
        """A node may introduce itself with a status."""
        if old is not None:
            super().restrict(new, old, subresource)

    def prepare_create(self, new: Manifest) -> None:
        """Nobody lands on a node until it is ready."""
        if not any(taint.get("key") == NOT_READY for taint in new["spec"].get("taints", ())):
            taint = {"key": NOT_READY, "effect": "NoSchedule"}
            new["spec"]["taints"] = [*new["spec"].get("taints", ()), taint]


class Role(Builtin):
    """A Role or ClusterRole: any name that fits into a path."""

    created_by_update = True

    def names(self, name: str, generated: bool) -> list[str]:
        """Anything that fits into a path."""
        return list(names.path_segment(name))


class Binding(Role):
    """A RoleBinding or ClusterRoleBinding."""

    def default(self, obj: Manifest) -> None:
        """Roles and people belong to RBAC's own group."""
        if not obj["roleRef"]["apiGroup"]:
            obj["roleRef"]["apiGroup"] = RBAC
        for subject in obj.get("subjects", ()):
            if subject["kind"] in ("User", "Group") and not subject.get("apiGroup"):
                subject["apiGroup"] = RBAC

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Service accounts live somewhere; the role does not change."""
        for index, subject in enumerate(new.get("subjects", ())):
            if subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
                yield required(f"subjects[{index}].namespace")
        if old is not None and new["roleRef"] != old["roleRef"]:
            yield invalid("roleRef", new["roleRef"], "cannot change roleRef")


class Lease(Builtin):
    """A Lease."""

    needs_version = True
    created_by_update = True

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Positive durations."""
        spec = new["spec"]
        if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
            yield invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
        if spec.get("leaseTransitions") is not None and spec["leaseTransitions"] < 0:
            detail = "must be greater than or equal to 0"
            yield invalid("spec.leaseTransitions", spec["leaseTransitions"], detail)


class Endpoints(Builtin):
    """The older sibling of EndpointSlice."""

    def deprecation(self, served: Resource) -> str:
        """It has a successor."""
        return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"

    created_by_update = True


class PodDisruptionBudget(Counted):
    """A PodDisruptionBudget."""

    needs_version = True

    def check(self, new: Manifest, old: Manifest | None) -> Iterator[Cause]:
        """One bound, not two."""
        spec = new["spec"]
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            shown = {
                "MinAvailable": spec["minAvailable"],
                "Selector": spec.get("selector"),
                "MaxUnavailable": spec["maxUnavailable"],
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            }
            yield invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
