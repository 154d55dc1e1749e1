"""Objects in, objects out: the verbs of the Kubernetes API on plain mappings.

Paths, Status errors, the fence before every write, the rate limit and the few retries that are always right live
here. What is watched or remembered lives in `watch.py` and `cache.py`; how bytes travel, in `transport.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeAlias

import msgspec

from gradatim.kube.errors import Gone, KubeError, Unavailable, from_reply, spell
from gradatim.kube.limiter import Limiter
from gradatim.kube.paths import collection_path, object_path
from gradatim.kube.transport import Streamed, Transport
from gradatim.ports.objects import Manifest, Ref, Resource

PatchKind: TypeAlias = Literal["merge", "json", "strategic", "apply"]
Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]

Manifests: TypeAlias = list[Manifest]
Patch: TypeAlias = Manifest | list[Any]
"""A partial object, or the operations of a JSON patch."""

PAGE = 500
"""Objects a list page asks for."""

CONTENT_TYPES: Mapping[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0

DEALT_WITH = 0.1
"""Seconds a caller gets to pass the answer of a write on to the cache."""


class ListMeta(msgspec.Struct, frozen=True):
    """What a list says about itself."""

    resource_version: str | None = msgspec.field(default=None, name="resourceVersion")
    token: str | None = msgspec.field(default=None, name="continue")


class Page(msgspec.Struct, frozen=True):
    """One page of a list, its items not looked into yet."""

    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class _Call(msgspec.Struct, frozen=True):
    """One request, as often as it is sent."""

    verb: str
    about: Ref | Resource
    method: str
    path: str
    query: Mapping[str, str] | None
    headers: Mapping[str, str]
    body: bytes | None = None


class Client:
    """Talks to one API server.

    `fence` is called immediately before every write is sent and raises LeaseLost when nothing may be written any more.
    A write takes `timeout` seconds at most, so a write that passed the fence is over before the lease can be another's
    as long as `timeout` is less than lease duration minus renew deadline. Waiting for the limiter does not count.
    """

    def __init__(
        self,
        transport: Transport,
        limiter: Limiter,
        clock: Callable[[], float],
        user_agent: str,
        *,
        timeout: float = 30.0,
        fence: Callable[[], None] | None = None,
        field_manager: str = "flagger",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._clock = clock
        self._fence = fence
        self._timeout = timeout
        self._field_manager = field_manager
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        self._chance = chance
        self._writing: dict[Ref, int] = {}
        self._afterwards: dict[Ref, list[Callable[[], None]]] = {}
        self.requests: dict[str, int] = {}
        """Requests sent so far, by verb as RBAC spells it."""

    async def get(self, ref: Ref) -> Manifest:
        """The object, from the API server itself."""
        return _object(ref, await self.get_raw(ref))

    async def get_raw(self, ref: Ref) -> bytes:
        """The object as it came, for those who only keep it."""
        return await self._read("get", ref, object_path(ref))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        limit: int = PAGE,
    ) -> Manifests:
        """All objects, fetched `limit` at a time. A list that grew too old on the way is started afresh, once."""
        query = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        try:
            return await self._all_pages(resource, namespace, query)
        except Gone:
            return await self._all_pages(resource, namespace, query)

    async def _all_pages(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> Manifests:
        found: Manifests = []
        token = ""
        while True:
            page = await self.page(resource, namespace, {**query, "continue": token} if token else query)
            found.extend(_typed(resource, msgspec.json.decode(item)) for item in page.items or ())
            token = page.metadata.token or ""
            if not token:
                return found

    async def served(self, resource: Resource, namespace: str = "") -> None:
        """Raise unless the cluster serves this kind and lets us list it. Costs one small request."""
        await self.page(resource, namespace, {"limit": "1"})

    async def page(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> Page:
        """One page of a list."""
        body = await self._read("list", resource, collection_path(resource, namespace), query)
        try:
            return msgspec.json.decode(body, type=Page)
        except msgspec.DecodeError as error:
            raise _unreadable("list", resource) from error

    def watch(
        self, resource: Resource, namespace: str, query: Mapping[str, str], idle_timeout: float
    ) -> AbstractAsyncContextManager[Streamed]:
        """Open a watch; the limiter counts its start only (see `turn`)."""
        self._count("watch")
        return self._transport.stream(
            "GET",
            collection_path(resource, namespace),
            query={"watch": "1", **query},
            headers=self._headers,
            idle_timeout=idle_timeout,
        )

    async def turn(self) -> None:
        """Wait until the rate limit allows one more request; for those who open a watch."""
        await self._limiter.acquire()

    async def create(self, ref: Ref, manifest: Manifest, dry_run: bool = False) -> Manifest:
        """Create the object in the collection of `ref`."""
        query = {"fieldManager": self._field_manager, **({"dryRun": "All"} if dry_run else {})}
        path = collection_path(ref.resource, ref.namespace)
        call = _Call("create", ref, "POST", path, query, self._sending(), msgspec.json.encode(manifest))
        return _object(ref, await self._write(call, ref))

    async def replace(self, ref: Ref, manifest: Manifest, subresource: str = "") -> Manifest:
        """Put the whole object; the resourceVersion inside, if any, must still be the current one."""
        path = object_path(ref, subresource)
        query = {"fieldManager": self._field_manager}
        call = _Call("update", ref, "PUT", path, query, self._sending(), msgspec.json.encode(manifest))
        return _object(ref, await self._write(call, ref))

    async def patch(
        self,
        ref: Ref,
        patch: Patch,
        *,
        subresource: str = "",
        kind: PatchKind = "merge",
        field_manager: str | None = None,
        force: bool = False,
    ) -> Manifest:
        """Change the object; `force` takes over fields of other managers and only means something for `apply`."""
        query = {"fieldManager": field_manager or self._field_manager}
        if kind == "apply" and force:
            query["force"] = "true"
        path = object_path(ref, subresource)
        headers = self._sending(CONTENT_TYPES[kind])
        call = _Call("patch", ref, "PATCH", path, query, headers, msgspec.json.encode(patch))
        return _object(ref, await self._write(call, ref))

    async def delete(
        self,
        ref: Ref,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation | None = None,
        grace: int | None = None,
    ) -> None:
        """Delete the object, if it still is the one with this uid and version where they are given."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions"}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {key: value for key, value in conditions.items() if value is not None}:
            options["preconditions"] = given
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        body = msgspec.json.encode(options)
        await self._write(_Call("delete", ref, "DELETE", object_path(ref), None, self._sending(), body), ref)

    async def version(self) -> Manifest:
        """What `/version` says: `major`, `minor`, `gitVersion`, …"""
        about = Resource("", "", "version", "Version", namespaced=False)
        return _object(about, await self._read("get", about, "/version"))

    async def _read(self, verb: str, about: Ref | Resource, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Read, again and again while the server is unavailable and there is time.

        One try gets half of the time left, so that a connection that hangs does not eat all of it.
        """
        call = _Call(verb, about, "GET", path, query, self._headers)
        await self._limiter.acquire()
        end = self._clock() + self._timeout
        pause = FIRST_PAUSE
        while True:
            left = max(end - self._clock(), 0.001)
            try:
                return await self._send(call, max(left / 2, min(left, 5)))
            except Unavailable as error:
                pause = await self._pause(error, pause, end)

    def after_write(self, ref: Ref, tell: Callable[[], None]) -> bool:
        """If a write of this object is under way, call `tell` when its answer has been dealt with; else return False.

        The watch may be faster than the answer, and only the answer says that what it shows is our own doing.
        """
        if ref not in self._writing:
            return False
        self._afterwards.setdefault(ref, []).append(tell)
        return True

    async def _write(self, call: _Call, ref: Ref) -> bytes:
        """Send a write, and remember meanwhile that it is under way."""
        await self._limiter.acquire()
        self._writing[ref] = self._writing.get(ref, 0) + 1
        try:
            return await self._write_once(call)
        finally:
            self._writing[ref] -= 1
            if not self._writing[ref]:
                del self._writing[ref]
                for tell in self._afterwards.pop(ref, ()):
                    asyncio.get_running_loop().call_later(DEALT_WITH, tell)

    async def _write_once(self, call: _Call) -> bytes:
        """Only a write that certainly was not carried out is tried again."""
        end = self._clock() + self._timeout
        pause = FIRST_PAUSE
        while True:
            left = max(end - self._clock(), 0.001)
            if self._fence is not None:
                self._fence()
            try:
                return await self._send(call, left)
            except Unavailable as error:
                if not error.unsent:
                    raise
                pause = await self._pause(error, pause, end)

    async def _pause(self, error: Unavailable, pause: float, end: float) -> float:
        """Wait before the next try, or give up with the error; return the pause after the next one."""
        wait = pause * (0.5 + self._chance() / 2) + (error.retry_after or 0)
        if self._clock() + wait >= end:
            raise error
        await asyncio.sleep(wait)
        await self._limiter.acquire()
        return min(pause * 2, LONGEST_PAUSE)

    async def _send(self, call: _Call, timeout: float) -> bytes:
        self._count(call.verb)
        try:
            reply = await self._transport.request(
                call.method, call.path, query=call.query, headers=call.headers, body=call.body, timeout=timeout
            )
        except Unavailable as error:
            raise Unavailable(
                f"{call.verb} {spell(call.about)}: {error.message}", about=call.about, unsent=error.unsent
            ) from error
        if reply.status >= 300:
            raise from_reply(call.verb, call.about, reply.status, reply.headers, reply.body)
        return reply.body

    def _sending(self, content_type: str = "application/json") -> Mapping[str, str]:
        return {**self._headers, "Content-Type": content_type}

    def _count(self, verb: str) -> None:
        self.requests[verb] = self.requests.get(verb, 0) + 1


def _object(about: Ref | Resource, body: bytes) -> Manifest:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _unreadable("read", about) from error


def _unreadable(verb: str, about: Ref | Resource) -> KubeError:
    return KubeError(
        f"{verb} {spell(about)}: the answer is not the JSON of an object; is a proxy in the way?", about=about
    )


def _typed(resource: Resource, item: Manifest) -> Manifest:
    """List items do not say what they are."""
    item.setdefault("apiVersion", resource.api_version)
    item.setdefault("kind", resource.kind)
    return item
