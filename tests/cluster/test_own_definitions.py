"""Our own definitions on the real server: accepted without a warning, structural, and as wide as the scenarios need."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.client import CRD, Client, path
from cluster.crds import ours
from cluster.fixtures import not_run
from cluster.parity import load_scenario, scenario_names
from cluster.parity.scenario import NotAtHand, filled, shared
from gradatim.ports.objects import CANARY


@pytest.mark.asyncio
async def test_they_are_accepted_without_a_warning(admin: Client, crds: Callable[..., None]) -> None:
    assert {one["metadata"]["name"] for one in ours()} == {
        "alertproviders.flagger.app",
        "canaries.flagger.app",
        "metrictemplates.flagger.app",
    }
    for definition in ours():
        params = {"dryRun": "All", "fieldValidation": "Strict"}
        renamed = {**definition, "spec": {**definition["spec"], "group": "dry-run.test"}}
        renamed["metadata"] = {"name": f"{definition['spec']['names']['plural']}.dry-run.test"}
        answer = await admin.ask("POST", path(CRD), renamed, params=params)
        assert answer.status == 201, answer.message
        assert "Warning" not in answer.headers
    crds("own")  # checks that they are structural and served


@pytest.mark.asyncio
async def test_they_take_what_the_scenarios_say(admin: Client, crds: Callable[..., None], namespace: str) -> None:
    try:
        shared()
    except NotAtHand as error:
        not_run(str(error))
    crds("own")
    params = {"dryRun": "All", "fieldValidation": "Strict"}
    for name in scenario_names():
        scenario = load_scenario(name)
        own = [one for one in scenario.objects if one["apiVersion"].startswith("flagger.app/")]
        for manifest in (*own, scenario.canary_manifest()):
            resource = await admin.kind(manifest["apiVersion"], manifest["kind"])
            body = filled(manifest, namespace, "http://hooks", "http://answers")
            answer = await admin.ask("POST", path(resource, namespace), body, params=params)
            assert answer.status == 201, f"{name}: {answer.message}"


@pytest.mark.parametrize(
    "analysis",
    [
        {"interval": "10s", "threshold": 1},
        {"interval": "10s", "threshold": 1, "stepWeight": 10, "stepWeights": [10]},
        {"interval": "often", "threshold": 1, "stepWeight": 10},
    ],
)
@pytest.mark.asyncio
async def test_a_canary_without_a_strategy_is_refused(
    admin: Client, crds: Callable[..., None], namespace: str, analysis: dict[str, object]
) -> None:
    crds("own")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    spec = {"targetRef": target, "service": {"port": 80}, "analysis": analysis}
    body = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}, "spec": spec}
    answer = await admin.ask("POST", path(CANARY, namespace), body)
    assert (answer.status, answer.reason) == (422, "Invalid")
