"""Names that no object can have are refused before anything is made of them."""

from __future__ import annotations

from typing import Any

import pytest

from gradatim.api.decode import decode_canary
from gradatim.core.settings import Settings
from gradatim.core.validation import problems
from gradatim.core.verdict import Traits


def told(target: str = "shop", **service: Any) -> list[str]:
    """What is said of a Canary with this target and this service."""
    manifest = {
        "metadata": {"name": "shop", "namespace": "test"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "service": {"port": 80, **service},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
        },
    }
    found = problems(decode_canary(manifest), Settings(), Traits(), generates_services=True)
    assert all(problem.blocks for problem in found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize("name", ["shop", "3scale", "s", "a-b--c9"])
def test_what_a_service_can_be_called_is_left_alone(name: str) -> None:
    assert told(name) == []
    assert told("some.thing", name=name) == []


@pytest.mark.parametrize("name", ["Shop", "shop.v1", "shop_1", "-shop", "shop-", "shöp"])
def test_what_it_cannot_is_said_with_the_field_that_helps(name: str) -> None:
    (of_target,) = told(name)
    assert (
        of_target
        == f"spec.targetRef.name: {name} cannot be the name of a Service; set spec.service.name to one that can"
    )
    (of_service,) = told(name=name)
    assert of_service.startswith(f"spec.service.name: {name} cannot be the name of a Service; use lower-case letters")


def test_the_longest_service_must_fit() -> None:
    assert told("x" * 55) == []
    (said,) = told("x" * 56)
    assert said.startswith("spec.targetRef.name: the Service ")
    assert "would have 64 characters, at most 63 are possible; set a shorter spec.service.name" in said


@pytest.mark.parametrize("name", ["http", "grpc-web", "2nd", "x" * 63])
def test_port_names(name: str) -> None:
    assert told(portName=name) == []


@pytest.mark.parametrize("name", ["HTTP", "a_b", "-a", "x" * 64])
def test_wrong_port_names(name: str) -> None:
    (said,) = told(portName=name)
    assert said.startswith(f"spec.service.portName: is {name}; use lower-case letters")


@pytest.mark.parametrize("port", [8080, "http", "a1-b", "x" * 15])
def test_target_ports(port: int | str) -> None:
    assert told(targetPort=port) == []


@pytest.mark.parametrize("port", [70000, -1, "HTTP", "a--b", "80", "x" * 16, "-a"])
def test_wrong_target_ports(port: int | str) -> None:
    (said,) = told(targetPort=port)
    assert said.startswith(f"spec.service.targetPort: is {port}; ")
