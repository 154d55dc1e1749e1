"""Plays one scenario in a world and writes down what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from cluster.parity.normal import UNSEEN_KINDS, stripped
from cluster.parity.recording import Recording
from cluster.parity.scenario import Scenario, filled
from cluster.parity.world import World
from gradatim.ports.objects import CANARY, Manifest

PATIENCE = 240.0
"""How long a phase, an event or an end is waited for."""

SETTLES = 1.5
"""How long after that the state is looked at."""

_BEFORE_THE_CANARY = ("answer", "hook")

MoreSteps: TypeAlias = Mapping[str, Callable[[Any, Recording], Awaitable[None]]]
"""Further kinds of steps, by name: each is given its value and the recording so far."""


async def play(
    scenario: Scenario,
    base: dict[str, list[Manifest]],
    world: World,
    patience: float = PATIENCE,
    more: MoreSteps | None = None,
) -> Recording:
    """Set the scene, take every step, and give the lines by time."""
    player = _Player(scenario, base, world, patience, more or {})
    async with player.watching():
        try:
            await player.run()
        except TimeoutError as error:
            player.note(failed=str(error))
    return player.recording()


class _Player:
    def __init__(
        self,
        scenario: Scenario,
        base: dict[str, list[Manifest]],
        world: World,
        patience: float,
        more: MoreSteps,
    ) -> None:
        self._scenario, self._base, self._world, self._patience = scenario, base, world, patience
        self._more = more
        self._began = asyncio.get_running_loop().time()
        self._lines = Recording()
        self._changed = asyncio.Condition()
        self._phases: list[str] = []
        """Phases in order; an empty one stands for a Canary that is gone."""
        self._events: list[str] = []
        self._before: dict[str, Manifest] = {}

    def note(self, **what: object) -> None:
        """Write down one line."""
        self._lines.add(asyncio.get_running_loop().time() - self._began, **what)

    def recording(self) -> Recording:
        """All lines by time, with the names and addresses of this run replaced."""
        world, whole = self._world, Recording(list(self._lines.lines))
        for call in world.calls():
            whole.add(call.at - self._began, hook=call.name, payload=call.payload)
        seen: set[str] = set()
        for query in world.script().queries:
            if query.text not in seen:
                seen.add(query.text)
                whole.add(query.at - self._began, query=query.text)
        return Recording([_anonymous(line, world) for line in whole.sorted().lines])

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Follow the Canary and the events for as long as the block lasts."""
        tasks = [asyncio.create_task(self._follow_canary()), asyncio.create_task(self._follow_events())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def run(self) -> None:
        """The whole scenario."""
        for group in self._scenario.groups:
            await self._create(*self._base[group])
        await self._create(*self._scenario.objects)
        steps = list(self._scenario.steps)
        while steps and next(iter(steps[0])) in _BEFORE_THE_CANARY:
            await self._step(steps.pop(0))
        self.note(step={"apply": "canary"})
        await self._create(self._scenario.canary_manifest())
        for step in steps:
            await self._step(step)

    async def _step(self, step: Manifest) -> None:
        self.note(step=step)
        ((kind, value),) = step.items()
        match kind:
            case "answer":
                for name, answer in value.items():
                    setattr(self._world.script(), name, str(answer))
            case "hook":
                for name, code in value.items():
                    self._world.set_hook(name, code)
            case "image":
                await self._set_image(value)
            case "config":
                for name, data in value.items():
                    await self._world.merge("v1", "ConfigMap", name, {"data": data})
            case "patch":
                await self._world.merge(CANARY.api_version, "Canary", "shop", {"spec": self._filled(value)})
            case "apply":
                await self._create(*self._base[value])
            case "delete":
                await self._world.delete(CANARY.api_version, "Canary", "shop")
            case "wait" | "gone" | "event" | "sleep":
                await self._wait(kind, value)
            case _ if kind in self._more:
                await self._more[kind](self._filled(value), self.recording())
            case _:
                raise ValueError(f"unknown step {kind!r}: this player does not know it")

    async def _wait(self, kind: str, value: object) -> None:
        match kind:
            case "sleep":
                await asyncio.sleep(float(str(value)))
            case "event":
                await self._until(lambda: any(str(value) in text for text in self._events), f"event {value}")
            case "gone":
                await self._until(lambda: self._phases[-1:] == [""], f"end of {value}")
            case _:
                # A phase may be over before it is asked for again; what was current when the wait began counts.
                start = max(0, len(self._phases) - 1)
                await self._until(lambda: value in self._phases[start:], f"phase {value}")
        await asyncio.sleep(SETTLES)
        await self._look()

    async def _until(self, seen: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._patience), self._changed:
                await self._changed.wait_for(seen)
        except TimeoutError:
            raise TimeoutError(f"{what} not seen in {self._patience:.0f} s") from None

    async def _look(self) -> None:
        """Write down what changed in the namespace since the last look."""
        now = {
            f"{one['kind']}/{one['metadata']['name']}": stripped(one)
            for one in await self._world.objects()
            if one["kind"] not in UNSEEN_KINDS
        }
        changed: dict[str, Manifest | None] = {name: one for name, one in now.items() if self._before.get(name) != one}
        changed.update(dict.fromkeys(self._before.keys() - now.keys()))
        self._before = now
        self.note(state=changed)

    async def _set_image(self, image: str) -> None:
        api_version, kind, name = self._scenario.target()
        target = await self._world.read(api_version, kind, name)
        if target is None:
            raise ValueError(f"{kind} {name} is not there; the scenario must create its target")
        containers = target["spec"]["template"]["spec"]["containers"]
        patched = [{**containers[0], "image": image}, *containers[1:]]
        patch = {"spec": {"template": {"spec": {"containers": patched}}}}
        await self._world.merge(api_version, kind, name, patch)

    async def _create(self, *manifests: Manifest) -> None:
        for manifest in manifests:
            await self._world.create(self._filled(manifest))

    def _filled(self, value: Any) -> Any:
        return filled(value, self._world.namespace, self._world.hooks, self._world.answers)

    async def _follow_canary(self) -> None:
        async for kind, canary in self._world.watch(CANARY.api_version, "Canary"):
            if canary["metadata"]["name"] != "shop":
                continue
            phase = "" if kind == "DELETED" else canary.get("status", {}).get("phase", "")
            if kind != "DELETED" and not phase:
                continue
            if self._phases[-1:] != [phase]:
                if phase:
                    self.note(phase=phase)
                async with self._changed:
                    self._phases.append(phase)
                    self._changed.notify_all()

    async def _follow_events(self) -> None:
        async for kind, event in self._world.watch("v1", "Event"):
            if kind == "DELETED" or event["involvedObject"]["kind"] != "Canary":
                continue
            row = {key: event[key] for key in ("type", "reason", "message")}
            self.note(event={**row, "count": event.get("count", 1)})
            async with self._changed:
                self._events.append(event["message"])
                self._changed.notify_all()


def _anonymous(line: Manifest, world: World) -> Manifest:
    words = {world.hooks: "HOOKS", world.answers: "ANSWERS", world.namespace: "NS"}

    def replaced(value: object) -> object:
        match value:
            case str():
                for word, placeholder in words.items():
                    value = value.replace(word, placeholder)
                return value
            case dict():
                return {replaced(key): replaced(one) for key, one in value.items()}
            case list() | tuple():
                return [replaced(one) for one in value]
            case _:
                return value

    return {key: replaced(value) for key, value in line.items()}
