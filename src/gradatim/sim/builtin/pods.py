"""Pods: what the server adds to one, what may change later, and how long one takes to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim.builtin import podspec
from gradatim.sim.builtin.kind import Counted
from gradatim.sim.copying import clone_value
from gradatim.sim.refusals import Cause, forbidden_field

CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_OVER = ("Succeeded", "Failed")
_DEFAULT_ACCOUNT = "default"
_PATIENCE = 300


class Pod(Counted):
    """A pod."""

    shows_deleted = True
    status_keeps = ("ownerReferences", "deletionTimestamp")
    selectable = (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    )

    def field(self, obj: Manifest, name: str) -> str:
        """A pod is on its node's network or, without a word, not."""
        return super().field(obj, name) or ("false" if name == "spec.hostNetwork" else "")

    def default(self, obj: Manifest) -> None:
        """Pull policies and the like, then what only pods get."""
        podspec.default(obj["spec"])
        podspec.default_pod(obj["spec"])

    def prepare_create(self, new: Manifest) -> None:
        """Pending, of some quality of service, with the account, priority and patience that admission adds."""
        new["status"] = {"phase": "Pending", "qosClass": quality(new["spec"])}
        spec = new["spec"]
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = spec["serviceAccount"] = _DEFAULT_ACCOUNT
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        spec["tolerations"] = [*spec.get("tolerations", ()), *_missing_tolerations(spec.get("tolerations", ()))]

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """A pod's generation counts changes of its spec."""
        return bool(new.get("spec") != old.get("spec"))

    def grace(self, obj: Manifest, asked: int | None) -> int:
        """A pod that runs somewhere gets the seconds that it, or who deletes it, asks for."""
        if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in _OVER:
            return 0
        return int(asked if asked is not None else obj["spec"].get("terminationGracePeriodSeconds", 0))

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Little of a pod can change."""
        yield from podspec.check(new["spec"], "spec")
        if old is not None and _fixed(new["spec"]) != _fixed(old["spec"]):
            yield forbidden_field("spec", f"pod updates may not change fields other than {CHANGEABLE}")


def quality(spec: Manifest) -> str:
    """Guaranteed if limits and requests agree everywhere, BestEffort if there are none, else Burstable."""
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    resources = [container.get("resources", {}) for container in containers]
    if not any(one.get("limits") or one.get("requests") for one in resources):
        return "BestEffort"
    full = all({"cpu", "memory"} <= (one.get("limits") or {}).keys() for one in resources)
    same = all(one.get("limits") == one.get("requests") for one in resources)
    return "Guaranteed" if full and same else "Burstable"


def _missing_tolerations(tolerations: Iterable[Manifest]) -> Iterator[Manifest]:
    known = {one.get("key") for one in tolerations}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if key not in known:
            yield {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _PATIENCE}


def _fixed(spec: Manifest) -> Any:
    """The part of a pod's spec that never changes; a scheduler may still fill in the node."""
    kept = clone_value(spec)
    for key in ("activeDeadlineSeconds", "tolerations", "schedulingGates", "nodeName"):
        kept.pop(key, None)
    for container in (*kept.get("containers", ()), *kept.get("initContainers", ())):
        container.pop("image", None)
    return kept
