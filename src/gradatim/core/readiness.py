"""Is a workload ready? The judgement on its numbers; reading them from an object is the workload provider's part."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Ready(msgspec.Struct, frozen=True):
    """All pods that are needed are available."""


class Waiting(msgspec.Struct, frozen=True):
    """Not yet. `until` is the Unix time at which the waiting becomes `Stuck`, where that can be told."""

    message: str
    until: float | None = None


class Stuck(msgspec.Struct, frozen=True):
    """Past its deadline: it will not become ready by waiting."""

    message: str


class Absent(msgspec.Struct, frozen=True):
    """The object is not there; the message says which one is missing."""

    message: str


Readiness: TypeAlias = Ready | Waiting | Stuck | Absent


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a Deployment that tell how far its rollout is.

    `unavailable_since` is the Unix time of the last update of the condition `Available` when it is False for lack of
    replicas beside a condition `Progressing`, else None. `own_deadline_passed` is Kubernetes' own verdict.
    """

    name: str
    generation: int
    observed_generation: int
    replicas: int
    total: int
    updated: int
    available: int
    unavailable_since: float | None = None
    own_deadline_passed: bool = False


def needed(pods: int, threshold: int | None) -> int:
    """How many of some pods must be available at a ready threshold in percent (None or 0: all of them).

    Rounded down as Flagger does, but never to nothing while there are pods: a threshold of 10 % of 3 pods asks for one.
    """
    share = pods * (threshold or 100) // 100
    return max(share, min(1, pods))


def judge_rollout(seen: Rollout, threshold: int | None, deadline: int, now: float) -> Ready | Waiting | Stuck:
    """Judge a Deployment: ready, waiting or stuck, in Flagger's words.

    `threshold` is in percent (None: 100), `deadline` in seconds, `now` in Unix seconds.
    """
    expires = None if seen.unavailable_since is None else seen.unavailable_since + deadline
    text = _pending(seen, threshold)
    if seen.observed_generation >= seen.generation and seen.own_deadline_passed:
        return Stuck(f'deployment "{seen.name}" exceeded its progress deadline')
    if text is None:
        return Ready()
    message = f"waiting for rollout to finish: {text}"
    if seen.observed_generation < seen.generation:
        return Waiting(message)
    if expires is not None and now >= expires:
        return Stuck(message)
    return Waiting(message, until=expires)


def _pending(seen: Rollout, threshold: int | None) -> str | None:
    if seen.observed_generation < seen.generation:
        return "observed deployment generation less than desired generation"
    if seen.updated < seen.replicas:
        return f"{seen.updated} out of {seen.replicas} new replicas have been updated"
    if seen.total > seen.updated:
        return f"{seen.total - seen.updated} old replicas are pending termination"
    wanted = needed(seen.updated, threshold)
    if seen.available < wanted:
        percent = threshold or 100
        return f"{seen.available} of {wanted} (readyThreshold {percent}%) updated replicas are available"
    return None


class DaemonRollout(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a DaemonSet that tell how far its rollout is; `since` is the Unix time the waiting began."""

    generation: int
    observed_generation: int
    desired: int
    updated: int
    available: int
    since: float


def judge_daemon_rollout(
    seen: DaemonRollout, threshold: int | None, deadline: int, now: float
) -> Ready | Waiting | Stuck:
    """Judge a DaemonSet; units as in `judge_rollout`."""
    if seen.observed_generation < seen.generation:
        return Waiting("waiting for rollout to finish: observed daemonset generation less than desired generation")
    wanted = needed(seen.desired, threshold)
    if seen.updated >= seen.desired and seen.available >= wanted:
        return Ready()
    expires = seen.since + deadline
    if now >= expires:
        return Stuck(f"exceeded its progressDeadlineSeconds: {deadline}")
    if seen.updated < seen.desired:
        text = f"{seen.updated} out of {seen.desired} new pods have been updated"
    else:
        text = f"{seen.available} of {wanted} (readyThreshold {threshold or 100}%) updated pods are available"
    return Waiting(f"waiting for rollout to finish: {text}", until=expires)
