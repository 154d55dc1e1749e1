"""May the target become the primary now? Asked when a primary is missing.

At first there is no primary and the target, as the user runs it, becomes one. Later a missing primary was taken away by
somebody, and the target may hold a revision that was never analysed, or that failed. The promoted template is nowhere
else, so the target must hold it again before the primary comes back.
"""

from __future__ import annotations

from gradatim.api.canary import Canary
from gradatim.core.revision import is_ours
from gradatim.ports.errors import ProviderError


def refuse_unpromoted(canary: Canary, revision: str, word: str) -> None:
    """Return when the target's revision may become a primary; `word` names its kind.

    Raises:
        ProviderError: what was promoted last is something else.
    """
    promoted = canary.status.last_promoted_spec
    if not promoted or revision == promoted:
        return
    if not is_ours(promoted) and promoted == canary.status.last_applied_spec:
        return  # Flagger's hash: the target is adopted as it is, see core/revision.py
    target, place = canary.target, canary.namespace
    raise ProviderError(
        f"{word} {target}-primary.{place} is gone and {word} {target}.{place} does not hold the revision that was "
        f"promoted last ({promoted}); set {target} back to that revision and the primary is created from it, "
        f"or delete and re-create canary {canary.name}.{place} to start with what {target} holds now"
    )
