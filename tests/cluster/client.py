"""A thin client that shows answers as they are: status, headers, decoded body. Nothing is retried, cached or hidden.

The product's own client is `gradatim.kube`; what it does is under test, so the tests look at the server with this one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

import aiohttp

from cluster.control_plane import Credentials
from gradatim.ports.objects import Manifest, Resource

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
POD = Resource("", "v1", "pods", "Pod")
CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)

_DEADLINE = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: Manifest
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status < 400

    @property
    def reason(self) -> str:
        """The machine-readable reason of a Status body."""
        return str(self.body.get("reason", ""))

    @property
    def message(self) -> str:
        """The sentence of a Status body."""
        return str(self.body.get("message", ""))

    @property
    def items(self) -> list[Manifest]:
        """The objects of a list."""
        items: list[Manifest] = self.body["items"]
        return items


class Refused(Exception):
    """The server said no to a request that the test needs to succeed."""

    def __init__(self, request: str, answer: Answer) -> None:
        super().__init__(f"{request}: {answer.status} {answer.reason}: {answer.message}")
        self.answer = answer


def path(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Where the API serves an object, or a collection when there is no name."""
    parts = ["/apis", resource.group, resource.version] if resource.group else ["/api", resource.version]
    if namespace and resource.namespaced:
        parts += ["namespaces", namespace]
    return "/".join([*parts, resource.plural, *filter(None, (name, subresource))])


class Client:
    """One user's connection to an API server. Use it in an `async with`."""

    def __init__(self, credentials: Credentials | None = None, url: str = "") -> None:
        self.url = url or (credentials.server if credentials else "")
        headers = {"Authorization": f"Bearer {credentials.token}"} if credentials and credentials.token else {}
        tls = credentials.tls() if credentials and self.url.startswith("https") else True
        # No limit on connections: every watch holds one for as long as it lasts.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=tls), headers=headers)
        self._kinds: dict[tuple[str, str], Resource] = {}

    async def __aenter__(self) -> Client:
        """Nothing is sent yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections, and give their transports the few rounds of the loop that closing TLS takes."""
        await self._session.close()
        for _ in range(5):
            await asyncio.sleep(0)

    async def ask(
        self,
        method: str,
        where: str,
        body: object = None,
        *,
        params: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send one request and give the answer whatever it is."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        async with (
            asyncio.timeout(_DEADLINE),
            self._session.request(method, self.url + where, data=data, params=params, headers=headers) as got,
        ):
            text = await got.text()
            decoded = json.loads(text) if text.startswith("{") else {"message": text}
            return Answer(got.status, decoded, got.headers)

    async def must(
        self,
        method: str,
        where: str,
        body: object = None,
        *,
        params: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Send one request that has to succeed; give its body."""
        answer = await self.ask(method, where, body, params=params, content_type=content_type)
        if not answer.ok:
            raise Refused(f"{method} {where}", answer)
        return answer.body

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """One object."""
        return await self.must("GET", path(resource, namespace, name))

    async def find(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """One object, or None where there is none."""
        answer = await self.ask("GET", path(resource, namespace, name))
        if answer.status == 404:
            return None
        if not answer.ok:
            raise Refused(f"GET {path(resource, namespace, name)}", answer)
        return answer.body

    async def items(self, resource: Resource, namespace: str = "", **params: str | int) -> list[Manifest]:
        """The objects of a collection."""
        items: list[Manifest] = (await self.must("GET", path(resource, namespace), params=params))["items"]
        return items

    async def create(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        """Create one object."""
        return await self.must("POST", path(resource, namespace), manifest)

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Manifest, subresource: str = ""
    ) -> Manifest:
        """Change one object by a merge patch."""
        return await self.must("PATCH", path(resource, namespace, name, subresource), patch, content_type=MERGE)

    async def delete(self, resource: Resource, namespace: str, name: str, **params: str | int) -> Answer:
        """Delete one object; it need not be there."""
        answer = await self.ask("DELETE", path(resource, namespace, name), params=params)
        if not answer.ok and answer.status != 404:
            raise Refused(f"DELETE {path(resource, namespace, name)}", answer)
        return answer

    async def apply(self, manifest: Manifest, namespace: str = "") -> Manifest:
        """Create an object, or bring it to what the manifest says."""
        resource = await self.kind(manifest["apiVersion"], manifest["kind"])
        meta = manifest["metadata"]
        where = path(resource, meta.get("namespace", namespace), meta["name"])
        params = {"fieldManager": "tests", "force": "true"}
        return await self.must("PATCH", where, manifest, params=params, content_type=APPLY)

    async def kind(self, api_version: str, kind: str) -> Resource:
        """Where objects of this kind are served, as the server's discovery says."""
        if (api_version, kind) not in self._kinds:
            for resource in await self.resources(api_version):
                self._kinds[api_version, resource.kind] = resource
        return self._kinds[api_version, kind]

    async def resources(self, api_version: str) -> list[Resource]:
        """Everything one group and version serves, without subresources."""
        group, _, version = api_version.rpartition("/")
        listed = await self.must("GET", f"/apis/{api_version}" if group else f"/api/{version}")
        return [
            Resource(group, version, entry["name"], entry["kind"], entry["namespaced"])
            for entry in listed["resources"]
            if "/" not in entry["name"]
        ]

    @asynccontextmanager
    async def watching(self, where: str, **params: str | int) -> AsyncIterator[AsyncIterator[Manifest]]:
        """Open a watch; inside, iterate over its events. The connection ends with the block."""
        query = {"watch": "1", **params}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_DEADLINE)
        headers = {"Accept": "application/json"}
        async with self._session.get(self.url + where, params=query, headers=headers, timeout=timeout) as got:
            if got.status >= 400:
                raise Refused(f"WATCH {where}", Answer(got.status, await got.json(), got.headers))
            try:
                yield _lines(got)
            finally:
                if got.connection and got.connection.transport:
                    got.connection.transport.abort()  # a polite TLS farewell would wait for the server's


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[Manifest]:
    """Events of a watch, one JSON document a line; lines may be longer than aiohttp's own buffer."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in filter(None, lines):
            yield json.loads(line)
