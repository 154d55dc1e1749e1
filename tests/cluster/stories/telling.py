"""Plays one story in a namespace of its own, and gives what was seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from cluster.client import STRATEGIC, path
from cluster.faulty_proxy import Passed, Passing
from cluster.history import History
from cluster.namespaces import make_namespace, until
from cluster.parity.scenario import filled
from cluster.stories.looks import APP, WATCHED, looks, tellings
from cluster.stories.servers import Servers
from cluster.stories.timeline import Base, Row, Timeline, base, merged
from gradatim.ports.objects import CANARY, DEPLOYMENT, HTTP_ROUTE, INGRESS, TRAEFIK_SERVICE, Manifest

PATIENCE = 150.0
"""Seconds until a row must be seen: only an end to the waiting, on a machine that plays two dozen stories at once."""
LAST_WORDS = 20.0
"""Seconds until the last events must be there, once the last state is."""


@dataclass(frozen=True)
class Told:
    """What was seen of one story."""

    namespace: str
    looks: list[str]
    events: list[str]
    alerts: list[str]
    failure: str = ""
    """What was waited for in vain."""


@dataclass
class Telling:
    """One story while it is played."""

    servers: Servers
    story: Timeline
    namespace: str
    base: Base = field(default_factory=base)
    history: History = field(default_factory=History)
    _within: list[Row] = field(default_factory=list)
    _crossing: list[Row] = field(default_factory=list)
    _before: int = 0

    async def play(self) -> Told:
        """From the first object to the last row."""
        await make_namespace(self.servers.admin, self.namespace)
        self._script()
        self._within = [row for row in self.story.expected if row.within]
        self._crossing = [row for row in self.story.expected if row.crossing]
        async with self.history.followed(self.servers.admin, self.namespace, (*WATCHED, HTTP_ROUTE, TRAEFIK_SERVICE)):
            try:
                await self._begin()
                await self._rows()
                await self._end()
            except TimeoutError as error:
                return self._told(str(error))
            return self._told("")

    async def asked(self, passing: Passing) -> None:
        """The proxy's word about a request on its way: the next action may be due before it arrives."""
        if self._crossing and self._says(passing, self._crossing[0].crossing):
            await self._act(self._crossing.pop(0).do)

    async def answered(self, passed: Passed) -> None:
        """The proxy's word about an answer on its way: the next action may be due before the operator has it."""
        if self._within and passed.status < 300 and self._says(passed.request, self._within[0].within):
            await self._act(self._within.pop(0).do)

    def _says(self, passing: Passing, wanted: Manifest) -> bool:
        """Whether this is a write of the Canary's status that says so."""
        if passing.method != "PATCH" or passing.path != path(CANARY, self.namespace, APP, "status"):
            return False
        said: Manifest = json.loads(passing.body).get("status", {})
        return wanted.items() <= said.items()

    async def _begin(self) -> None:
        """The application, ready, then its Canary."""
        for manifest in self._objects():
            await self._create(manifest)
        if any(one["kind"] == "Deployment" for one in self._objects()):
            await until(self._application_up, f"the application of {self.namespace}", PATIENCE)
        mesh = self.base.meshes[self.story.mesh]
        spec = merged(merged(self.base.canary, mesh), self.story.canary)
        meta = {"name": APP}
        await self._create({"apiVersion": CANARY.api_version, "kind": "Canary", "metadata": meta, "spec": spec})
        if self.story.begins != "new":
            await self.history.until(self._at_rest, "Initialized", PATIENCE)
            await until(self._switched_off, f"the last pod of the target in {self.namespace}", PATIENCE)
            self._before = len(looks(self.history))

    async def _rows(self) -> None:
        """Take each action when the row before it has been reached."""
        before: list[str] = []
        for row in self.story.expected:
            if row.do and not (row.within or row.crossing):
                await self._reached(before)
                await self._act(row.do)
            before += [row.look] if row.look else []
        await self._reached(before)

    async def _reached(self, lines: list[str]) -> None:
        """Wait for the last of these lines, after as many as there must have been."""
        if lines:

            def there() -> bool:
                seen = self._looks()
                return len(seen) >= len(lines) and seen[-1] == lines[-1]

            await self.history.until(there, lines[-1], PATIENCE)

    async def _end(self) -> None:
        """What is told last may come after the last state."""

        async def said() -> bool:
            wanted = {text for text in (*self.story.events(), *self.story.alerts()) if not text.endswith("…")}
            return not wanted - {*self._events(), *self._alerts()}

        with suppress(AssertionError):  # the comparison shows what is missing
            await until(said, "the last words", LAST_WORDS, every=0.2)

    async def _act(self, action: Manifest) -> None:
        ((kind, value),) = action.items()
        match kind:
            case "image":
                containers = [{"name": APP, "image": value}]
                await self._patch(DEPLOYMENT.api_version, "Deployment", APP, _template({"containers": containers}))
            case "change":
                for name, patch in value.items():
                    found, _, one = name.partition("/")
                    await self._patch(self._version(found), found, one, patch)
            case "hooks":
                for name, codes in value.items():
                    self.servers.hooks.answer(self.namespace, name, *codes)
            case "metrics":
                self.servers.prometheus.of(self.namespace).coming.extend(value)
            case "delete":
                found, _, one = value.partition("/")
                resource = await self.servers.admin.kind(self._version(found), found)
                await self.servers.admin.delete(resource, self.namespace, one)
            case _:
                raise ValueError(f"unknown action {kind!r}")

    def _script(self) -> None:
        self.servers.prometheus.of(self.namespace).coming.extend(self.story.metrics)
        for name, codes in self.story.hooks.items():
            self.servers.hooks.answer(self.namespace, name, *codes)

    def _objects(self) -> Iterator[Manifest]:
        """The basic objects as the story has them, and its own."""
        own = {f"{one['kind']}/{one['metadata']['name']}": one for one in self.story.objects}
        basic = self.base.objects
        target = merged(self.base.canary, self.story.canary)["targetRef"]
        for name, manifest in basic.items():
            kind = manifest["kind"]
            if (kind == "Ingress" and self.story.mesh != "nginx") or (kind == "Deployment" and target["kind"] != kind):
                continue
            yield merged(manifest, own.get(name, {}))
        yield from (one for name, one in own.items() if name not in basic)

    def _version(self, kind: str) -> str:
        if kind == "Canary":
            return CANARY.api_version
        return str(next(one["apiVersion"] for one in (*self._objects(), *_ROUTES) if one["kind"] == kind))

    async def _create(self, manifest: Manifest) -> None:
        whole = filled(
            manifest, self.namespace, self.servers.hooks.address(self.namespace), self.servers.prometheus.url
        )
        resource = await self.servers.admin.kind(whole["apiVersion"], whole["kind"])
        await self.servers.admin.create(resource, self.namespace, whole)

    async def _patch(self, api_version: str, kind: str, name: str, patch: Manifest) -> None:
        """By strategic rules where the server knows them, so that a container can be named."""
        resource = await self.servers.admin.kind(api_version, kind)
        where = path(resource, self.namespace, name)
        if "." in api_version and not api_version.endswith("k8s.io/v1"):
            await self.servers.admin.merge(resource, self.namespace, name, patch)
        else:
            await self.servers.admin.must("PATCH", where, patch, content_type=STRATEGIC)

    async def _application_up(self) -> bool:
        found = await self.servers.admin.get(DEPLOYMENT, self.namespace, APP)
        return bool(found.get("status", {}).get("readyReplicas") == found["spec"]["replicas"])

    async def _switched_off(self) -> bool:
        """Whether no pod of the target is left: a Deployment counts them after it was told how many there should be."""
        found = await self.servers.admin.find(DEPLOYMENT, self.namespace, APP)
        return found is None or not found.get("status", {}).get("replicas")

    def _at_rest(self) -> bool:
        """Whether the Canary waits for its first release, and has told so."""
        initialized = looks(self.history)[-1:] and looks(self.history)[-1].startswith("Initialized ")
        return bool(initialized) and any("Initialization done!" in text for text in tellings(self.history))

    def _looks(self) -> list[str]:
        return looks(self.history)[self._before :]

    def _events(self) -> list[str]:
        told = self._anonymous(tellings(self.history))
        done = f"N Initialization done! {APP}.test"
        return told if self.story.begins == "new" else told[told.index(done) + 1 :] if done in told else []

    def _alerts(self) -> list[str]:
        calls = [call for call in self.servers.hooks.of(self.namespace) if call.name == "chat"]
        texts = self._anonymous([call.payload["attachments"][0]["text"] for call in calls])
        return texts if self.story.begins == "new" else texts[1:]

    def _anonymous(self, texts: list[str]) -> list[str]:
        address = self.servers.hooks.address(self.namespace)
        return [text.replace(address, "HOOKS").replace(self.namespace, "test") for text in texts]

    def _told(self, failure: str) -> Told:
        return Told(self.namespace, self._looks(), self._events(), self._alerts(), failure)


def _template(spec: Manifest) -> Manifest:
    return {"spec": {"template": {"spec": spec}}}


_ROUTES = tuple({"apiVersion": one.api_version, "kind": one.kind} for one in (HTTP_ROUTE, INGRESS, TRAEFIK_SERVICE))
