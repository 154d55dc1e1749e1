"""One namespace, and all that a test or a scenario does there by a user's means: requests to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from cluster.hooks import Call
from cluster.parity.normal import UNSEEN_KINDS
from cluster.prometheus import Answers
from gradatim.kube.paths import collection_path, object_path
from gradatim.ports.objects import CANARY, EVENT, Manifest, Ref, Resource
from gradatim.sim.api import Api, Request, Response
from gradatim.sim.history import Event
from simulated.outside import HOOKS, PROMETHEUS, Outside

PATIENCE = 600.0
"""Virtual seconds that something is waited for, unless a test says otherwise."""

MERGE = "application/merge-patch+json"


class Refused(AssertionError):
    """The API server said no to a request that must succeed."""


class Space:
    """A namespace of a simulated cluster; it is a `World` for the parity player, too."""

    def __init__(self, api: Api, outside: Outside, name: str) -> None:
        self._api, self._outside = api, outside
        self._store = api.store
        self.namespace = name
        self.hooks = f"{HOOKS}/{name}"
        self.answers = PROMETHEUS
        self.script()  # from now on its queries are told apart

    # Objects ------------------------------------------------------------------------------------------------------

    async def create(self, *manifests: Manifest) -> None:
        """Create objects, in this order."""
        for manifest in manifests:
            resource = self.resource(manifest["apiVersion"], manifest["kind"])
            await self._ask("POST", f"{collection_path(resource, self.namespace)}?fieldManager=user", manifest)

    async def merge(self, api_version: str, kind: str, name: str, patch: Manifest, subresource: str = "") -> None:
        """Change an object by a merge patch."""
        path = object_path(self.ref(api_version, kind, name), subresource)
        await self._ask("PATCH", f"{path}?fieldManager=user", patch, content_type=MERGE)

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        """Delete an object; it need not be there."""
        await self._ask("DELETE", object_path(self.ref(api_version, kind, name)), or_missing=True)

    async def read(self, api_version: str, kind: str, name: str) -> Manifest | None:
        """One object, None where there is none."""
        answer = await self._ask("GET", object_path(self.ref(api_version, kind, name)), or_missing=True)
        found: Manifest = answer.json()
        return None if answer.status == 404 else found

    async def one(self, api_version: str, kind: str, name: str) -> Manifest:
        """One object, which must be there."""
        found = await self.read(api_version, kind, name)
        assert found is not None, f"there is no {kind} {name}"
        return found

    def named(self, name: str) -> Manifest | None:
        """An object by `KIND/NAME`, for reading only; None where there is none."""
        wanted, _, own = name.partition("/")
        for kind in self._store.kinds():
            if kind.resource.kind == wanted:
                return self._store.peek(Ref(kind.served[0], self.namespace, own))
        raise LookupError(f"no {wanted} is served: name its system when the cluster is made")

    async def objects(self) -> Sequence[Manifest]:
        """Everything in the namespace that states show, each with its `apiVersion` and `kind`."""
        return [
            kind.show(snapshot.manifest, kind.served[0])
            for kind in self._store.kinds()
            if kind.resource.namespaced and not kind.passing and kind.resource.kind not in UNSEEN_KINDS
            for snapshot in self._store.snapshots(kind.resource, self.namespace)
        ]

    async def watch(self, api_version: str, kind: str) -> AsyncIterator[tuple[str, Manifest]]:
        """The objects of a kind as ADDED, then every change."""
        resource = self.resource(api_version, kind)
        news: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue()

        def tell(event: Event) -> None:
            if event.ref.resource == resource and event.ref.namespace == self.namespace:
                news.put_nowait((event.type, event.object))

        for one in self._store.scan(resource, self.namespace):
            news.put_nowait(("ADDED", one))
        unsubscribe = self._store.subscribe(tell)
        try:
            while True:
                yield await news.get()
        finally:
            unsubscribe()

    def resource(self, api_version: str, kind: str) -> Resource:
        """Where objects of this kind are served."""
        for known in self._store.kinds():
            for served in known.served:
                if (served.api_version, served.kind) == (api_version, kind):
                    return served
        raise LookupError(f"{kind} in {api_version} is not served: name its system when the cluster is made")

    def ref(self, api_version: str, kind: str, name: str) -> Ref:
        """The name of an object."""
        return Ref(self.resource(api_version, kind), self.namespace, name)

    async def _ask(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        or_missing: bool = False,
    ) -> Response:
        answer = await self._api.handle(Request.to(method, url, body, content_type=content_type))
        if answer.status >= 300 and not (or_missing and answer.status == 404):
            raise Refused(f"{method} {url}: {answer.status}: {answer.json().get('message', '')}")
        return answer

    # The Canary ---------------------------------------------------------------------------------------------------

    def canary(self, name: str = "shop") -> Manifest:
        """A Canary, for reading only; empty if it is gone."""
        return self._store.peek(Ref(CANARY, self.namespace, name)) or {}

    def status(self, name: str = "shop") -> Manifest:
        """What a Canary says of itself."""
        found: Manifest = self.canary(name).get("status", {})
        return found

    def events(self) -> list[str]:
        """The texts of all events about Canaries, the oldest first."""
        found = sorted(self._store.scan(EVENT, self.namespace), key=lambda one: int(one["metadata"]["resourceVersion"]))
        return [one["message"] for one in found if one["involvedObject"]["kind"] == CANARY.kind]

    async def phase(self, wanted: str, name: str = "shop", within: float = PATIENCE) -> Manifest:
        """Wait until a Canary is in this phase; gives it."""
        await self.until(lambda: self.status(name).get("phase") == wanted, f"{name} to be {wanted}", within)
        return self.canary(name)

    async def told(self, text: str, within: float = PATIENCE) -> None:
        """Wait until an event contains this; events come after the status that they tell of."""
        await self.until(lambda: any(text in one for one in self.events()), f"event {text!r}", within)

    async def gone(self, name: str = "shop", within: float = PATIENCE) -> None:
        """Wait until a Canary is gone."""
        await self.until(lambda: not self.canary(name), f"{name} to be gone", within)

    async def until(self, holds: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """Wait until something holds; looked at after every change of any object."""
        changed = asyncio.Event()
        unsubscribe = self._store.subscribe(lambda _event: changed.set())
        try:
            async with asyncio.timeout(within):
                while not holds():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            told = "\n  ".join(self.events()[-8:])
            status = self.status()
            raise AssertionError(
                f"waited {within:.0f} s in vain for {what}; status {status}, events:\n  {told}"
            ) from None
        finally:
            unsubscribe()

    # Everything else ----------------------------------------------------------------------------------------------

    def script(self) -> Answers:
        """What Prometheus answers to this namespace, and what it was asked."""
        return self._outside.prometheus.of(self.namespace)

    def set_hook(self, name: str, code: int) -> None:
        """The status of one hook from now on."""
        self._outside.hooks.answer(self.namespace, name, code)

    def calls(self) -> Sequence[Call]:
        """What the hooks received."""
        return self._outside.hooks.of(self.namespace)
