"""Labels and annotations by which deployment tools recognise their objects.

An object that we copy from a user's object must not carry them: the tool would adopt the copy, miss it in its sources,
and prune it. Everything else on the source passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradatim.providers.manifests import LAST_APPLIED, without_toolkit

_KEYS = frozenset({LAST_APPLIED, "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"})
_PREFIXES = (
    "argocd.argoproj.io/",
    "helm.sh/",
    "meta.helm.sh/",
    "kapp.k14s.io/",
    "config.k8s.io/",
    "configmanagement.gke.io/",
    "configsync.gke.io/",
    "objectset.rio.cattle.io/",
)


def untracked(meta: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those of Flux, Argo CD, Helm, kapp, Config Sync, Fleet and `kubectl apply`."""
    return {
        key: value for key, value in without_toolkit(meta).items() if key not in _KEYS and not key.startswith(_PREFIXES)
    }
