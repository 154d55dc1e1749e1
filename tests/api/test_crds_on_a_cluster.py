"""A real API server takes our definitions without a word, and judges objects by them as it judges Flagger's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.client import APPLY, CRD, Client, path
from cluster.crds import ours
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE


@pytest.mark.asyncio
async def test_our_definitions_are_accepted_without_a_warning(crds: Callable[..., None], admin: Client) -> None:
    crds("own")
    definitions = ours()
    assert {definition["metadata"]["name"] for definition in definitions} == {
        resource.qualified for resource in (ALERT_PROVIDER, CANARY, METRIC_TEMPLATE)
    }
    for definition in definitions:
        name = definition["metadata"]["name"]
        params = {"fieldManager": "x", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
        answer = await admin.ask("PATCH", path(CRD, "", name), definition, params=params, content_type=APPLY)
        assert answer.ok, answer.message
        assert "Warning" not in answer.headers
        live = await admin.get(CRD, "", name)
        assert live["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        conditions = {condition["type"]: condition["status"] for condition in live["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
