"""A small API server in memory, seen through a Transport: enough of one to be cut off, to forget and to be late.

It keeps versions, history, pages, watches, bookmarks and both forms of 410. Tests break it on purpose: `outage`, `cut`,
`forget`, `refuse`, and `Gate`s that hold a request back on its way there or on its way back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from gradatim.kube.errors import Unavailable
from gradatim.kube.transport import Reply, StreamReply
from gradatim.ports.objects import Manifest, Ref, Resource

Key = tuple[str, str]


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float


@dataclass
class Gate:
    """Holds a request back, before the server looks at it (`there`) or after (`back`), until it is opened."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    back: bool = False


class Stream:
    """One watch that is open."""

    def __init__(self, collection: str, namespace: str) -> None:
        self.collection = collection
        self.namespace = namespace
        self.lines: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def send(self, kind: str, obj: Manifest) -> None:
        self.raw(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def raw(self, chunk: bytes) -> None:
        self.lines.put_nowait(chunk)

    def end(self, error: Exception | None = None) -> None:
        self.lines.put_nowait(error)


class FakeApi:
    """The server; it is its own Transport. Kinds exist once they are `serve`d."""

    def __init__(self) -> None:
        self.version = 100
        self.kinds: dict[str, Resource] = {}
        self.objects: dict[str, dict[Key, Manifest]] = {}
        self.history: dict[str, list[tuple[int, str, Manifest]]] = {}
        self.oldest: dict[str, int] = {}
        self.streams: list[Stream] = []
        self.log: list[Asked] = []
        self.outage = False
        self.gone_as_status = False
        self.watch_list = False
        self.half_open = False
        """Whether watches, once open, are never ended by the server."""
        self.flow = asyncio.Event()
        """Cleared, events are under way and do not arrive."""
        self.flow.set()
        self.refusals: list[tuple[str, str, Reply]] = []
        self.gates: list[tuple[str, str, Gate]] = []
        self.page_limit: int | None = None
        self.snapshots: dict[tuple[str, str, int], list[Manifest]] = {}
        """What the pages of a list are cut from: all of them show the same moment."""

    # what tests do to it

    def serve(self, *resources: Resource) -> None:
        for resource in resources:
            collection = _collection(resource)
            self.kinds[collection] = resource
            self.objects.setdefault(collection, {})
            self.history.setdefault(collection, [])
            self.oldest.setdefault(collection, 0)

    def put(self, ref: Ref, **fields: Any) -> Manifest:
        """Create or change an object, as some other user would."""
        collection = _collection(ref.resource)
        key = (ref.namespace, ref.name)
        old = self.objects[collection].get(key)
        self.version += 1
        metadata = {"name": ref.name, "namespace": ref.namespace, "uid": f"uid-{ref.name}-{self.version}"}
        new = {**(deepcopy(old) if old else {"metadata": metadata}), **deepcopy(fields)}
        new["metadata"] = {**metadata, **new["metadata"], "resourceVersion": str(self.version)}
        if old:
            new["metadata"]["uid"] = old["metadata"]["uid"]
        new |= {"apiVersion": ref.resource.api_version, "kind": ref.resource.kind}
        self.objects[collection][key] = new
        self._tell(collection, "MODIFIED" if old else "ADDED", new)
        return deepcopy(new)

    def drop(self, ref: Ref) -> None:
        """Delete an object, as some other user would."""
        collection = _collection(ref.resource)
        old = self.objects[collection].pop((ref.namespace, ref.name))
        self.version += 1
        old = deepcopy(old)
        old["metadata"]["resourceVersion"] = str(self.version)
        self._tell(collection, "DELETED", old)

    def find(self, ref: Ref) -> Manifest | None:
        return deepcopy(self.objects[_collection(ref.resource)].get((ref.namespace, ref.name)))

    def cut(self) -> None:
        """Break all watches off in the middle."""
        for stream in self.streams:
            stream.end(Unavailable("connection lost"))
        self.streams.clear()

    def forget(self) -> None:
        """Compact: whoever resumes from a version before now gets a 410."""
        for collection in self.oldest:
            self.oldest[collection] = self.version + 1
        self.version += 1

    def refuse(self, method: str, path: str, code: int, body: Any = None, **headers: str) -> None:
        """Answer the next request of this kind (path prefix) with this instead."""
        content = body if isinstance(body, bytes) else json.dumps(body or status(code)).encode()
        self.refusals.append((method, path, Reply(code, headers, content)))

    def gate(self, method: str, path: str, back: bool = False) -> Gate:
        """Hold the next request of this kind back."""
        gate = Gate(back=back)
        self.gates.append((method, path, gate))
        return gate

    def asked(self, method: str, path: str = "", watch: bool = False) -> list[Asked]:
        return [
            each
            for each in self.log
            if each.method == method and each.path.startswith(path) and ("watch" in each.query) == watch
        ]

    def _tell(self, collection: str, kind: str, obj: Manifest) -> None:
        self.history[collection].append((self.version, kind, deepcopy(obj)))
        for stream in self.streams:
            if stream.collection == collection and stream.namespace in ("", obj["metadata"].get("namespace", "")):
                stream.send(kind, obj)

    # the Transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Reply:
        try:
            async with asyncio.timeout(timeout):
                return await self._request(method, path, dict(query or {}), dict(headers or {}), body)
        except TimeoutError as error:
            raise Unavailable("no answer in time") from error

    async def _request(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes | None
    ) -> Reply:
        content = json.loads(body) if body else None
        self.log.append(Asked(method, path, query, headers, content, asyncio.get_running_loop().time()))
        if self.outage:
            raise Unavailable("connection refused", unsent=True)
        gate = self._pick(self.gates, method, path)
        if gate is not None:
            gate.arrived.set()
            if not gate.back:
                await gate.opened.wait()
        reply = self._pick(self.refusals, method, path) or self._answer(method, path, query, content)
        if gate is not None and gate.back:
            await gate.opened.wait()
        return reply

    @staticmethod
    def _pick(waiting: list[tuple[str, str, Any]], method: str, path: str) -> Any:
        for index, (wanted, prefix, thing) in enumerate(waiting):
            if wanted == method and path.startswith(prefix):
                del waiting[index]
                return thing
        return None

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncIterator[StreamReply]:
        now = asyncio.get_running_loop().time()
        self.log.append(Asked(method, path, dict(query), dict(headers), None, now))
        if self.outage:
            raise Unavailable("connection refused", unsent=True)
        refusal = self._pick(self.refusals, "WATCH", path)
        collection, namespace, _, _ = self._split(path)
        if refusal is None and collection not in self.kinds:
            refusal = _reply(404, status(404))
        if refusal is None and "sendInitialEvents" in query and not self.watch_list:
            refusal = _reply(422, status(422, message="sendInitialEvents is forbidden"))
        since = int(query.get("resourceVersion") or 0)
        gone = refusal is None and bool(since) and since < self.oldest[collection]
        if gone and self.gone_as_status:
            refusal = _reply(410, status(410, reason="Expired"))
        if refusal is not None:
            yield StreamReply(refusal.status, refusal.headers, _nothing(), refusal.body)
            return
        stream = Stream(collection, namespace)
        if gone:
            stream.send("ERROR", status(410, reason="Expired"))
            stream.end()
        elif "sendInitialEvents" in query:
            for obj in self._listed(collection, namespace):
                stream.send("ADDED", obj)
            stream.send("BOOKMARK", self._bookmark(collection, {"k8s.io/initial-events-end": "true"}))
        else:
            for version, kind, obj in self.history[collection]:
                if version > since and namespace in ("", obj["metadata"].get("namespace", "")):
                    stream.send(kind, obj)
        if not gone:
            self.streams.append(stream)
        chunks = self._chunks(stream, idle_timeout, float(query["timeoutSeconds"]))
        try:
            yield StreamReply(200, {}, chunks)
        finally:
            await chunks.aclose()
            if stream in self.streams:
                self.streams.remove(stream)

    async def _chunks(self, stream: Stream, idle: float, lasting: float) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end = loop.time() + (float("inf") if self.half_open else lasting)
        while True:
            try:
                async with asyncio.timeout(min(idle, end - loop.time())):
                    item = await stream.lines.get()
                    await self.flow.wait()
            except TimeoutError:
                if loop.time() >= end:
                    return
                raise Unavailable("silence") from None
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item

    async def close(self) -> None:
        self.cut()

    def bookmark(self, resource: Resource) -> None:
        for stream in self.streams:
            if stream.collection == _collection(resource):
                stream.send("BOOKMARK", self._bookmark(stream.collection, None))

    def _bookmark(self, collection: str, annotations: dict[str, str] | None) -> Manifest:
        metadata: Manifest = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        return {"kind": self.kinds[collection].kind, "metadata": metadata}

    # requests

    def _split(self, path: str) -> tuple[str, str, str, str]:
        """Collection, namespace, name, subresource."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        root, rest = (parts[:2], parts[2:]) if parts[0] == "api" else (parts[:3], parts[3:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        name, subresource = (*rest[1:], "", "")[:2]
        return "/".join([*root, rest[0]]), namespace, name, subresource

    def _listed(self, collection: str, namespace: str) -> list[Manifest]:
        return [obj for key, obj in sorted(self.objects[collection].items()) if namespace in ("", key[0])]

    def _answer(self, method: str, path: str, query: dict[str, str], content: Any) -> Reply:
        if path == "/version":
            return _reply(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.1"})
        collection, namespace, name, _ = self._split(path)
        resource = self.kinds.get(collection)
        if resource is None:
            return _reply(404, status(404, message="the server could not find the requested resource"))
        found = self.objects[collection].get((namespace, name))
        if method == "GET" and not name:
            return self._page(collection, namespace, query)
        if method == "POST":
            name = content["metadata"]["name"]
            if (namespace, name) in self.objects[collection]:
                return _reply(409, status(409, "AlreadyExists", name, f'{resource.qualified} "{name}" already exists'))
            return _reply(201, self.put(Ref(resource, namespace, name), **content))
        if found is None:
            return _reply(404, status(404, "NotFound", name, f'{resource.qualified} "{name}" not found'))
        ref = Ref(resource, namespace, name)
        if method == "GET":
            return _reply(200, found)
        if method == "DELETE":
            self.drop(ref)
            return _reply(200, {"kind": "Status", "status": "Success"})
        if method == "PUT":
            version = content["metadata"].get("resourceVersion")
            if version and version != found["metadata"]["resourceVersion"]:
                return _reply(409, status(409, "Conflict", name, "the object has been modified"))
            return _reply(200, self.put(ref, **content))
        return _reply(200, self.put(ref, **_merge(found, content)))

    def _page(self, collection: str, namespace: str, query: dict[str, str]) -> Reply:
        found = self._listed(collection, namespace)
        version, start = self.version, 0
        if "continue" in query:
            version, start = map(int, query["continue"].split(":"))
            if version < self.oldest[collection]:
                return _reply(410, status(410, reason="Expired"))
            found = self.snapshots.get((collection, namespace, version), found)
        limit = self.page_limit or int(query.get("limit", "0")) or len(found)
        metadata = {"resourceVersion": str(version)}
        if start + limit < len(found):
            metadata["continue"] = f"{version}:{start + limit}"
            self.snapshots[collection, namespace, version] = found
        items = [{k: v for k, v in obj.items() if k not in ("apiVersion", "kind")} for obj in found]
        return _reply(200, {"kind": "List", "metadata": metadata, "items": items[start : start + limit]})


def status(code: int, reason: str = "", name: str = "", message: str = "") -> Manifest:
    details = {"name": name} if name else {}
    text = message or f"refused with {code}"
    return {"kind": "Status", "message": text, "reason": reason, "code": code, "details": details}


def _reply(code: int, content: Any) -> Reply:
    return Reply(code, {}, json.dumps(content).encode())


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk


def _collection(resource: Resource) -> str:
    root = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
    return f"{root}/{resource.plural}"


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return deepcopy(patch)
    merged = {**old, **{key: _merge(old.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if value is not None}
