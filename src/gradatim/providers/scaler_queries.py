"""Queries that scale the target, changed to scale the primary.

A text replacement, since a query may be in any language; but of whole names only.
"""

from __future__ import annotations

import re


def for_primary(query: str, target: str, namespace: str) -> str:
    """The query with `{target}` and `{target}-canary` replaced by `{target}-primary`.

    A name counts where it stands alone: `podinfo`, `podinfo-canary` and the `podinfo-` of a pod pattern such as
    `podinfo-.*`, but not a part of `podinfo-api`, `my-podinfo`, `podinfo_requests_total` or `podinfo:requests:rate1m`,
    and not of `podinfo-primary`, which is right already.

    Meshes put namespace and port around it: `test-podinfo-canary-80@kubernetescrd`, `test_podinfo_80`,
    `podinfo-canary_test_svc_9898`, `test-podinfo-canaryupstream-80`. Only letters then make another name of it.
    """
    name, space = re.escape(target), re.escape(namespace)
    of_mesh = rf"_\d|_{space}_svc"
    canary = r"-canary(?:(?=upstream)|(?![^\W_]|-[^\W\d_]))"
    spaced = rf"(?:(?={of_mesh})|(?![\w:]|-[^\W\d_]))"
    alone = rf"(?:(?={of_mesh})|(?!\w|-\w|:[A-Za-z_]))"
    found = rf"(?<![\w:-])(?P<space>{space}[-_./])?{name}(?:{canary}|(?(space){spaced}|{alone}))"
    return re.sub(found, lambda match: f"{match['space'] or ''}{target}-primary", query)
