"""Timelines as YAML: what happens to a world, step by step, and what must be seen after each.

A case has a `name` (a sentence), a `canary` (its spec beside the usual target and port), where it `begins` (`new`, or a
status laid over that of a Canary at rest), optional `with` (happenings before the first step), and `steps`:

    - tick: Progressing 90/10 w10 i0 f0 up      # the interval passes; or `look`: a second passes; or `now`: no time
      do: {routes: 67/33}                       # happens before; the verbs are the methods of `Happenings`
      events: [N text, W text, E text]          # exactly these, in this order; none if left out
      alerts: [warn: text]                      # the same
      writes: [routes 90/10, status …]          # compared where written down
      calls: [gate Progressing]                 # hooks called and the phase they were told, where written down
      again: 60                                 # seconds until the next look (none: when something changes), likewise
      status: {waitingFor: text}                # further fields of the status; revisions by name, conditions by type

The expectation reads: phase, primary/canary traffic (`m`: mirrored), recorded weight, iterations, failed checks, and
whether the target has pods.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from core.possible import check_world
from core.world import START, Conflict, Workload, World, at_rest, hashed, with_conditions
from gradatim.api.status import CanaryStatus
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.problems import Problem
from gradatim.core.readiness import Readiness, Ready, Stuck, Waiting
from gradatim.core.verdict import Part, Traits
from gradatim.core.weights import Routes

VECTORS = Path(__file__).parents[1] / "vectors/core"

NAMES = ("", "v1", "v2", "v3", "v4", "flagger:1", "flagger:2")
"""Revisions that cases speak of."""
_COUNTED = re.compile(r"([\d.]+) of (\d+)")
READINESS = {
    "waiting": "waiting for rollout to finish: 0 of 1 (readyThreshold 100%) updated replicas are available",
    "stuck": 'deployment "{name}" exceeded its progress deadline',
}


class Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One step of a case; see the module."""

    tick: str = ""
    look: str = ""
    now: str = ""
    do: dict[str, Any] = {}
    events: tuple[str, ...] = ()
    alerts: tuple[dict[str, str], ...] = ()
    writes: tuple[str, ...] | None = None
    calls: tuple[str, ...] | None = None
    again: float | str | None = None
    status: dict[str, Any] = {}


class Case(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One timeline."""

    name: str
    steps: tuple[Step, ...]
    canary: dict[str, Any] = {}
    begins: str | dict[str, Any] = {}
    traits: dict[str, bool] = {}
    given: dict[str, Any] = msgspec.field(name="with", default={})


def cases(folder: str) -> list[Case]:
    """All cases of a folder of vectors, with unique names."""
    found: list[Case] = []
    for file in sorted((VECTORS / folder).glob("*.yaml")):
        found += msgspec.convert(yaml.safe_load(file.read_text()), list[Case])
    names = [case.name for case in found]
    assert len(set(names)) == len(names), "two cases have the same name"
    return found


def spec_of(canary: dict[str, Any]) -> dict[str, Any]:
    """The usual Canary with further fields."""
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 9898},
        **canary,
    }
    spec["analysis"] = {"interval": "60s", **canary.get("analysis", {})}
    return spec


def world_of(case: Case) -> World:
    """The world in which a case begins."""
    traits = Traits(**{"mirrors": True, "session_affinity": True, **case.traits})
    spec = spec_of(case.canary)
    world = World(spec, traits=traits) if case.begins == "new" else at_rest(spec, traits=traits)
    if isinstance(case.begins, dict) and case.begins:
        world.status = begun(world.status, case.begins)
    happenings = Happenings(world)
    for verb, what in case.given.items():
        getattr(happenings, verb)(what)
    check_world(world)
    return world


def begun(resting: CanaryStatus, fields: dict[str, Any]) -> CanaryStatus:
    """The status of a Canary at rest with some fields changed; revisions are given by name."""
    fields = {key: hashed(value) if key.endswith("Spec") else value for key, value in fields.items()}
    status = msgspec.convert({**msgspec.to_builtins(resting), "conditions": [], **fields}, CanaryStatus)
    return status if status.conditions else with_conditions(status, START)


class Happenings:
    """What can happen to a world; one method a verb."""

    def __init__(self, world: World) -> None:
        self.world = world

    def target(self, holds: str) -> None:
        """The target is edited, deleted (`gone`) or made again."""
        if holds == "gone":
            self.world.target = None
        elif self.world.target is None:
            self.world.target = Workload(holds)
        else:
            self.world.target.holds = holds

    def configs(self, checksums: dict[str, str]) -> None:
        """The target's tracked configs change."""
        assert self.world.target is not None
        self.world.target.configs = checksums

    def lacking(self, text: str) -> None:
        """A config that the target's pods need is not there; empty when it is."""
        self.world.lacking = text

    def scaled(self, running: bool) -> None:
        """Somebody scales the target up or away."""
        assert self.world.target is not None
        self.world.target.running = running

    def canary(self, state: str) -> None:
        """How far the target's rollout is: ready, waiting or stuck."""
        assert self.world.target is not None
        self.world.target.state = readiness(state, "podinfo", self.world.now)

    def primary(self, state: str) -> None:
        """How far the primary's rollout is; `gone` when somebody deleted it, `v1` when it holds that."""
        if state == "gone":
            self.world.primary = None
            self.world.missing.add(Part.PRIMARY)
            return
        if self.world.primary is None:
            self.world.primary = Workload("v1")
            self.world.missing.discard(Part.PRIMARY)
        if state.split(maxsplit=1)[0] in ("ready", "waiting", "stuck"):
            self.world.primary.state = readiness(state, "podinfo-primary", self.world.now)
        else:
            self.world.primary.holds = state

    def rolls(self, state: str) -> None:
        """How far the primary will be when it has just been made or changed."""
        self.world.rolls = readiness(state, "podinfo-primary", self.world.now)

    def pods(self, available: dict[str, bool]) -> None:
        """Which sides have an available pod, where that is not told by their readiness."""
        for side, one in available.items():
            workload = self.world.primary if side == "primary" else self.world.target
            assert workload is not None
            workload.pods = one

    def abrupt(self, whether: bool) -> None:
        """Whether a rollout leaves the primary without pods for a moment."""
        self.world.abrupt = whether

    def routes(self, split: str) -> None:
        """Somebody changes the weights by hand; `unreadable: text` when the route cannot be read."""
        if split.startswith("unreadable"):
            self.world.unreadable_routes = split.partition(": ")[2]
            return
        self.world.unreadable_routes = ""
        primary, canary = split.removesuffix("m").split("/")
        self.world.live = Routes(int(primary), int(canary), split.endswith("m"))

    def proxies(self, text: str) -> None:
        """Why proxies have not followed; empty when they have."""
        self.world.unsettled = text

    def endpoints(self, text: str) -> None:
        """Why the apex Service does not lead where it should; empty when it does."""
        self.world.leads_astray = text

    def drain(self, seconds: float) -> None:
        """How long pods that get requests are kept."""
        self.world.settings = msgspec.structs.replace(self.world.settings, drain=seconds)

    def requests(self, text: str) -> None:
        """Why pods that are to go still get requests; empty when they do not, or when the time is over."""
        self.world.busy = text

    def hooks(self, refusals: dict[str, str]) -> None:
        """What hooks refuse with; `open` when they agree."""
        for name, text in refusals.items():
            self.world.hooks.pop(name, None)
            if text != "open":
                self.world.hooks[name] = text

    def metrics(self, answers: dict[str, float | str]) -> None:
        """What metrics say: a number, `NUMBER of COUNT`, `none`, or the text of a failed query."""
        for name, said in answers.items():
            text = str(said)
            other = NoValues() if text == "none" else QueryFailed(text)
            if counted := _COUNTED.fullmatch(text):
                self.world.metrics[name] = Value(float(counted[1]), samples=int(counted[2]))
            else:
                self.world.metrics[name] = Value(float(said)) if isinstance(said, int | float) else other

    def sources(self, text: str) -> None:
        """Why the metrics sources do not answer; empty when they do."""
        self.world.offline = text

    def problems(self, found: list[dict[str, Any]]) -> None:
        """What is wrong with the Canary itself."""
        self.world.problems = tuple(Problem(**problem) for problem in found)

    def references(self, found: list[dict[str, Any]]) -> None:
        """What the Canary refers to and is wrong."""
        self.world.references = tuple(Problem(**problem) for problem in found)

    def shape(self, parts: dict[str, str]) -> None:
        """Parts that are `missing`, `in order`, changed (the object's name), or broken (`broken: text`)."""
        for name, what in parts.items():
            part = Part(name)
            self.world.missing.discard(part)
            self.world.broken.pop(part, None)
            if what == "missing":
                self.world.missing.add(part)
            elif what.startswith("broken: "):
                self.world.broken[part] = what.removeprefix("broken: ")
            elif what != "in order":
                self.world.drifted[part] = what

    def unkept(self, what: str) -> None:
        """An object that did not stay as it was written a moment ago; empty when all do."""
        self.world.unkept = what

    def spec(self, changes: dict[str, Any]) -> None:
        """The user edits the Canary; mappings are merged, `null` removes."""
        merge(self.world.spec, changes)
        self.world.generation += 1

    def deleted(self, _: bool) -> None:
        """The user deletes the Canary."""
        self.world.deleted = True

    def finalizers(self, names: list[str]) -> None:
        """The Canary's finalizers are these."""
        self.world.finalizers = tuple(names)

    def conflicts(self, number: int) -> None:
        """So many promotions find that the target was edited a moment ago."""
        self.world.conflicts = number

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.now += seconds

    def restart(self, _: bool) -> None:
        """The operator begins anew."""
        self.world.restart()


def readiness(state: str, name: str, now: float) -> Readiness:
    """`ready`, `waiting` (with seconds until it is stuck) or `stuck`, with texts as workloads give them."""
    word, _, rest = state.partition(" ")
    if word == "ready":
        return Ready()
    before = f"{'' if name.endswith('primary') else 'canary deployment '}{name}.test not ready: "
    text = before + READINESS[word].format(name=name)
    if word == "stuck":
        return Stuck(text)
    return Waiting(text, until=now + float(rest) if rest else None)


def merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    """A JSON merge patch, in place."""
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def play(case: Case) -> None:
    """Tell a case and compare after every step."""
    world = world_of(case)
    for number, step in enumerate(case.steps, 1):
        for verb, what in step.do.items():
            getattr(Happenings(world), verb)(what)
        seen, wanted = happened(world, step), expected(step)
        assert {key: seen.get(key) for key in wanted} == wanted, f"step {number} of: {case.name}"


def happened(world: World, step: Step) -> dict[str, Any]:
    """What one step shows."""
    move = world.tick if step.tick else world.look if step.look else world.reconcile
    again: float | str | None = None
    try:
        again = move().requeue
    except Conflict:
        again = "at once"
    events, alerts, writes, calls = world.taken()
    return {
        "seen": world.summary(),
        "events": events,
        "alerts": alerts,
        "writes": writes,
        "calls": calls,
        "again": "when something changes" if again is None else again,
        "status": {key: told(world.status, key) for key in step.status},
    }


def expected(step: Step) -> dict[str, Any]:
    """What one step must show."""
    wanted: dict[str, Any] = {
        "seen": step.tick or step.look or step.now,
        "events": list(step.events),
        "alerts": [f"{severity}: {text}" for alert in step.alerts for severity, text in alert.items()],
        "status": dict(step.status),
    }
    for key in ("writes", "calls"):
        if (listed := getattr(step, key)) is not None:
            wanted[key] = list(listed)
    return wanted if step.again is None else {**wanted, "again": step.again}


def told(status: CanaryStatus, key: str) -> Any:
    """A field of the status as it is written in a case."""
    if key == "conditions":
        return {found.type: f"{found.status} {found.reason}: {found.message}" for found in status.conditions}
    if key == "history":
        return [f"{past.outcome}: {past.reason}" for past in status.history]
    if key == "checks":
        return [f"{check.name} {check.verdict} {check.value}".strip() for check in status.checks]
    if key.endswith("Spec"):
        return next((name for name in NAMES if hashed(name) == msgspec.to_builtins(status)[key]), "another")
    return msgspec.to_builtins(status).get(key, "absent")
