"""Payloads of webhooks against their vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef, Webhook
from gradatim.api.payloads import checksum, event_payload, hook_payload
from gradatim.api.status import CanaryStatus, Phase

VECTORS = yaml.safe_load((Path(__file__).parents[1] / "vectors/api/payloads.yaml").read_text())
STATUS = CanaryStatus(tracked_configs={"test-config-map": "484637c76acaa7c6"}, last_applied_spec="4cb74184589")
CANARY = Canary("podinfo", "test", CanarySpec(ObjectRef("podinfo"), Analysis()), STATUS)


def rows(table: str) -> Any:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in VECTORS[table]])


@rows("checksums")
def test_the_checksum_is_the_one_receivers_know(row: dict[str, Any]) -> None:
    status = CanaryStatus(tracked_configs=row.get("trackedConfigs"), last_applied_spec=row.get("lastAppliedSpec", ""))
    assert checksum(status) == row["checksum"]


@rows("hooks")
def test_a_hook_receives(row: dict[str, Any]) -> None:
    hook = msgspec.convert(row["hook"], Webhook)
    assert json.loads(hook_payload(CANARY, hook, Phase(row["phase"]))) == row["payload"]


@rows("events")
def test_a_receiver_of_events_receives(row: dict[str, Any]) -> None:
    hook = msgspec.convert(row["hook"], Webhook)
    sent = event_payload(CANARY, hook, Phase(row["phase"]), row["text"], warning=row["warning"], now=row["now"])
    assert json.loads(sent) == row["payload"]


def test_payloads_of_one_moment_are_equal_byte_by_byte() -> None:
    """Receivers may sign or compare them: the order of metadata does not depend on the manifest's."""
    first = Webhook(name="x", url="http://x", metadata={"a": "1", "b": "2"})
    second = Webhook(name="x", url="http://x", metadata={"b": "2", "a": "1"})
    assert hook_payload(CANARY, first, Phase.WAITING) == hook_payload(CANARY, second, Phase.WAITING)
