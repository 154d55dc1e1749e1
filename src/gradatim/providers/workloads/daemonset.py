"""DaemonSets: they cannot be scaled, so the target is switched off by a node selector that no node satisfies."""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, DaemonRollout, Readiness, Ready, Stuck, Waiting, judge_daemon_rollout
from gradatim.core.settings import Settings
from gradatim.ports.errors import UnexpectedObject
from gradatim.ports.objects import CONFIG_MAP, CONTROLLER_REVISION, DAEMON_SET, SECRET, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Facts, Patch, WorkloadKind
from gradatim.providers import promoted
from gradatim.providers.absence import get_error
from gradatim.providers.manifests import copy_of, mapping, number, put, text, whole
from gradatim.providers.pod_targets import PodTarget

_SWITCH = "flagger.app/scale-to-zero"


def _without_switch(template: Manifest) -> Manifest:
    """A pod template without our node selector, whose coming and going is no new revision."""
    plain = copy_of(template)
    selector = {key: value for key, value in mapping(plain, "spec", "nodeSelector").items() if key != _SWITCH}
    put(plain, selector or None, "spec", "nodeSelector")
    return plain


_PODS = PodTarget(
    resource=DAEMON_SET,
    own_fields=frozenset({"selector", "template", "templateGeneration"}),
    plain=_without_switch,
    label_error_end="'",
)


class DaemonSet:
    """See `ports.workload.Workload`."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """An autoscaler has nothing to scale here."""
        if canary.spec.autoscaler_ref:
            sentence = "a DaemonSet has one pod for each node and cannot be scaled; remove the reference"
            yield Problem("spec.autoscalerRef", sentence, blocks=False)

    def target(self, canary: Canary) -> Ref:
        """The DaemonSet in `targetRef`."""
        return _PODS.target(canary)

    def primary(self, canary: Canary) -> Ref | None:
        """`{target}-primary`."""
        return _PODS.primary(canary)

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterable[Ref]:
        """Target, primary, configs and their copies."""
        return _PODS.reads(canary, settings, seen)

    def facts(self, canary: Canary, settings: Settings, seen: Seen) -> Facts:
        """What the target is now; switching it on and off is no new revision."""
        return _PODS.facts(canary, settings, seen, running=not _switched_off(_PODS.found(canary, seen)))

    def create(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """A primary on all nodes of the target."""
        _refuse_strategy(scene, seen)
        return _PODS.create(scene, seen, token, {})

    def promote(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """The target's template, without our node selector."""
        _refuse_strategy(scene, seen)
        return _PODS.promote(scene, seen, token, {})

    def abrupt(self, canary: Canary, seen: Seen) -> bool:
        """As many pods may be missing as there are nodes, and none is made beforehand."""
        primary = seen[_PODS.primary(canary)]
        if primary is None:
            return True
        nodes = number(primary, "status", "desiredNumberScheduled")
        rolling = mapping(primary, "spec", "updateStrategy", "rollingUpdate")
        if whole(rolling.get("maxSurge"), nodes, 0, up=True):
            return False
        return whole(rolling.get("maxUnavailable"), nodes, 1, up=True) >= nodes

    def keeping(self, canary: Canary, seen: Seen) -> Manifest | None:
        """The target's pod template."""
        return _PODS.keeping(canary, seen)

    def kept(self, canary: Canary, revision: str) -> Ref | None:
        """A ControllerRevision."""
        return promoted.kept(canary, revision)

    def ready(self, scene: Scene, seen: Seen, *, primary: bool, now: float, since: float) -> Readiness:
        """Judged by the DaemonSet's numbers; they do not tell since when they are like this."""
        canary, analysis = scene.canary, scene.canary.spec.analysis
        if primary:
            _refuse_strategy(scene, seen)
        ref = _PODS.primary(canary) if primary else _PODS.target(canary)
        if (found := seen[ref]) is None:
            return Absent(get_error(_PODS.word, ref))
        rollout = _rollout(found, since)
        threshold = analysis.primary_ready_threshold if primary else analysis.canary_ready_threshold
        match judge_daemon_rollout(rollout, threshold, canary.spec.progress_deadline, now):
            case Ready():
                return Ready()
            case Waiting(message, until):
                return Waiting(_sentence(ref, message, primary=primary, hope=True), until)
            case Stuck(message):
                return Stuck(_sentence(ref, message, primary=primary, hope=False))

    def stop(self, scene: Scene, seen: Seen) -> Patch | None:
        """Ask for nodes that do not exist."""
        target = seen[_PODS.target(scene.canary)]
        return _switch(scene, "true") if target and not _switched_off(target) else None

    def start(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """Ask for the user's nodes again; a scaler has no say."""
        return _switch(scene, None) if _switched_off(_PODS.found(scene.canary, seen)) else None

    def revert(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """As `start`; a target that is gone needs nothing."""
        return self.start(scene, seen, least) if seen[_PODS.target(scene.canary)] else None


def _switched_off(daemonset: Manifest) -> bool:
    return _SWITCH in mapping(daemonset, "spec", "template", "spec", "nodeSelector")


def _switch(scene: Scene, value: str | None) -> Patch:
    body = {"spec": {"template": {"spec": {"nodeSelector": {_SWITCH: value}}}}}
    return Patch(_PODS.target(scene.canary), body)


def _refuse_strategy(scene: Scene, seen: Seen) -> None:
    """Pods that are only replaced when somebody deletes them would never run a promoted revision."""
    target = _PODS.found(scene.canary, seen)
    kind = text(target, "spec", "updateStrategy", "type")
    if kind not in ("", "RollingUpdate"):
        raise UnexpectedObject(
            f"createPrimaryDaemonSet failed: daemonset {scene.canary.target}.{scene.canary.namespace} "
            f"must have RollingUpdate strategy but have {kind}"
        )


def _rollout(daemonset: Manifest, since: float) -> DaemonRollout:
    """The numbers of a DaemonSet."""
    return DaemonRollout(
        generation=number(daemonset, "metadata", "generation"),
        observed_generation=number(daemonset, "status", "observedGeneration"),
        desired=number(daemonset, "status", "desiredNumberScheduled"),
        updated=number(daemonset, "status", "updatedNumberScheduled"),
        available=number(daemonset, "status", "numberAvailable"),
        since=since,
    )


def _sentence(ref: Ref, message: str, *, primary: bool, hope: bool) -> str:
    """An event text; `damonset` is how Flagger spells it, and what people's searches match."""
    name = f"{ref.name}.{ref.namespace}"
    if primary:
        return f"primary daemonset {name} not ready: {message}"
    return f"canary damonset {name} not ready with retryable {str(hope).lower()}: {message}"


KINDS: tuple[WorkloadKind, ...] = (
    WorkloadKind(
        kind="DaemonSet",
        workload=DaemonSet(),
        writes=(DAEMON_SET, CONFIG_MAP, SECRET),
        keeps=(CONTROLLER_REVISION,),
    ),
)
