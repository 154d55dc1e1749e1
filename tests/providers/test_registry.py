"""Providers are found by name; unknown and double names are refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from gradatim.api.errors import GradatimError, UnknownProvider
from gradatim.ports.objects import SERVICE
from gradatim.providers import registry
from gradatim.providers.registry import DoubleProvider, Table

_OFFERS = {"mesh": "MESHES", "workloads": "KINDS", "scalers": "KINDS", "metrics": "SOURCES", "notifiers": "NOTIFIERS"}


@pytest.mark.parametrize(("package", "constant"), _OFFERS.items())
def test_every_provider_file_registers_something(package: str, constant: str) -> None:
    """A file below `providers/<kind>/` that offers nothing would be dead."""
    silent = [module.__name__ for module, offered in registry.built_in(package, constant) if not offered]
    assert silent == []


def test_meshes_are_found_by_the_exact_name() -> None:
    """`gatewayapi:v1alpha2` is not quietly taken for v1 (E-05)."""
    assert registry.mesh("gatewayapi:v1").name == "gatewayapi:v1"
    for name in ("gatewayapi:v1alpha2", "gatewayapi", "ngnix", ""):
        with pytest.raises(UnknownProvider) as refused:
            registry.mesh(name)
        assert refused.value.path == "spec.provider"
        assert f"unknown mesh provider {name}; known are: " in refused.value.message
        assert "gatewayapi:v1, gatewayapi:v1beta1" in refused.value.message


def test_all_meshes_are_listed_by_name() -> None:
    """RBAC rules and reference pages are made from the list."""
    names = [mesh.name for mesh in registry.meshes()]
    assert names == sorted(names)
    assert {"gatewayapi:v1", "gatewayapi:v1beta1", "kubernetes", "nginx", "traefik"} <= set(names)


@pytest.mark.parametrize(
    ("find", "path"),
    [
        (lambda: registry.workload("StatefulSet", "apps/v1"), "spec.targetRef.kind"),
        (lambda: registry.scaler("VerticalPodAutoscaler"), "spec.autoscalerRef.kind"),
        (lambda: registry.source("promethius"), "spec.provider.type"),
        (lambda: registry.notifier("irc"), "spec.type"),
    ],
)
def test_unknown_names_are_refused_with_the_field(find: Callable[[], object], path: str) -> None:
    """Flagger takes Deployment, Prometheus and so on instead."""
    with pytest.raises(UnknownProvider) as refused:
        find()
    assert refused.value.path == path


def test_a_name_with_an_api_version_goes_before_one_without() -> None:
    """A core Service and a Knative Service have the same kind."""
    table: Table[str] = Table("target kind", "spec.targetRef.kind")
    table.add(("Service", ""), "core")
    table.add(("Service", "serving.knative.dev/v1"), "knative")
    assert table.find(("Service", "serving.knative.dev/v1"), ("Service", "")) == "knative"
    assert table.find(("Service", "v1"), ("Service", "")) == "core"
    assert table.all() == ("core", "knative")
    with pytest.raises(UnknownProvider, match="unknown target kind v1 Job; known are: Service, serving"):
        table.find(("Job", "v1"), ("Job", ""))


def test_double_names_are_refused() -> None:
    """Two packages that claim one name would make it a matter of luck."""
    table: Table[str] = Table("mesh provider", "spec.provider")
    table.add(("mine",), "a")
    with pytest.raises(DoubleProvider, match="mesh provider mine is provided twice"):
        table.add(("mine",), "b")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs a package that offers a mesh through an entry point; the registry starts afresh before and after."""

    def install(text: str) -> None:
        (tmp_path / "othermesh.py").write_text(text)
        info = tmp_path / "othermesh-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: othermesh\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[gradatim.mesh]\nother = othermesh:MESHES\n")
        assert Distribution.at(info).name == "othermesh"
        monkeypatch.syspath_prepend(tmp_path)
        registry._meshes.cache_clear()

    yield install
    sys.modules.pop("othermesh", None)
    registry._meshes.cache_clear()


_PACKAGE = """
import msgspec
from gradatim.providers.mesh.kubernetes import MESHES as OLD
MESHES = ({},)
"""


def test_packages_offer_meshes_by_entry_point(installed: Callable[[str], None]) -> None:
    """Third parties take the same door as we do."""
    installed(_PACKAGE.format("msgspec.structs.replace(OLD[0], name='other')"))
    assert registry.mesh("other").shifts_traffic is False
    assert registry.mesh("kubernetes").name == "kubernetes"


def test_a_package_cannot_take_a_built_in_name(installed: Callable[[str], None]) -> None:
    """It would change what running Canaries mean."""
    installed(_PACKAGE.format("OLD[0]"))
    with pytest.raises(DoubleProvider, match="kubernetes"):
        registry.mesh("kubernetes")


def test_a_package_must_offer_meshes_as_meshes(installed: Callable[[str], None]) -> None:
    """The sentence names the entry point."""
    installed(_PACKAGE.format("'a text'"))
    with pytest.raises(GradatimError, match=r"entry point other of gradatim\.mesh offers 'a text', not a Mesh"):
        registry.meshes()


def test_resources_are_spelled_as_in_rbac_rules() -> None:
    """What meshes declare ends up in roles."""
    declared = {resource for mesh in registry.meshes() for resource in (*mesh.reads, *mesh.writes)}
    assert SERVICE not in declared
    assert {"ingresses.networking.k8s.io", "traefikservices.traefik.io"} <= {each.qualified for each in declared}
    (older,) = registry.mesh("gatewayapi:v1beta1").writes
    assert (older.qualified, older.api_version) == (
        "httproutes.gateway.networking.k8s.io",
        "gateway.networking.k8s.io/v1beta1",
    )
