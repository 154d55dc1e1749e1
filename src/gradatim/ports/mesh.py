"""What a mesh is: whatever moves traffic. A router is pure: it names objects and turns seen ones into wanted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from gradatim.api.canary import Canary
from gradatim.core.problems import Problem
from gradatim.core.readiness import Ready, Waiting
from gradatim.core.settings import Settings
from gradatim.core.weights import Routes
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scene import Scene, Seen


class QueryScope(msgspec.Struct, frozen=True):
    """What a metric query may refer to. `interval` is as written; `kind` is the target's, for the built-in checks."""

    name: str
    namespace: str
    kind: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    variables: dict[str, str] = {}


class Queries(msgspec.Struct, frozen=True):
    """The two built-in checks of a mesh as PromQL, text as Flagger sends it.

    `success_rate` yields percent; `duration` yields milliseconds, or seconds with `duration_in_seconds`.
    """

    success_rate: Callable[[QueryScope], str]
    duration: Callable[[QueryScope], str]
    requests: Callable[[QueryScope, bool], str]
    """The counters of all requests to the canary, or to the primary if so asked, as a selector without a window; empty
    where they cannot be told from others."""
    duration_in_seconds: bool = False


class Router(Protocol):
    """Translates between weights and one system's objects.

    All methods but `check` may raise `ports.errors.ProviderError`, whose message becomes the Warning event.
    A wanted manifest of an object that exists is the seen one with our fields replaced, so that nothing foreign is
    lost; the engine writes only the difference. A wanted manifest of a new object carries the owner reference.
    """

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """What this mesh cannot do for this Canary, named by field."""
        ...

    def reads(self, scene: Scene, seen: Seen) -> Iterable[Ref]:
        """The objects to look at; asked again with what was seen until it names nothing new."""
        ...

    def ensure(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """The routing objects as they must be; live weights are kept, new objects start at 100/0."""
        ...

    def routes(self, scene: Scene, seen: Seen) -> Routes:
        """The live split."""
        ...

    def shift(self, scene: Scene, seen: Seen, to: Routes) -> Iterable[Manifest]:
        """The routing objects with another split; `ensure`'s duties are included."""
        ...

    def settled(self, scene: Scene, seen: Seen) -> Ready | Waiting:
        """Whether the proxies have taken the last write over, as far as the objects tell."""
        ...

    def restore(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """What was there before us, on deletion; nothing where the objects go with the Canary."""
        ...


class Mesh(msgspec.Struct, frozen=True, kw_only=True):
    """One value of `spec.provider` and what it can do. The core reads capabilities and never names."""

    name: str
    router: Router
    queries: Queries
    reads: tuple[Resource, ...] = ()
    """Kinds the router reads and never writes; RBAC is generated from both lists."""
    writes: tuple[Resource, ...] = ()
    shifts_traffic: bool = True
    """False: no weights at all; only blue/green by Services is possible."""
    mirrors: bool = False
    matches: frozenset[str] = frozenset()
    """Kinds of `analysis.match` conditions that select requests: `headers`, `queryParams`, `sourceLabels`."""
    session_affinity: bool = False
    primary_cookie: bool = True
    """Whether session affinity knows a cookie of the primary."""
    routes_before_workload: bool = False
