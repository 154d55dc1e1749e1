"""Wrong Canaries are told what is wrong with them, by field and with the fix."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from core.telling import merge
from gradatim.api.decode import decode_canary
from gradatim.api.errors import InvalidField
from gradatim.core.problems import Problem
from gradatim.core.settings import Settings
from gradatim.core.validation import problems
from gradatim.core.verdict import Traits

RIGHT = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
    "service": {"port": 80},
    "analysis": {"interval": "30s", "threshold": 5, "stepWeight": 20, "maxWeight": 60},
}


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One wrong Canary."""

    name: str
    spec: dict[str, Any]
    traits: dict[str, bool] = {}
    settings: dict[str, Any] = {}
    services: bool = True
    refused: list[str] = []
    warned: list[str] = []


VECTORS = Path(__file__).parents[1] / "vectors/core/validation.yaml"
CASES = msgspec.convert(yaml.safe_load(VECTORS.read_text()), list[Case])


def found(case: Case) -> tuple[Problem, ...]:
    """What is wrong with the Canary of a case, or why it cannot be read."""
    spec = copy.deepcopy(RIGHT)
    merge(spec, case.spec)
    try:
        canary = decode_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": spec})
    except InvalidField as error:
        return (Problem(error.path, error.message.removeprefix(f"{error.path}: ")),)
    traits = Traits(**{"mirrors": True, "session_affinity": True, **case.traits})
    return problems(canary, Settings(**case.settings), traits, generates_services=case.services)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_canary_with(case: Case) -> None:
    said = found(case)
    assert [str(problem) for problem in said if problem.blocks] == case.refused
    assert [str(problem) for problem in said if not problem.blocks] == case.warned
