"""Deployments: the primary is a second Deployment, and the target is switched off by scaling it to zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradatim.api.canary import Canary
from gradatim.api.status import Phase
from gradatim.core.conditions import seconds
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Readiness, Ready, Rollout, Stuck, Waiting, judge_rollout
from gradatim.core.settings import Settings
from gradatim.ports.objects import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, SECRET, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Facts, Patch, WorkloadKind
from gradatim.providers import promoted, scheduling
from gradatim.providers.absence import get_error
from gradatim.providers.manifests import at, items, mapping, number, text, whole
from gradatim.providers.pod_targets import PodTarget

_PODS = PodTarget(
    resource=DEPLOYMENT,
    own_fields=frozenset({"replicas", "selector", "template", "paused"}),
    placed=scheduling.for_primary,
)


class Deployment:
    """See `ports.workload.Workload`."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """Nothing that the Canary alone could tell."""
        return ()

    def target(self, canary: Canary) -> Ref:
        """The Deployment in `targetRef`."""
        return _PODS.target(canary)

    def primary(self, canary: Canary) -> Ref | None:
        """`{target}-primary`."""
        return _PODS.primary(canary)

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterable[Ref]:
        """Target, primary, configs and their copies."""
        return _PODS.reads(canary, settings, seen)

    def facts(self, canary: Canary, settings: Settings, seen: Seen) -> Facts:
        """What the target is now; its revision is that of the complete pod template."""
        running = _replicas(_PODS.found(canary, seen)) > 0
        return _PODS.facts(canary, settings, seen, running=running)

    def create(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """A primary with as many replicas as the target, at least one."""
        replicas = _replicas(_PODS.found(scene.canary, seen)) or 1
        return _PODS.create(scene, seen, token, {"replicas": replicas})

    def promote(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """Without an autoscaler the target's replicas are promoted too, except zero: users would lose the primary."""
        target = seen[_PODS.target(scene.canary)]
        replicas = _replicas(target) if target else 0
        own = {} if scene.canary.spec.autoscaler_ref or not replicas else {"replicas": replicas}
        return _PODS.promote(scene, seen, token, own)

    def abrupt(self, canary: Canary, seen: Seen) -> bool:
        """All pods go first, or as many may be missing as there are."""
        primary = seen[_PODS.primary(canary)]
        if primary is None or text(primary, "spec", "strategy", "type") == "Recreate":
            return True
        replicas, rolling = _replicas(primary), mapping(primary, "spec", "strategy", "rollingUpdate")
        missing = whole(rolling.get("maxUnavailable"), replicas, "25%")
        if not missing and not whole(rolling.get("maxSurge"), replicas, "25%", up=True):
            missing = 1  # or nothing would ever get on, as Kubernetes has it
        return missing >= replicas

    def keeping(self, canary: Canary, seen: Seen) -> Manifest | None:
        """The target's pod template."""
        return _PODS.keeping(canary, seen)

    def kept(self, canary: Canary, revision: str) -> Ref | None:
        """A ControllerRevision."""
        return promoted.kept(canary, revision)

    def ready(self, scene: Scene, seen: Seen, *, primary: bool, now: float, since: float) -> Readiness:
        """Judged by the Deployment's own numbers and conditions."""
        canary, analysis = scene.canary, scene.canary.spec.analysis
        ref = _PODS.primary(canary) if primary else _PODS.target(canary)
        if (found := seen[ref]) is None:
            return Absent(get_error(_PODS.word, ref))
        threshold = analysis.primary_ready_threshold if primary else analysis.canary_ready_threshold
        before = f"{'' if primary else 'canary deployment '}{ref.name}.{ref.namespace} not ready: "
        rollout = _rollout(found, _copied(canary) if primary else None)
        match judge_rollout(rollout, threshold, canary.spec.progress_deadline, now):
            case Ready():
                return Ready()
            case Waiting(message, until):
                return Waiting(before + message + _hint(found), until)
            case Stuck(message):
                return Stuck(before + message)

    def stop(self, scene: Scene, seen: Seen) -> Patch | None:
        """Scale the target to zero."""
        target = seen[_PODS.target(scene.canary)]
        return _scaled(scene, 0) if target and _replicas(target) > 0 else None

    def start(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """Scale a target at zero up: to the scaler's lower bound, else to what the primary has."""
        if _replicas(_PODS.found(scene.canary, seen)) > 0:
            return None
        if least is not None:
            return _scaled(scene, max(1, least))
        primary = seen[_PODS.primary(scene.canary)]
        return _scaled(scene, (_replicas(primary) if primary else 0) or 1)

    def revert(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """The primary's replicas; without a primary what a run starts with. A target that is gone needs nothing."""
        target, primary = seen[_PODS.target(scene.canary)], seen[_PODS.primary(scene.canary)]
        if target is None:
            return None
        if primary is None:
            return self.start(scene, seen, least)
        wanted = _replicas(primary)
        return None if _replicas(target) == wanted else _scaled(scene, wanted)


def _replicas(deployment: Manifest) -> int:
    return number(deployment, "spec", "replicas", default=1)


def _scaled(scene: Scene, replicas: int) -> Patch:
    return Patch(_PODS.target(scene.canary), {"spec": {"replicas": replicas}})


def _copied(canary: Canary) -> float | None:
    """When the primary got its last template, while that is what is waited for."""
    waits = canary.status.phase in (Phase.INITIALIZING, Phase.PROMOTING, Phase.FINALISING)
    return seconds(canary.status.last_transition_time) if waits else None


def _rollout(deployment: Manifest, begun: float | None) -> Rollout:
    """The numbers of a Deployment; one without available pods gets its whole time again when its rollout has begun."""
    conditions = {condition.get("type"): condition for condition in items(deployment, "status", "conditions")}
    progressing = conditions.get("Progressing")
    return Rollout(
        name=text(deployment, "metadata", "name"),
        generation=number(deployment, "metadata", "generation"),
        observed_generation=number(deployment, "status", "observedGeneration"),
        replicas=_replicas(deployment),
        total=number(deployment, "status", "replicas"),
        updated=number(deployment, "status", "updatedReplicas"),
        available=number(deployment, "status", "availableReplicas"),
        unavailable_since=_unavailable_since(conditions.get("Available"), begun) if progressing else None,
        own_deadline_passed=bool(progressing and progressing.get("reason") == "ProgressDeadlineExceeded"),
    )


def _hint(deployment: Manifest) -> str:
    """Why waiting will not help; Kubernetes counts no deadline of a paused Deployment."""
    return " (the deployment is paused)" if at(deployment, "spec", "paused") else ""


def _unavailable_since(available: Mapping[str, str] | None, begun: float | None) -> float | None:
    if available is None or available.get("status") != "False":
        return None
    lacking = available.get("reason") == "MinimumReplicasUnavailable"
    since = seconds(available.get("lastUpdateTime", "")) if lacking else None
    return since if since is None or begun is None else max(since, begun)


KINDS: tuple[WorkloadKind, ...] = (
    WorkloadKind(
        kind="Deployment",
        workload=Deployment(),
        writes=(DEPLOYMENT, CONFIG_MAP, SECRET),
        keeps=(CONTROLLER_REVISION,),
    ),
)
