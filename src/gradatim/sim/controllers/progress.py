"""What a Deployment's status says: counts, Available, Progressing, and when the deadline has passed.

Pure: objects and the time in, a status out. Reasons and messages are the real controller's, clients read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gradatim.ports.objects import Manifest
from gradatim.sim import metadata
from gradatim.sim.controllers.belonging import condition
from gradatim.sim.controllers.rollout import NO_DEADLINE, counted, fences, replicas_of

COMPLETE = "NewReplicaSetAvailable"
EXCEEDED = "ProgressDeadlineExceeded"

_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def deadline_of(deployment: Manifest) -> int | None:
    """`progressDeadlineSeconds`, None when there is no deadline."""
    value = deployment["spec"].get("progressDeadlineSeconds", 600)
    return None if value is None or value >= NO_DEADLINE else int(value)


def counts(deployment: Manifest, every: Sequence[Manifest], new: Manifest | None) -> Manifest:
    """The numbers of a status, zeroes left out as Kubernetes does, and `Available`."""
    available = sum(counted(each, "availableReplicas") for each in every)
    wanted = sum(replicas_of(each) for each in every)
    before = deployment.get("status") or {}
    status: Manifest = {key: before[key] for key in ("collisionCount", "conditions") if key in before}
    status["observedGeneration"] = deployment["metadata"].get("generation", 1)
    status["terminatingReplicas"] = sum(counted(each, "terminatingReplicas") for each in every)
    numbers = {
        "replicas": sum(counted(each, "replicas") for each in every),
        "updatedReplicas": counted(new, "replicas") if new else 0,
        "readyReplicas": sum(counted(each, "readyReplicas") for each in every),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }
    status.update({key: number for key, number in numbers.items() if number})
    return status


def set_available(deployment: Manifest, status: Manifest, now: float) -> None:
    """Write the `Available` condition that the numbers ask for."""
    enough = status.get("availableReplicas", 0) >= replicas_of(deployment) - fences(deployment).unavailable
    if enough:
        message = "Deployment has minimum availability."
        set_condition(status, Finding("Available", "True", "MinimumReplicasAvailable", message), now)
    else:
        message = "Deployment does not have minimum availability."
        set_condition(status, Finding("Available", "False", "MinimumReplicasUnavailable", message), now)


def set_progressing(deployment: Manifest, status: Manifest, new: Manifest | None, now: float) -> None:
    """Write the `Progressing` condition: complete, getting on, or out of time."""
    if deadline_of(deployment) is None:
        status["conditions"] = [each for each in status.get("conditions", ()) if each["type"] != "Progressing"]
        return
    current = condition({"status": status}, "Progressing")
    settled = current is not None and current["reason"] == COMPLETE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return
    name = deployment["metadata"]["name"]
    subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{name}"'
    if is_complete(deployment, status):
        set_condition(status, Finding("Progressing", "True", COMPLETE, f"{subject} has successfully progressed."), now)
    elif _has_progressed(deployment, status):
        _note_progress(status, current, f"{subject} is progressing.", now)
    elif out_of_time(deployment, status, now):
        set_condition(status, Finding("Progressing", "False", EXCEEDED, f"{subject} has timed out progressing."), now)


def is_complete(deployment: Manifest, status: Manifest) -> bool:
    """Do all wanted pods run the present template, and are they available?"""
    wanted = replicas_of(deployment)
    everyone = all(status.get(key, 0) == wanted for key in ("updatedReplicas", "replicas", "availableReplicas"))
    return everyone and int(status["observedGeneration"]) >= int(deployment["metadata"].get("generation", 1))


def _has_progressed(deployment: Manifest, status: Manifest) -> bool:
    before = {key: counted(deployment, key) for key in _COUNTS}
    after = {key: int(status.get(key, 0)) for key in _COUNTS}
    return (
        after["updatedReplicas"] > before["updatedReplicas"]
        or after["replicas"] - after["updatedReplicas"] < before["replicas"] - before["updatedReplicas"]
        or after["readyReplicas"] > before["readyReplicas"]
        or after["availableReplicas"] > before["availableReplicas"]
    )


def _note_progress(status: Manifest, current: Manifest | None, message: str, now: float) -> None:
    """Progress moves `lastUpdateTime` even when nothing else changes: the deadline counts from there."""
    since = None
    if current is not None:
        if current["status"] == "True":
            since = current["lastTransitionTime"]
        status["conditions"] = [each for each in status["conditions"] if each["type"] != "Progressing"]
    set_condition(status, Finding("Progressing", "True", "ReplicaSetUpdated", message), now)
    if since is not None:
        status["conditions"][-1]["lastTransitionTime"] = since


def out_of_time(deployment: Manifest, status: Manifest, now: float) -> bool:
    """Has the deadline passed since the last progress?"""
    deadline, current = deadline_of(deployment), condition({"status": status}, "Progressing")
    if deadline is None or current is None or current["reason"] == COMPLETE:
        return False
    if current["reason"] == EXCEEDED:
        return True
    return bool(metadata.moment(current["lastUpdateTime"]) + deadline < now)


def next_check(deployment: Manifest, status: Manifest, now: float) -> float | None:
    """Seconds until the deadline must be looked at; None when it does not matter (any more)."""
    deadline, current = deadline_of(deployment), condition({"status": status}, "Progressing")
    if deadline is None or current is None or current["reason"] in (COMPLETE, EXCEEDED):
        return None
    return max(metadata.moment(current["lastUpdateTime"]) + deadline - now, 0.0) + 1.0


def pause_condition(deployment: Manifest, status: Manifest, now: float) -> bool:
    """Note in `Progressing` that the rollout was paused or resumed; True if that was news."""
    current = condition({"status": status}, "Progressing")
    reason = current["reason"] if current else ""
    if deadline_of(deployment) is None or reason == EXCEEDED:
        return False
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason != "DeploymentPaused":
        return set_condition(status, Finding("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"), now)
    if not paused and reason == "DeploymentPaused":
        return set_condition(
            status, Finding("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"), now
        )
    return False


class Finding(NamedTuple):
    """What a condition should say."""

    kind: str
    status: str
    reason: str
    message: str


def set_condition(status: Manifest, found: Finding, now: float) -> bool:
    """Replace a condition unless status and reason stay; the transition time changes only with the status."""
    current = condition({"status": status}, found.kind)
    if current is not None and (current["status"], current["reason"]) == (found.status, found.reason):
        return False
    stamp = metadata.timestamp(now)
    since = current["lastTransitionTime"] if current is not None and current["status"] == found.status else stamp
    others = [each for each in status.get("conditions", ()) if each["type"] != found.kind]
    fresh = {"type": found.kind, "status": found.status, "reason": found.reason, "message": found.message}
    status["conditions"] = [*others, {**fresh, "lastUpdateTime": stamp, "lastTransitionTime": since}]
    return True
