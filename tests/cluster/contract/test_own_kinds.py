"""Contract: our own kinds are judged, stored and shown by both servers as their definitions say."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from cluster.client import MERGE, TABLE
from cluster.contract.servers import Server
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE, Manifest

VECTORS = yaml.safe_load((Path(__file__).parents[2] / "vectors/api/crds.yaml").read_text())
RESOURCES = {"Canary": CANARY, "MetricTemplate": METRIC_TEMPLATE, "AlertProvider": ALERT_PROVIDER}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One object and what becomes of it."""

    name: str
    kind: str
    but: dict[str, Any] = {}
    refused: str | None = None
    stored: dict[str, Any] | None = None
    pruned: tuple[str, ...] = ()

    @property
    def manifest(self) -> Manifest:
        return changed(VECTORS["objects"][self.kind], self.but)


CASES = msgspec.convert(VECTORS["cases"], tuple[Case, ...])


def changed(manifest: Manifest, changes: dict[str, Any]) -> Manifest:
    result = copy.deepcopy(manifest)
    for place, value in changes.items():
        *parents, last = place.split(".")
        target = result
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return result


@pytest.mark.asyncio
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.kind}: {case.name}") for case in CASES])
async def test_an_object(own: Server, case: Case) -> None:
    """Accepted as it is, or refused with a word about the field."""
    where = own.path(RESOURCES[case.kind])
    strict = await own.client.ask("POST", where, case.manifest, params={"dryRun": "All", "fieldValidation": "Strict"})
    if case.refused is not None:
        assert strict.status == 422, strict.body
        assert case.refused in strict.message
        return
    if case.pruned:
        assert strict.status == 400, strict.body
        for field in case.pruned:
            assert f'unknown field "{field}"' in strict.message
        lenient = await own.client.ask("POST", where, case.manifest, params={"dryRun": "All"})
        assert lenient.status == 201
        assert lenient.headers["Warning"].count("unknown field") == len(case.pruned)
        return
    assert strict.status == 201, strict.message
    assert "Warning" not in strict.headers
    if case.stored is None:
        assert strict.body.get("spec") == case.manifest.get("spec")
    elif case.stored:
        assert strict.body == changed(strict.body, case.stored)


@pytest.mark.asyncio
async def test_people_see_these_columns(own: Server) -> None:
    """The names, their order, and which of them only `-o wide` shows."""
    spec = changed(VECTORS["objects"]["Canary"], {"spec.suspend": True, "spec.analysis.mirror": True})
    await own.client.create(CANARY, own.namespace, spec)
    status = {"phase": "Progressing", "canaryWeight": 10, "failedChecks": 2, "iterations": 0}
    await own.client.merge(CANARY, own.namespace, "shop", {"status": status}, "status")
    table = (await own.client.ask("GET", own.path(CANARY), accept=TABLE)).body
    columns = [(column["name"], column["type"], column["priority"]) for column in table["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Weight", "string", 0),
        ("Suspended", "boolean", 1),
        ("FailedChecks", "string", 1),
        ("Interval", "string", 1),
        ("Mirror", "boolean", 1),
        ("StepWeight", "string", 1),
        ("StepWeights", "string", 1),
        ("MaxWeight", "string", 1),
        ("LastTransitionTime", "string", 0),
    ]
    assert table["rows"][0]["cells"][:8] == ["shop", "Progressing", "10", True, "2", "1m", True, "10"]


@pytest.mark.asyncio
async def test_a_status_keeps_everything_that_explains(own: Server) -> None:
    await own.client.create(CANARY, own.namespace, VECTORS["objects"]["Canary"])
    status = {
        "phase": "WaitingPromotion",
        "failedChecks": 0,
        "canaryWeight": 50,
        "iterations": -1,
        "trackedConfigs": {"configmap/a": "0123456789abcdef"},
        "lastAppliedSpec": "a",
        "lastPromotedSpec": "b",
        "lastTransitionTime": "2026-11-23T12:00:00Z",
        "sessionAffinityCookie": "a=b",
        "primarySessionAffinityCookie": "c=d",
        "previousSessionAffinityCookie": "e=f",
        "conditions": [
            {
                "type": "Promoted",
                "status": "Unknown",
                "reason": "WaitingPromotion",
                "message": "Waiting for approval.",
                "lastUpdateTime": "2026-11-23T12:00:00Z",
                "lastTransitionTime": "2026-11-23T12:00:00Z",
            }
        ],
        "observedGeneration": 3,
        "waitingFor": "the gate promote",
        "checks": [
            {"name": "errors", "verdict": "passed", "value": "1", "limit": "< 5", "time": "2026-11-23T12:00:00Z"}
        ],
        "history": [{"revision": "a", "outcome": "Failed", "reason": "errors 7 > 5", "ended": "2026-11-23T12:00:00Z"}],
    }
    answer = await own.client.ask(
        "PATCH",
        own.path(CANARY, "shop", "status"),
        {"status": status},
        params={"fieldValidation": "Strict"},
        content_type=MERGE,
    )
    assert answer.ok, answer.message
    assert "Warning" not in answer.headers
    assert (await own.client.get(CANARY, own.namespace, "shop"))["status"] == status


@pytest.mark.asyncio
async def test_kubectl_explain_has_something_to_say_about_every_field(own: Server) -> None:
    schema = (await own.client.must("GET", "/openapi/v3/apis/flagger.app/v1beta1"))["components"]["schemas"]
    ours_only = {name: one for name, one in schema.items() if re.search(r"flagger\.v1beta1\.[A-Z]\w+$", name)}
    silent = [f"{name}{place}" for name, one in ours_only.items() for place in _silent(one, "")]
    assert len(ours_only) >= 3
    assert [place for place in silent if ".metadata" not in place and "List" not in place] == []


def _silent(schema: dict[str, Any], place: str) -> list[str]:
    found = []
    for key, inner in (schema.get("properties") or {}).items():
        if "description" not in inner and "$ref" not in inner and "allOf" not in inner:
            found.append(f"{place}.{key}")
        found += _silent(inner, f"{place}.{key}")
    return found + (_silent(schema["items"], f"{place}[]") if "items" in schema else [])
