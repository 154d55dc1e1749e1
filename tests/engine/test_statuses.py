"""The status is written only when it says something new, and as Flagger's readers expect it."""

from __future__ import annotations

import msgspec

from gradatim.api.decode import decode_status
from gradatim.api.status import CanaryStatus, Condition, Phase
from gradatim.engine import statuses

STATUS = CanaryStatus(
    phase=Phase.PROGRESSING,
    canary_weight=0,
    last_applied_spec="g1-0",
    last_transition_time="2026-01-01T00:00:00Z",
    conditions=(Condition("Promoted", "Unknown", "Progressing"),),
)


def test_zero_counters_are_written_and_what_says_nothing_is_left_out() -> None:
    written = statuses.encode(STATUS)
    assert (written["canaryWeight"], written["failedChecks"], written["iterations"]) == (0, 0, 0)
    assert not {"lastPromotedSpec", "trackedConfigs", "checks", "history", "sessionAffinityCookie"} & set(written)


def test_a_weight_that_falls_to_zero_is_in_the_patch() -> None:
    live = {"status": statuses.encode(msgspec.structs.replace(STATUS, canary_weight=10))}
    assert statuses.patch(live, STATUS) == {"canaryWeight": 0}


def test_a_new_time_alone_is_not_written() -> None:
    live = {"status": statuses.encode(STATUS)}
    later = msgspec.structs.replace(STATUS, last_transition_time="2026-01-01T00:10:00Z")
    assert statuses.patch(live, later) == {}


def test_a_cookie_that_is_withdrawn_and_configs_that_vanish_are_removed() -> None:
    before = msgspec.structs.replace(STATUS, session_affinity_cookie="a=b", tracked_configs={"configmap/a": "1"})
    patch = statuses.patch({"status": statuses.encode(before)}, msgspec.structs.replace(STATUS, tracked_configs={}))
    assert patch == {"sessionAffinityCookie": None, "trackedConfigs": {"configmap/a": None}}


def test_no_tracked_configs_are_written_as_an_empty_map() -> None:
    empty = msgspec.structs.replace(STATUS, tracked_configs={})
    assert statuses.patch({"status": statuses.encode(STATUS)}, empty) == {"trackedConfigs": {}}
    assert statuses.patch({"status": statuses.encode(STATUS) | {"trackedConfigs": {}}}, empty) == {}


def test_what_is_written_is_read_back() -> None:
    assert decode_status({"status": statuses.encode(STATUS)}) == STATUS
