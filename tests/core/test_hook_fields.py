"""What in the fields of a hook cannot work is said before it is called."""

from __future__ import annotations

from typing import Any

import pytest

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef, Webhook
from gradatim.core.settings import Settings
from gradatim.core.validation import problems
from gradatim.core.verdict import Traits


def told(kind: str = "", **fields: Any) -> list[str]:
    """What is said of a Canary with one hook."""
    webhook = Webhook("gate", "http://gate/", type=kind, **fields)
    spec = CanarySpec(ObjectRef("shop", kind="Deployment"), Analysis(step_weight=10, webhooks=(webhook,)))
    found = problems(Canary("shop", "test", spec), Settings(), Traits(), generates_services=False)
    assert all(problem.blocks != (kind in ("event", "post-rollout")) for problem in found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize("kind", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"])
def test_a_gate_may_have_a_deadline(kind: str) -> None:
    assert told(kind, deadline="24h", retry_deadline="1m30s", secret_ref=ObjectRef("guard")) == []


@pytest.mark.parametrize("kind", ["", "rollout", "pre-rollout", "post-rollout", "event", "rollback"])
def test_what_is_no_gate_has_none(kind: str) -> None:
    (said,) = told(kind, deadline="24h")
    gates = "confirm-rollout, confirm-traffic-increase, confirm-promotion"
    assert said == (
        f"spec.analysis.webhooks[0].deadline: only gates have one, {kind or 'rollout'} is none; use one of {gates}"
    )


@pytest.mark.parametrize("text", ["soon", "1d", "0s", "-5m", "10"])
def test_deadlines_are_durations_above_zero(text: str) -> None:
    retries, gate = told("confirm-rollout", deadline=text, retry_deadline=text)
    assert retries.startswith("spec.analysis.webhooks[0].retryDeadline: ")
    assert gate.startswith("spec.analysis.webhooks[0].deadline: ")


def test_a_secret_has_a_name() -> None:
    (said,) = told(secret_ref=ObjectRef(""))
    assert said == "spec.analysis.webhooks[0].secretRef.name: is required: name a Secret in the Canary's namespace"
