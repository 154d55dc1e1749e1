"""Which providers there are: the built-in ones and those of installed packages.

A built-in provider is found by where it is: each module below `providers/<kind>/` has a constant with what it offers
(`MESHES`, `KINDS`, `SOURCES`, `NOTIFIERS`). Another package offers the same kind of constant through an entry point:

    [project.entry-points."gradatim.mesh"]
    mymesh = "mypackage.mymesh:MESHES"

Groups are `gradatim.mesh`, `gradatim.workload`, `gradatim.scaler`, `gradatim.metrics` and `gradatim.notifier`. Nothing
is imported before the first question. Flagger takes the nearest thing for a name it does not know (Istio, Prometheus,
Deployment); here unknown names are refused, and so are names that two providers claim.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from gradatim.api.errors import GradatimError, UnknownProvider
from gradatim.ports.mesh import Mesh
from gradatim.ports.metrics import SourceKind
from gradatim.ports.notifier import Notifier
from gradatim.ports.scaler import ScalerKind
from gradatim.ports.workload import WorkloadKind

P = TypeVar("P")
Key = tuple[str, ...]


class DoubleProvider(GradatimError):
    """Two providers claim one name; one of the packages has to go."""

    reason = "DoubleProvider"


class Table(Generic[P]):
    """The providers of one kind by name; `what` and `path` are for the sentence about an unknown one."""

    def __init__(self, what: str, path: str) -> None:
        self._what = what
        self._path = path
        self._found: dict[Key, P] = {}

    def add(self, key: Key, provider: P) -> None:
        """Register a provider; raises DoubleProvider for a name that is taken."""
        if key in self._found:
            raise DoubleProvider(f"{self._what} {_spelled(key)} is provided twice; uninstall one of the packages")
        self._found[key] = provider

    def find(self, *keys: Key) -> P:
        """The provider of the first of some names that is known; raises UnknownProvider."""
        for key in keys:
            if key in self._found:
                return self._found[key]
        known = ", ".join(sorted(_spelled(key) for key in self._found))
        raise UnknownProvider(self._path, f"unknown {self._what} {_spelled(keys[0])}; known are: {known}")

    def all(self) -> tuple[P, ...]:
        """All providers, in the order of their names."""
        return tuple(self._found[key] for key in sorted(self._found))


def mesh(name: str) -> Mesh:
    """The mesh of a `spec.provider`; raises UnknownProvider."""
    return _meshes().find((name,))


def workload(kind: str, api_version: str) -> WorkloadKind:
    """The workload kind of a `targetRef`; one for just this API version goes first. Raises UnknownProvider."""
    return _workloads().find((kind, api_version), (kind, ""))


def scaler(kind: str) -> ScalerKind:
    """The scaler of an `autoscalerRef`; raises UnknownProvider."""
    return _scalers().find((kind,))


def source(name: str) -> SourceKind:
    """The metrics source of a MetricTemplate's `provider.type`; raises UnknownProvider."""
    return _sources().find((name,))


def notifier(name: str) -> Notifier:
    """The notifier of an AlertProvider's `type`; raises UnknownProvider."""
    return _notifiers().find((name,))


def meshes() -> tuple[Mesh, ...]:
    """All meshes by name."""
    return _meshes().all()


def workloads() -> tuple[WorkloadKind, ...]:
    """All workload kinds by name."""
    return _workloads().all()


def scalers() -> tuple[ScalerKind, ...]:
    """All scaler kinds by name."""
    return _scalers().all()


def sources() -> tuple[SourceKind, ...]:
    """All metrics sources by type."""
    return _sources().all()


def notifiers() -> tuple[Notifier, ...]:
    """All notifiers by type."""
    return _notifiers().all()


def built_in(package: str, constant: str) -> Iterable[tuple[ModuleType, tuple[Any, ...]]]:
    """Each module of a package below `providers` with what it offers; a module that offers nothing has an empty one."""
    parent = importlib.import_module(f"gradatim.providers.{package}")
    for found in pkgutil.iter_modules(parent.__path__, f"{parent.__name__}."):
        module = importlib.import_module(found.name)
        yield module, tuple(getattr(module, constant, ()))


@cache
def _meshes() -> Table[Mesh]:
    table: Table[Mesh] = Table("mesh provider", "spec.provider")
    for found in _offered("mesh", "MESHES", "gradatim.mesh", Mesh):
        table.add((found.name,), found)
    return table


@cache
def _workloads() -> Table[WorkloadKind]:
    table: Table[WorkloadKind] = Table("target kind", "spec.targetRef.kind")
    for found in _offered("workloads", "KINDS", "gradatim.workload", WorkloadKind):
        table.add((found.kind, found.api_version), found)
    return table


@cache
def _scalers() -> Table[ScalerKind]:
    table: Table[ScalerKind] = Table("autoscaler kind", "spec.autoscalerRef.kind")
    for found in _offered("scalers", "KINDS", "gradatim.scaler", ScalerKind):
        table.add((found.kind,), found)
    return table


@cache
def _sources() -> Table[SourceKind]:
    table: Table[SourceKind] = Table("metrics source", "spec.provider.type")
    for found in _offered("metrics", "SOURCES", "gradatim.metrics", SourceKind):
        table.add((found.type,), found)
    return table


@cache
def _notifiers() -> Table[Notifier]:
    table: Table[Notifier] = Table("notifier", "spec.type")
    for found in _offered("notifiers", "NOTIFIERS", "gradatim.notifier", Notifier):
        table.add((found.type,), found)
    return table


def _offered(package: str, constant: str, group: str, kind: type[P]) -> Iterable[P]:
    """The providers of one kind, built-in ones first; anything else in an entry point is refused."""
    for _, offered in built_in(package, constant):
        yield from cast("tuple[P, ...]", offered)
    for entry in entry_points(group=group):
        for found in entry.load():
            if not isinstance(found, kind):
                raise GradatimError(f"entry point {entry.name} of {group} offers {found!r}, not a {kind.__name__}")
            yield found


def _spelled(key: Key) -> str:
    """A name as users write it: `Deployment`, or `serving.knative.dev/v1 Service`."""
    name, *version = key
    return f"{version[0]} {name}" if version and version[0] else name
