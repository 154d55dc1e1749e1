"""What webhooks receive: one JSON document about a Canary, and the fingerprint that tells its releases apart.

Receivers all over the place were written for these keys; they are Flagger's, value by value. Sending is the engine's
part.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gradatim.api.canary import Canary, Webhook
from gradatim.api.status import CanaryStatus, Phase

_ALPHABET = b"bcdfghjklmnpqrstvwxz2456789"


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The document; `metadata` is left out when there is none, the others are always there."""

    name: str
    namespace: str
    phase: Phase
    checksum: str
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def hook_payload(canary: Canary, hook: Webhook, phase: Phase) -> bytes:
    """What a gate, a check or a load test receives."""
    return _encoded(canary, phase, hook.metadata)


def event_payload(canary: Canary, hook: Webhook, phase: Phase, text: str, *, warning: bool, now: float) -> bytes:
    """What a receiver of events receives; `now` in Unix seconds. The hook's metadata cannot hide what happened."""
    told = {
        "eventMessage": text,
        "eventType": "Warning" if warning else "Normal",
        "timestamp": str(round(now * 1000)),
    }
    return _encoded(canary, phase, hook.metadata | told)


def _encoded(canary: Canary, phase: Phase, metadata: Mapping[str, str]) -> bytes:
    payload = Payload(
        name=canary.name,
        namespace=canary.namespace,
        phase=phase,
        checksum=checksum(canary.status),
        metadata=dict(sorted(metadata.items())) if metadata else msgspec.UNSET,
    )
    return msgspec.json.encode(payload)


def checksum(status: CanaryStatus) -> str:
    """The fingerprint of what a status says about the target.

    It is the hash of the text in which a Go program would print the two fields; the text is part of the format.
    """
    configs = "<nil>"
    if status.tracked_configs is not None:
        pairs = (f"{key}:{status.tracked_configs[key]}" for key in sorted(status.tracked_configs))
        configs = f"map[{' '.join(pairs)}]"
    text = (
        "(struct { TrackedConfigs *map[string]string; LastAppliedSpec string })"
        f"{{TrackedConfigs:(*map[string]string){configs} LastAppliedSpec:(string){status.last_applied_spec}}}"
    )
    return "".join(chr(_ALPHABET[digit % 27]) for digit in str(_fnv_1a(text.encode())).encode())


def _fnv_1a(data: bytes) -> int:
    """The 32-bit hash of Fowler, Noll and Vo, variant 1a."""
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 % 2**32
    return value
