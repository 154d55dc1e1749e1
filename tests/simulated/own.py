"""Our own scenarios: written like the recorded ones, with what is expected instead of a recording.

They know more steps. Objects are named `KIND/NAME`; `NS` is the namespace.

| Step | Meaning |
|---|---|
| `create: MANIFEST` | one more object |
| `change: {KIND/NAME: PATCH}` | a merge patch of any object |
| `remove: KIND/NAME` | an object is deleted |
| `status: PATCH` | the Canary's status is changed by hand, or by a restored backup |
| `until: {KIND/NAME: PART}` | until an object looks so (`null`: until it is gone) |
| `expect: {…}` | what must be so now |
| `kill: operator`, `start: operator` | the operator dies at once, and comes back |
| `outage: prometheus`, `back: prometheus` | a server that refuses connections for a while; also `hooks` |
| `breaks: IMAGE`, `heals: IMAGE` | pods of this image that start from now on never become ready, or do again |

`expect`, as a step and for the end, has any of `phase`; `status` and `objects`, parts that must be found (`null`: not
there); `events` and `hooks`, found in this order; `never`, found in no event; `queries`, all that Prometheus was asked;
`phases`, all that were passed. A call of a hook is a text: its name, the phase it was told, and what was said.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cluster.parity import Recording, Scenario, play
from cluster.parity.normal import folded_query
from gradatim.core.settings import Settings
from gradatim.ports.objects import CANARY, Manifest
from gradatim.sim.pods.instant import InstantPods, is_broken
from simulated.cluster import Cluster, simulated
from simulated.outside import HOOKS, PROMETHEUS
from simulated.process import Process
from simulated.space import Space
from simulated.traffic import Users

FOLDER = Path(__file__).resolve().parents[1] / "parity" / "own"

_USUAL = {"mesh_provider": "nginx", "metrics_server": PROMETHEUS}
_SERVERS = {"prometheus": PROMETHEUS, "hooks": HOOKS}


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be so."""

    phase: str = ""
    status: Manifest = {}
    objects: dict[str, Manifest | None] = {}
    events: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


class Own(Scenario, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scenario of our own."""

    expect: Expected
    ready_after: float = 0.5
    """Seconds until a pod is ready."""
    loses: str = ""
    """Why users lose requests in this scenario; unless it says so, they must not lose any."""
    settings: Manifest = {}
    """The operator's settings, where they are not the usual ones."""


def base() -> dict[str, list[Manifest]]:
    """The groups of objects that our scenarios start from."""
    return msgspec.yaml.decode((Path(__file__).parent / "base.yaml").read_bytes(), type=dict[str, list[Manifest]])


def load(name: str) -> Own:
    """One scenario."""
    return msgspec.yaml.decode((FOLDER / f"{name}.yaml").read_bytes(), type=Own)


def names() -> list[str]:
    """All of them."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


class Told(msgspec.Struct, frozen=True):
    """How a scenario went."""

    recording: Recording
    wrong: list[str]


async def played(name: str, scenario: Own, crashes: Iterable[int] = ()) -> Told:
    """Play it; the operator crashes after so many writes, once or several times, and comes back each time."""
    pods = InstantPods(scenario.ready_after)
    async with simulated(*scenario.crds, pods=pods) as cluster:
        space = cluster.space(f"o-{name}"[:40].rstrip("-"))
        users = Users(cluster.store, space.namespace, _apex(scenario))
        settings = msgspec.convert({**_USUAL, **scenario.settings}, Settings)
        async with cluster.crashing_operator(*crashes, settings=settings) as processes:
            stage = Stage(cluster, space, processes)
            recording = await play(scenario, base(), space, more=stage.steps())
            wrong = [*stage.wrong, *check(scenario.expect, space, recording, "at the end")]
        if recording.failure():
            wrong.insert(0, recording.failure())
        if users.lost and not scenario.loses:
            wrong.append(f"users lose requests, first at {users.lost[0]}")
        if scenario.loses and not users.lost:
            wrong.append(f"users lose nothing, although {scenario.loses}")
    return Told(recording, wrong)


class Stage:
    """The further steps of our own scenarios."""

    def __init__(self, cluster: Cluster, space: Space, processes: list[Process]) -> None:
        self._cluster, self._space, self._processes = cluster, space, processes
        self._breaking: set[str] = set()
        self.wrong: list[str] = []
        cluster.pods.never_ready = lambda image: is_broken(image) or image in self._breaking

    def steps(self) -> Mapping[str, Callable[[Any, Recording], Awaitable[None]]]:
        """By name."""
        return {
            "create": self._create,
            "change": self._change,
            "remove": self._remove,
            "status": self._status,
            "until": self._until,
            "expect": self._expect,
            "kill": self._kill,
            "start": self._start,
            "outage": self._outage,
            "back": self._back,
            "breaks": self._breaks,
            "heals": self._heals,
        }

    async def _create(self, manifest: Manifest, _: Recording) -> None:
        await self._space.create(manifest)

    async def _change(self, patches: Mapping[str, Manifest], _: Recording) -> None:
        for name, patch in patches.items():
            one = self._space.named(name)
            assert one is not None, f"there is no {name} to change"
            await self._space.merge(one["apiVersion"], one["kind"], one["metadata"]["name"], patch)

    async def _remove(self, name: str, _: Recording) -> None:
        one = self._space.named(name)
        assert one is not None, f"there is no {name} to remove"
        await self._space.delete(one["apiVersion"], one["kind"], one["metadata"]["name"])

    async def _status(self, patch: Manifest | None, _: Recording) -> None:
        await self._space.merge(CANARY.api_version, CANARY.kind, "shop", {"status": patch}, subresource="status")

    async def _until(self, parts: Mapping[str, Manifest | None], _: Recording) -> None:
        for name, part in parts.items():
            await self._space.until(
                lambda name=name, part=part: not differences(self._space.named(name), part, name),  # type: ignore[misc]
                f"{name} to be {part}",
            )

    async def _expect(self, expected: Manifest, so_far: Recording) -> None:
        wanted = msgspec.convert(expected, Expected)
        where = f"at {so_far.lines[-1]['at']} s" if so_far.lines else "at the beginning"
        self.wrong += check(wanted, self._space, so_far, where)

    async def _kill(self, _what: str, _: Recording) -> None:
        await self._processes[-1].kill()

    async def _start(self, _what: str, _: Recording) -> None:
        self._processes.append(self._cluster.start())

    async def _outage(self, server: str, _: Recording) -> None:
        self._cluster.outside.down.add(_SERVERS[server])

    async def _back(self, server: str, _: Recording) -> None:
        self._cluster.outside.down.discard(_SERVERS[server])

    async def _breaks(self, image: str, _: Recording) -> None:
        self._breaking.add(image)

    async def _heals(self, image: str, _: Recording) -> None:
        self._breaking.discard(image)


def check(expected: Expected, space: Space, recording: Recording, where: str) -> list[str]:
    """What is not as expected, one line each."""
    wrong = [] if expected.phase in ("", space.status().get("phase", "")) else [_phase(expected, space)]
    wrong += differences(space.status(), expected.status, "status")
    for name, part in expected.objects.items():
        wrong += differences(space.named(name), part, name)
    events = [line["event"]["message"] for line in recording.lines if "event" in line]
    wrong += _in_order(expected.events, events, "event")
    wrong += _in_order(expected.hooks, [_call(line) for line in recording.lines if "hook" in line], "hook")
    asked = set(map(folded_query, recording.queries()))
    if expected.queries and asked != set(map(folded_query, expected.queries)):
        wrong.append(f"queries {sorted(asked)}, expected {sorted(expected.queries)}")
    wrong += [f"unwanted event: {text}" for text in events for one in expected.never if one in text]
    if expected.phases and list(expected.phases) != recording.phases():
        wrong.append(f"phases {recording.phases()}, expected {list(expected.phases)}")
    return [f"{where}: {one}" for one in wrong]


def differences(found: Any, part: Any, path: str) -> list[str]:
    """Where `part` is not found in an object; lists must be equal in length."""
    if isinstance(part, dict) and isinstance(found, dict):
        return [line for key, one in part.items() for line in differences(found.get(key), one, f"{path}.{key}")]
    if isinstance(part, list) and isinstance(found, list) and len(part) == len(found):
        pairs = enumerate(zip(found, part, strict=True))
        return [line for number, (one, other) in pairs for line in differences(one, other, f"{path}[{number}]")]
    return [] if found == part else [f"{path} is {found}, expected {part}"]


def _call(line: Manifest) -> str:
    """A call of a hook or a chat room as one text."""
    said = line["payload"]
    event = said.get("metadata", {}).get("eventMessage", "")
    alerts = [one["text"] for one in said.get("attachments", ())] + [
        one["activityTitle"] for one in said.get("sections", ())
    ]
    return " ".join(filter(None, (line["hook"], said.get("phase", ""), event, *alerts)))


def _phase(expected: Expected, space: Space) -> str:
    return f"phase {space.status().get('phase')}, expected {expected.phase}; last events: {space.events()[-4:]}"


def _in_order(wanted: Iterable[str], found: list[str], what: str) -> list[str]:
    rest = iter(found)
    for text in wanted:
        if not any(text in one for one in rest):
            return [f"no {what} {text!r} where it is expected, among {found}"]
    return []


def _apex(scenario: Own) -> str:
    name = scenario.canary["service"].get("name") or scenario.canary["targetRef"]["name"]
    return re.sub(r"-(primary|canary)$", "", str(name))
