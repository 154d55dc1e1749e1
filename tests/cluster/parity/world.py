"""What the player needs of the place where a scenario is played: the simulator in virtual time, or a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from cluster.hooks import Call
from cluster.prometheus import Answers
from gradatim.ports.objects import Manifest


class World(Protocol):
    """One namespace of one cluster, with an operator at work in it. Time is the running event loop's."""

    @property
    def namespace(self) -> str:
        """The scenario's namespace."""
        ...

    @property
    def hooks(self) -> str:
        """The address that hooks of this scenario begin with."""
        ...

    @property
    def answers(self) -> str:
        """The address of the scripted Prometheus."""
        ...

    async def create(self, manifest: Manifest) -> None:
        """Create an object in the namespace."""
        ...

    async def merge(self, api_version: str, kind: str, name: str, patch: Manifest) -> None:
        """Change an object by a merge patch."""
        ...

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        """Delete an object."""
        ...

    async def read(self, api_version: str, kind: str, name: str) -> Manifest | None:
        """One object, None where there is none."""
        ...

    async def objects(self) -> Sequence[Manifest]:
        """Everything in the namespace, each with its `apiVersion` and `kind`."""
        ...

    def watch(self, api_version: str, kind: str) -> AsyncIterator[tuple[str, Manifest]]:
        """The objects of a kind as ADDED, then every change: ADDED, MODIFIED or DELETED, and the object."""
        ...

    def script(self) -> Answers:
        """What Prometheus answers to this namespace, and what it was asked."""
        ...

    def set_hook(self, name: str, code: int) -> None:
        """The status of one hook from now on."""
        ...

    def calls(self) -> Sequence[Call]:
        """What the hooks received."""
        ...
