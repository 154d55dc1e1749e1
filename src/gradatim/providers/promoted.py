"""What was promoted last, kept so that a primary that somebody took away comes back as what it was.

At first there is no primary and the target, as the user runs it, becomes one. Later the target may hold a revision that
was never analysed, or that failed, and must not become the primary. So what was promoted (the pod template, or the spec
of a Service) is kept in a ControllerRevision, as Kubernetes itself keeps the templates of DaemonSets. The content of
one cannot be changed, which is why each revision has one of its own, named after it.
"""

from __future__ import annotations

from gradatim.api.canary import Canary
from gradatim.core.names import primary_workload
from gradatim.core.revision import is_ours, revision
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import CONTROLLER_REVISION, Manifest, Ref
from gradatim.ports.scene import Seen
from gradatim.providers.manifests import copy_of, mapping, new_object


def kept(canary: Canary, of: str) -> Ref:
    """Where a revision is kept."""
    return Ref(CONTROLLER_REVISION, canary.namespace, f"{primary_workload(canary)}-{of}")


def keeping(canary: Canary, held: Manifest) -> Manifest:
    """The object that keeps a revision."""
    ref = kept(canary, revision(held))
    made = new_object(ref.resource, ref.namespace, ref.name, canary)
    return made | {"revision": 1, "data": {"promoted": copy_of(held)}}


def content(found: Manifest) -> Manifest:
    """What such an object keeps."""
    return mapping(found, "data", "promoted")


def needed(canary: Canary, held: Manifest) -> tuple[Ref, ...]:
    """What has to be looked at before a missing primary comes back, if the target does not hold what was promoted."""
    promoted = canary.status.last_promoted_spec
    return () if not is_ours(promoted) or promoted == revision(held) else (kept(canary, promoted),)


def comes_back_as(canary: Canary, held: Manifest, seen: Seen, word: str) -> Manifest:
    """What a missing primary is made from: what the target holds, or what was kept. `word` names the target's kind.

    Raises:
        ProviderError: what was promoted last is something else, and was not kept.
    """
    promoted = canary.status.last_promoted_spec
    if not promoted or promoted == revision(held):
        return held
    if not is_ours(promoted) and promoted == canary.status.last_applied_spec:
        return held  # Flagger's hash: the target is adopted as it is, see core/revision.py
    found = seen[kept(canary, promoted)] if is_ours(promoted) else None
    if found is not None:
        return content(found)
    target, place = canary.target, canary.namespace
    raise ProviderError(
        f"{word} {target}-primary.{place} is gone and {word} {target}.{place} does not hold the revision that was "
        f"promoted last ({promoted}); set {target} back to that revision and the primary is created from it, "
        f"or delete and re-create canary {canary.name}.{place} to start with what {target} holds now"
    )
