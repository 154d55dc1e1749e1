"""How far a rollout is, judged by its numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.core.readiness import (
    DaemonRollout,
    Ready,
    Rollout,
    Stuck,
    Waiting,
    judge_daemon_rollout,
    judge_rollout,
    needed,
)

NOW = 1_000_000.0


def rollout(**changes: object) -> Rollout:
    """Two of two pods, but for the changes."""
    numbers = {"generation": 3, "observed_generation": 3, "replicas": 2, "total": 2, "updated": 2, "available": 2}
    return Rollout(name="shop", **{**numbers, **changes})  # type: ignore[arg-type]


def daemons(**changes: object) -> DaemonRollout:
    """Two of two pods, waited for since now, but for the changes."""
    numbers = {"generation": 3, "observed_generation": 3, "desired": 2, "updated": 2, "available": 2, "since": NOW}
    return DaemonRollout(**{**numbers, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "threshold", "text"),
    [
        (rollout(), None, None),
        (rollout(replicas=0, total=0, updated=0, available=0), None, None),
        (rollout(observed_generation=4), None, None),
        (rollout(observed_generation=2), None, "observed deployment generation less than desired generation"),
        (rollout(replicas=4, updated=1, total=4), None, "1 out of 4 new replicas have been updated"),
        (rollout(total=5), None, "3 old replicas are pending termination"),
        (rollout(available=1), None, "1 of 2 (readyThreshold 100%) updated replicas are available"),
        (rollout(available=1), 0, "1 of 2 (readyThreshold 100%) updated replicas are available"),
        (rollout(available=1), 50, None),
        (
            rollout(replicas=10, total=10, updated=10, available=6),
            75,
            "6 of 7 (readyThreshold 75%) updated replicas are available",
        ),
        (rollout(replicas=10, total=10, updated=10, available=7), 75, None),
        (rollout(available=0), 10, "0 of 1 (readyThreshold 10%) updated replicas are available"),
        (rollout(replicas=1, total=2, updated=2), None, None),
    ],
)
def test_a_deployment_is_ready_or_says_what_it_lacks(seen: Rollout, threshold: int | None, text: str | None) -> None:
    wanted = Ready() if text is None else Waiting(f"waiting for rollout to finish: {text}")
    assert judge_rollout(seen, threshold, deadline=60, now=NOW) == wanted


@pytest.mark.parametrize(
    ("since", "judged"),
    [
        (None, "Waiting until None"),
        (NOW, f"Waiting until {NOW + 60}"),
        (NOW - 59, f"Waiting until {NOW + 1}"),
        (NOW - 60, "Stuck"),
        (NOW - 600, "Stuck"),
    ],
)
def test_the_deadline_runs_while_replicas_are_lacking(since: float | None, judged: str) -> None:
    """Its passing changes the judgement, not the text."""
    found = judge_rollout(rollout(available=1, unavailable_since=since), None, deadline=60, now=NOW)
    assert isinstance(found, Waiting | Stuck)
    assert found.message == "waiting for rollout to finish: 1 of 2 (readyThreshold 100%) updated replicas are available"
    assert judged == (f"Waiting until {found.until}" if isinstance(found, Waiting) else "Stuck")


def test_a_deployment_that_is_ready_has_no_deadline() -> None:
    assert judge_rollout(rollout(unavailable_since=NOW - 600), None, deadline=60, now=NOW) == Ready()


def test_what_the_controller_has_not_seen_cannot_be_late() -> None:
    """The conditions are still those of the generation before."""
    seen = rollout(observed_generation=2, unavailable_since=NOW - 600, own_deadline_passed=True)
    assert isinstance(judge_rollout(seen, None, deadline=60, now=NOW), Waiting)


@pytest.mark.parametrize("available", [0, 2])
def test_kubernetes_own_deadline_counts_whatever_ours_says(available: int) -> None:
    seen = rollout(available=available, own_deadline_passed=True)
    wanted = Stuck('deployment "shop" exceeded its progress deadline')
    assert judge_rollout(seen, None, deadline=100_000, now=NOW) == wanted


@pytest.mark.parametrize(
    ("seen", "threshold", "text"),
    [
        (daemons(), None, None),
        (daemons(desired=0, updated=0, available=0), None, None),
        (daemons(updated=3, available=3), None, None),
        (daemons(available=1), 50, None),
        (daemons(updated=1), None, "1 out of 2 new pods have been updated"),
        (daemons(available=1), None, "1 of 2 (readyThreshold 100%) updated pods are available"),
        (daemons(desired=3, updated=3, available=0), 10, "0 of 1 (readyThreshold 10%) updated pods are available"),
        (daemons(desired=3, updated=2, available=0), 10, "2 out of 3 new pods have been updated"),
    ],
)
def test_a_daemonset_is_ready_or_says_what_it_lacks(
    seen: DaemonRollout, threshold: int | None, text: str | None
) -> None:
    wanted = Ready() if text is None else Waiting(f"waiting for rollout to finish: {text}", until=NOW + 60)
    assert judge_daemon_rollout(seen, threshold, deadline=60, now=NOW) == wanted


def test_a_daemonset_past_its_deadline_is_stuck() -> None:
    seen = daemons(available=0, since=NOW - 60)
    assert judge_daemon_rollout(seen, None, deadline=60, now=NOW) == Stuck("exceeded its progressDeadlineSeconds: 60")


def test_a_daemonset_that_the_controller_has_not_seen_has_no_deadline() -> None:
    seen = daemons(observed_generation=2, since=NOW - 600)
    text = "waiting for rollout to finish: observed daemonset generation less than desired generation"
    assert judge_daemon_rollout(seen, None, deadline=60, now=NOW) == Waiting(text)


@given(pods=st.integers(0, 5000), threshold=st.none() | st.integers(0, 100))
def test_a_threshold_asks_for_some_pods_and_never_for_more_than_there_are(pods: int, threshold: int | None) -> None:
    found = needed(pods, threshold)
    assert min(1, pods) <= found <= pods
    assert threshold or found == pods


@given(
    pods=st.integers(1, 50),
    available=st.integers(0, 50),
    threshold=st.integers(1, 100),
    lacking=st.none() | st.floats(0, 500),
)
def test_one_more_pod_never_makes_it_worse(pods: int, available: int, threshold: int, lacking: float | None) -> None:
    """A rollout that is ready stays ready when another pod becomes available."""
    since = None if lacking is None else NOW - lacking

    def judged(now_available: int) -> Ready | Waiting | Stuck:
        seen = rollout(
            replicas=pods, total=pods, updated=pods, available=min(pods, now_available), unavailable_since=since
        )
        return judge_rollout(seen, threshold, deadline=60, now=NOW)

    if isinstance(judged(available), Ready):
        assert isinstance(judged(available + 1), Ready)
