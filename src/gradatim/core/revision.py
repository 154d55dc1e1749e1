"""Has the target changed? Content hashes of what counts as a revision, checksums of configs, and what they mean.

Called with what the workload provider read (`ports/workload.Facts`) and with what an earlier tick left in the status.
Which part of an object counts is the provider's affair; what follows from a change is that of the phases.

Flagger wrote `lastAppliedSpec` and `lastPromotedSpec` before us on clusters that are taken over. Its hash depends on
the libraries it was built with and cannot be computed here, so it means "unknown": the target as it is now is adopted,
and no release starts because of the change of operator.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"

_OURS = re.compile(r"g1-[0-9a-f]{16}")
# What Go's encoder writes differently from Python's; the checksums of configs were made by it.
_GO_ESCAPES = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in ("<", ">", "&", "\N{LINE SEPARATOR}", "\u2029")}
)


class Change(Enum):
    """What a revision is in relation to the status."""

    NONE = "none"
    """The target holds what is applied already, or what was promoted last."""
    NEW = "new"
    """The target holds something else: a release is due."""
    UNKNOWN = "unknown"
    """The applied hash was not written by us: adopt the revision, start nothing."""


def revision(content: Json) -> str:
    """The content hash of a JSON value: `g1-` and 16 hexadecimal digits.

    The same for equal values however they are written down: order of keys, members that are `null` (Go programs write
    `null` for what is not set) and `10.0` for `10` make no difference. `g1` names this recipe; another recipe gets
    another name, so that its hashes are unknown to an operator that cannot compute them.
    """
    canonical = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"))
    return f"g1-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def is_ours(text: str) -> bool:
    """Whether a hash was written by `revision`; one of Flagger's is 1 to 10 characters of `456789bcdf`."""
    return _OURS.fullmatch(text) is not None


def spec_changed(now: str, applied: str, promoted: str) -> Change:
    """What the target's revision `now` is, given `lastAppliedSpec` and `lastPromotedSpec`.

    Going back to the promoted revision never starts a release.
    """
    if not applied:
        return Change.NEW
    if now == promoted:
        return Change.NONE
    if not is_ours(applied):
        return Change.UNKNOWN
    return Change.NONE if now == applied else Change.NEW


def config_checksum(data: Mapping[str, str] | None) -> str:
    """The checksum of the `data` of a ConfigMap or Secret (Secret values in base64), as Flagger computes it.

    Only `data` is covered. Checksums stay in the status across a change of operator, so covering `binaryData` as well
    would start a release of every Canary whose configs have some.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES)
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8].hex()


def config_changed(now: Mapping[str, str] | None, tracked: Mapping[str, str] | None) -> bool:
    """Whether configs differ from those of the status; None on either side is "not tracked".

    There is no promoted set: configs that are set back count as changed once more.
    """
    if now is None:
        return False
    if tracked is None:
        return bool(now)
    return dict(now) != dict(tracked)


def _canonical(value: Json) -> Json:
    match value:
        case dict() | Mapping():  # in this order: asking for an abstract class is slow
            return {key: _canonical(member) for key, member in value.items() if member is not None}
        case list():
            return [_canonical(member) for member in value]
        case float() if value.is_integer():
            return int(value)
    return value
