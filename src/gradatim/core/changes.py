"""Is the target something new, what was tried last, or what the primary holds already?

A revision is the pair of the target's hash and the checksums of its configs. The status remembers two of them: the one
that was applied last (a run began with it) and the one that was promoted last, which is what the primary holds. Going
back to either starts nothing.
"""

from __future__ import annotations

from gradatim.api.status import CanaryStatus
from gradatim.core import conditions
from gradatim.core.revision import Change, config_changed, spec_changed
from gradatim.core.verdict import TargetSeen


def changed(status: CanaryStatus, seen: TargetSeen) -> bool:
    """Whether the target is to be released: neither tried nor promoted last. A foreign hash is never a change."""
    if is_promoted(status, seen):
        return False
    fresh = spec_changed(seen.revision, status.last_applied_spec, promoted="") is Change.NEW
    return fresh or config_changed(seen.configs, status.tracked_configs)


def is_applied(status: CanaryStatus, seen: TargetSeen) -> bool:
    """Whether the target is what was applied last."""
    return seen.revision == status.last_applied_spec and not config_changed(seen.configs, status.tracked_configs)


def is_promoted(status: CanaryStatus, seen: TargetSeen) -> bool:
    """Whether the primary holds what the target is.

    A cluster with Flagger's CRD does not keep `promotedConfigs`; there the configs of the last run stand in for them.
    """
    configs = status.tracked_configs if status.promoted_configs is None else status.promoted_configs
    return seen.revision == status.last_promoted_spec and not config_changed(seen.configs, configs)


def failed_to_promote(status: CanaryStatus) -> bool:
    """Whether a release that failed had been copied to the primary: what was tried last is what the primary holds.

    A target that was set back after a rollback is so, too; then the status says that it was scaled down.
    """
    same = status.last_applied_spec == status.last_promoted_spec
    rolled_back = conditions.says_scaled_down(status.condition("Promoted"))
    return same and not rolled_back and not config_changed(status.tracked_configs, status.promoted_configs)
