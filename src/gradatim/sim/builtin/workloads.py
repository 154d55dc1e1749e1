"""Deployments, ReplicaSets, DaemonSets and StatefulSets: their defaults and their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim import selection
from gradatim.sim.builtin import podspec
from gradatim.sim.builtin.kind import Counted
from gradatim.sim.metadata import IMMUTABLE
from gradatim.sim.refusals import Cause, forbidden_field, invalid, required, unsupported

NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


class Workload(Counted):
    """What the four have in common: a selector, a template, and numbers that are not negative."""

    word = "deployment"
    numbers: tuple[str, ...] = ("replicas", "minReadySeconds", "revisionHistoryLimit")

    def default(self, obj: Manifest) -> None:
        """The template's pod spec."""
        podspec.default(obj["spec"]["template"]["spec"])

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Selector, template and numbers."""
        spec = new["spec"]
        for key in self.numbers:
            if spec.get(key, 0) < 0:
                yield invalid(f"spec.{key}", spec[key], NOT_NEGATIVE)
        yield from _check_selector(spec, self.word)
        yield from check_template(spec["template"], "spec.template")
        yield from self.check_strategy(spec)
        if old is not None and spec.get("selector") != old["spec"].get("selector"):
            yield invalid("spec.selector", spec.get("selector"), IMMUTABLE)

    def check_strategy(self, spec: Manifest) -> Iterable[Cause]:
        """How pods are replaced."""
        return ()


class Deployment(Workload):
    """A Deployment."""

    status_keeps = ("labels",)

    def default(self, obj: Manifest) -> None:
        """Also how a rolling update rolls."""
        super().default(obj)
        strategy = obj["spec"]["strategy"]
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Its generation also counts changes of annotations."""
        annotations = new["metadata"].get("annotations") != old["metadata"].get("annotations")
        return annotations or super().changed(new, old)

    def check_strategy(self, spec: Manifest) -> Iterator[Cause]:
        """Recreate knows no rolling; a rolling update must be able to move."""
        strategy = spec["strategy"]
        rolling = strategy.get("rollingUpdate")
        if strategy["type"] not in ("Recreate", "RollingUpdate"):
            yield unsupported("spec.strategy", _as_go(strategy), ("Recreate", "RollingUpdate"))
        if strategy["type"] == "Recreate" and rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden_field("spec.strategy.rollingUpdate", detail)
        elif strategy["type"] == "RollingUpdate":
            path = "spec.strategy.rollingUpdate"
            yield from _check_amount(rolling["maxUnavailable"], f"{path}.maxUnavailable")
            yield from _check_amount(rolling["maxSurge"], f"{path}.maxSurge")
            if _amount(rolling["maxUnavailable"]) == 0 and _amount(rolling["maxSurge"]) == 0:
                detail = "may not be 0 when `maxSurge` is 0"
                yield invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], detail)
        deadline = spec["progressDeadlineSeconds"]
        if deadline < 0:
            yield invalid("spec.progressDeadlineSeconds", deadline, NOT_NEGATIVE)
        if deadline <= spec.get("minReadySeconds", 0):
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")

    def check_status(self, new: Manifest, old: Manifest) -> Iterator[Cause]:
        """Counts that contradict each other."""
        status = new.get("status", {})
        yield from _check_counts(status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
        if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
            detail = "cannot be greater than readyReplicas"
            yield invalid("status.availableReplicas", status["availableReplicas"], detail)


class ReplicaSet(Workload):
    """A ReplicaSet."""

    def check_status(self, new: Manifest, old: Manifest) -> Iterator[Cause]:
        """Counts that contradict each other."""
        status = new.get("status", {})
        yield from _check_counts(status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
        if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
            detail = "cannot be greater than readyReplicas"
            yield invalid("status.availableReplicas", status["availableReplicas"], detail)


class DaemonSet(Workload):
    """A DaemonSet."""

    word = "daemonset"
    numbers = ("minReadySeconds", "revisionHistoryLimit")

    def default(self, obj: Manifest) -> None:
        """Also how a rolling update rolls, and the generation of its template, which older clients look at."""
        super().default(obj)
        obj["metadata"].setdefault("annotations", {}).setdefault(TEMPLATE_GENERATION, "1")
        strategy = obj["spec"]["updateStrategy"]
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)

    def prepare_update(self, new: Manifest, old: Manifest, subresource: str) -> None:
        """Count the changes of the template."""
        count = int(old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "1"))
        if new["spec"]["template"] != old["spec"]["template"]:
            count += 1
        new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(count)

    def check_strategy(self, spec: Manifest) -> Iterator[Cause]:
        """A rolling update must be able to move, one way."""
        strategy = spec["updateStrategy"]
        if strategy["type"] not in ("RollingUpdate", "OnDelete"):
            yield unsupported("spec.updateStrategy", _as_go(strategy), ("RollingUpdate", "OnDelete"))
        if strategy["type"] != "RollingUpdate":
            return
        rolling, path = strategy["rollingUpdate"], "spec.updateStrategy.rollingUpdate"
        yield from _check_amount(rolling["maxUnavailable"], f"{path}.maxUnavailable")
        yield from _check_amount(rolling["maxSurge"], f"{path}.maxSurge")
        unavailable, surge = _amount(rolling["maxUnavailable"]), _amount(rolling["maxSurge"])
        if unavailable and surge:
            yield invalid(f"{path}.maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero")
        elif not unavailable and not surge:
            yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class StatefulSet(Workload):
    """A StatefulSet."""

    word = "statefulset"

    def default(self, obj: Manifest) -> None:
        """Also how a rolling update rolls."""
        super().default(obj)
        strategy = obj["spec"]["updateStrategy"]
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("partition", 0)
            rolling.setdefault("maxUnavailable", 1)


def _as_go(strategy: Manifest) -> Manifest:
    """A strategy as the server shows it: a Go struct without names for JSON."""
    return {"Type": strategy["type"], "RollingUpdate": strategy.get("rollingUpdate")}


def check_template(template: Manifest, path: str) -> Iterator[Cause]:
    """A template of pods that run until they are replaced."""
    yield from podspec.check_labels(template["metadata"].get("labels", {}), f"{path}.metadata.labels")
    yield from podspec.check(template["spec"], f"{path}.spec")
    if template["spec"]["restartPolicy"] != "Always":
        yield unsupported(f"{path}.spec.restartPolicy", template["spec"]["restartPolicy"], ("Always",))


def _check_selector(spec: Manifest, word: str) -> Iterator[Cause]:
    selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels")
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {word}")
        return
    if selector is None or not selection.matches(selection.from_object(selector), labels or {}):
        yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _check_counts(status: Manifest, keys: tuple[str, ...]) -> Iterator[Cause]:
    total = status.get("replicas", 0)
    for key in ("observedGeneration", "replicas", *keys):
        if status.get(key, 0) < 0:
            yield invalid(f"status.{key}", status[key], NOT_NEGATIVE)
    for key in keys:
        if status.get(key, 0) > total:
            yield invalid(f"status.{key}", status[key], "cannot be greater than status.replicas")


def _amount(given: Any) -> int:
    """The number in `3` or `25%`."""
    return given if isinstance(given, int) else int(given.removesuffix("%") or 0) if given[:-1].isdigit() else -1


def _check_amount(given: Any, path: str) -> Iterator[Cause]:
    if isinstance(given, str):
        if not re.fullmatch("[0-9]+%", given):
            yield invalid(path, given, _PERCENT_RULE)
        elif _amount(given) > 100 and path.endswith("maxUnavailable"):
            yield invalid(path, given, "must not be greater than 100%")
    elif given < 0:
        yield invalid(path, given, NOT_NEGATIVE)
