"""No mesh at all: blue/green by Services alone.

There are no routing objects. The apex Service always selects the primary's pods, so all traffic is the primary's, from
the first tick to the last; the release itself is the rolling update of the primary. Flagger reports a canary weight of
100 from the first iteration on, although no live request reaches the canary; we report what is true.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.core.problems import Problem
from gradatim.core.readiness import Ready
from gradatim.core.settings import Settings
from gradatim.core.weights import ALL_PRIMARY, Routes
from gradatim.ports.mesh import Mesh
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import queries, unsupported

NAME = "kubernetes"


class NoRoutes:
    """The router of a cluster without a mesh."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """Requests cannot be told apart, and routing fields have nobody to read them."""
        if canary.spec.analysis.match:
            message = f"A/B testing is not supported when using the {NAME} provider; remove it"
            yield Problem("spec.analysis.match", message, blocks=False)
        yield from unsupported.fields(canary.spec.service, (), NAME)

    def reads(self, scene: Scene, seen: Seen) -> Iterable[Ref]:
        """Nothing."""
        return ()

    def ensure(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """Nothing."""
        return ()

    def routes(self, scene: Scene, seen: Seen) -> Routes:
        """All traffic is the primary's."""
        return ALL_PRIMARY

    def shift(self, scene: Scene, seen: Seen, to: Routes) -> Iterable[Manifest]:
        """Nothing."""
        return ()

    def settled(self, scene: Scene, seen: Seen) -> Ready:
        """There is nothing to wait for."""
        return Ready()

    def restore(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """Nothing."""
        return ()


MESHES = (Mesh(name=NAME, router=NoRoutes(), queries=queries.HTTP, shifts_traffic=False),)
