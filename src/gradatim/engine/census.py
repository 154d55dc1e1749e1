"""Who releases what: finds Canaries that claim the same target or the same Services.

The older Canary keeps its claim; the younger one is told, and held, until one of them is gone.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from gradatim.api.canary import Canary
from gradatim.core import names
from gradatim.core.problems import Problem
from gradatim.ports.objects import Ref


class Claim(msgspec.Struct, frozen=True, order=True):
    """One Canary's claim; order is seniority: creation time, then name."""

    created: str
    name: str
    namespace: str
    kind: str
    target: str
    apex: str


class Census:
    """All claims, by namespace."""

    def __init__(self) -> None:
        self._claims: dict[Ref, Claim] = {}
        self._spaces: dict[str, set[Ref]] = defaultdict(set)

    def note(self, key: Ref, canary: Canary, created: str) -> frozenset[Ref]:
        """Record what a Canary claims; the Canaries that should look again because of a change."""
        claim = Claim(created, canary.name, canary.namespace, canary.kind, canary.target, canary.apex)
        old = self._claims.get(key)
        if claim == old:
            return frozenset()
        self._claims[key] = claim
        self._spaces[key.namespace].add(key)
        return self._touched(key, old) | self._touched(key, claim)

    def forget(self, key: Ref) -> frozenset[Ref]:
        """A Canary is gone; the Canaries that should look again."""
        old = self._claims.pop(key, None)
        touched = self._touched(key, old)
        self._spaces[key.namespace].discard(key)
        return touched

    def count(self) -> dict[str, int]:
        """Canaries per namespace; a namespace that lost its last one counts zero."""
        return {namespace: len(keys) for namespace, keys in self._spaces.items()}

    def problems(self, key: Ref) -> list[Problem]:
        """What an older Canary has claimed already."""
        mine = self._claims.get(key)
        if mine is None:
            return []
        found: list[Problem] = []
        for other in sorted(self._rivals(key, mine)):
            who = f"Canary {other.name}"
            if (mine.kind, mine.target) == (other.kind, other.target):
                text = f"{mine.kind} {mine.target} is released by {who} already; delete one of the two Canaries"
                found.append(Problem("spec.targetRef.name", text))
            elif (mine.kind, mine.target) == (other.kind, names_primary(other)):
                text = f"{mine.target} is the primary that {who} manages; name the target {other.target} itself"
                found.append(Problem("spec.targetRef.name", text))
            elif mine.apex == other.apex:
                text = f"the Services of {mine.apex} are managed by {who} already; set another spec.service.name"
                found.append(Problem("spec.service.name", text))
        return found

    def _rivals(self, key: Ref, mine: Claim) -> list[Claim]:
        others = (self._claims[other] for other in self._spaces[key.namespace] if other != key)
        return [other for other in others if other < mine or names_primary(other) == mine.target]

    def _touched(self, key: Ref, claim: Claim | None) -> frozenset[Ref]:
        if claim is None:
            return frozenset()
        mine = {claim.target, claim.apex, names_primary(claim)}
        return frozenset(
            other
            for other in self._spaces[key.namespace]
            if other != key and mine & {self._claims[other].target, self._claims[other].apex}
        )


def names_primary(claim: Claim) -> str:
    """The primary workload of a claim's target."""
    return f"{claim.target}{names.PRIMARY_SUFFIX}"
