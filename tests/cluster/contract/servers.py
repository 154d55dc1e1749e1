"""The two servers that the contract holds for, behind one face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.client import Answer, Client, path
from gradatim.ports.objects import Manifest, Resource

NAMES = ("real", "sim")

WIDGET = Resource("contract.test", "v1", "widgets", "Widget")
WIDGETS: Manifest = yaml.safe_load((Path(__file__).parent / "widgets.yaml").read_text())


@dataclass(frozen=True)
class Server:
    """One API server under contract, with a namespace of this test's own."""

    name: str
    client: Client
    namespace: str
    forget_history: Callable[[], Awaitable[None]]
    """Compaction: resource versions from before are no longer known."""
    kubeconfig: Callable[[Path], Path]
    """Writes one for its administrator."""

    def path(self, resource: Resource, name: str = "", subresource: str = "") -> str:
        """Where an object of this test's namespace is, or a collection."""
        return path(resource, self.namespace, name, subresource)

    async def create(self, resource: Resource, name: str, **fields: Any) -> Manifest:
        """Create an object that has to be accepted; `metadata` is completed by its name."""
        return await self.client.create(resource, self.namespace, manifest(resource, name, **fields))

    async def get(self, resource: Resource, name: str) -> Manifest:
        """An object that has to be there."""
        return await self.client.get(resource, self.namespace, name)

    async def refusal(self, resource: Resource, name: str, **fields: Any) -> Answer:
        """The answer to the creation of an object that must not be accepted."""
        answer = await self.client.ask("POST", self.path(resource), manifest(resource, name, **fields))
        assert not answer.ok, f"accepted: {answer.body}"
        return answer


def manifest(resource: Resource, name: str, metadata: Manifest | None = None, **fields: Any) -> Manifest:
    """An object of this kind with these top-level fields."""
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**head, "metadata": {"name": name, **(metadata or {})}, **fields}
