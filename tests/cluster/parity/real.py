"""A namespace of the real control plane as a world to play in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from cluster.client import Client, path
from cluster.hooks import Call, Hooks
from cluster.parity.normal import UNSEEN_KINDS
from cluster.prometheus import Answers, Prometheus
from gradatim.ports.objects import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    SECRET,
    SERVICE,
    Manifest,
    Resource,
)

_BUILT_IN = (CONFIG_MAP, SECRET, SERVICE, DEPLOYMENT, DAEMON_SET, INGRESS, HORIZONTAL_POD_AUTOSCALER)
_OTHERS = ("k8s.io", "apps", "batch", "autoscaling", "policy")


class RealWorld:
    """One namespace of a real API server, with the scripted servers beside it."""

    def __init__(self, client: Client, namespace: str, prometheus: Prometheus, hooks: Hooks) -> None:
        self._client, self._prometheus, self._hooks = client, prometheus, hooks
        self.namespace = namespace
        self.hooks = hooks.address(namespace)
        self.answers = prometheus.url
        prometheus.of(namespace)  # from now on its queries are told apart
        self._custom: list[Resource] = []

    async def create(self, manifest: Manifest) -> None:
        """Create an object in the namespace."""
        resource = await self._client.kind(manifest["apiVersion"], manifest["kind"])
        await self._client.create(resource, self.namespace, manifest)

    async def merge(self, api_version: str, kind: str, name: str, patch: Manifest) -> None:
        """Change an object by a merge patch."""
        await self._client.merge(await self._client.kind(api_version, kind), self.namespace, name, patch)

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        """Delete an object."""
        await self._client.delete(await self._client.kind(api_version, kind), self.namespace, name)

    async def read(self, api_version: str, kind: str, name: str) -> Manifest | None:
        """One object, None where there is none."""
        return await self._client.find(await self._client.kind(api_version, kind), self.namespace, name)

    async def objects(self) -> Sequence[Manifest]:
        """Everything of the built-in kinds that matter and of every custom kind."""
        if not self._custom:
            self._custom = await self._custom_resources()
        found = []
        for resource in (*_BUILT_IN, *self._custom):
            for one in await self._client.items(resource, self.namespace):
                found.append({"apiVersion": resource.api_version, "kind": resource.kind, **one})
        return found

    async def watch(self, api_version: str, kind: str) -> AsyncIterator[tuple[str, Manifest]]:
        """Every change from now on; the server ends a watch after half an hour, which no scenario takes."""
        resource = await self._client.kind(api_version, kind)
        async with self._client.watching(path(resource, self.namespace)) as events:
            async for event in events:
                yield event["type"], event["object"]

    def script(self) -> Answers:
        """What Prometheus answers to this namespace."""
        return self._prometheus.of(self.namespace)

    def set_hook(self, name: str, code: int) -> None:
        """The status of one hook from now on."""
        self._hooks.answer(self.namespace, name, code)

    def calls(self) -> Sequence[Call]:
        """What the hooks received."""
        return self._hooks.of(self.namespace)

    async def _custom_resources(self) -> list[Resource]:
        groups = (await self._client.must("GET", "/apis"))["groups"]
        found = []
        for group in groups:
            if not group["name"].endswith(_OTHERS) or group["name"] == "gateway.networking.k8s.io":
                listed = await self._client.resources(group["preferredVersion"]["groupVersion"])
                found += [one for one in listed if one.namespaced and one.kind not in UNSEEN_KINDS]
        return found
