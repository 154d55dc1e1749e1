"""Queries that scale the target, changed to scale the primary.

A text replacement, since a query may be in any language; but of whole names only.
"""

from __future__ import annotations

import re


def for_primary(query: str, target: str) -> str:
    """The query with `{target}` and `{target}-canary` replaced by `{target}-primary`.

    A name counts where it stands alone: `podinfo`, `podinfo-canary` and the `podinfo-` of a pod pattern such as
    `podinfo-.*`, but not a part of `podinfo-api`, `my-podinfo`, `podinfo_requests_total` or `podinfo:requests:rate1m`,
    and not of `podinfo-primary`, which is right already.
    """
    name = re.escape(target)
    alone = rf"(?<![\w:-]){name}(?:-canary)?(?!\w|-\w|:[A-Za-z_])"
    return re.sub(alone, lambda _: f"{target}-primary", query)
