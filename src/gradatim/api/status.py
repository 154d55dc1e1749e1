"""Canary status: the phase, the counters, and why things are as they are.

Everything that Flagger writes keeps its name and meaning. What we add (`promotedConfigs`, `observedGeneration`,
`waitingFor`, `waitingSince`, `checks`, `history`) explains, and is never needed to go on: a cluster that still runs
Flagger's CRDs prunes it away.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Phase(Enum):
    """Where a Canary stands; the values are on the wire."""

    UNSET = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


RUNNING = (Phase.PROGRESSING, Phase.WAITING_PROMOTION)
"""The phases of a run, in which a release is judged."""


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One condition; times are RFC 3339 in UTC with whole seconds, as Kubernetes writes them."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: str = ""
    last_transition_time: str = ""


class CheckResult(msgspec.Struct, frozen=True, rename="camel"):
    """The last word on one check: its value, its limit and what was made of it, printed for people."""

    name: str
    verdict: str
    value: str = ""
    limit: str = ""
    samples: str | msgspec.UnsetType = msgspec.UNSET
    """How many samples the value has, and how many it needs; absent where nobody asked for that."""
    time: str = ""


class PastRelease(msgspec.Struct, frozen=True, rename="camel"):
    """How one earlier release ended."""

    revision: str
    outcome: str
    reason: str
    ended: str


class CanaryStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status` of a Canary. Weights are shares of 100; `tracked_configs` is None until the first initialization.

    `promoted_configs` are the checksums that went with `last_promoted_spec`; both name what the primary holds.
    `waiting_since` is when the gate that `waiting_for` names was first found closed; empty while none is.
    """

    phase: Phase = Phase.UNSET
    failed_checks: int = 0
    canary_weight: int = 0
    iterations: int = 0
    tracked_configs: dict[str, str] | None = None
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    promoted_configs: dict[str, str] | None = None
    last_transition_time: str = ""
    session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    waiting_for: str = ""
    waiting_since: str = ""
    checks: tuple[CheckResult, ...] = ()
    history: tuple[PastRelease, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type, if it has been written."""
        return next((found for found in self.conditions if found.type == kind), None)
