"""A world as a value for tests of the core: one Canary, what stands around it, and a reconcile without any engine.

`tick` lets the analysis interval pass and asks `decide` until it has planned, carries the plan out on the world, and
keeps what was recorded and told. Nothing here decides about a release. What a world may look like is checked by
`possible.py` at every answer, so that no test proves something about a world that cannot be.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core import possible
from gradatim.api.canary import FINALIZER, Canary
from gradatim.api.decode import decode_canary
from gradatim.api.status import CanaryStatus, Phase
from gradatim.core import conditions, verdict
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.news import Alert, Event
from gradatim.core.planner import decide
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Readiness, Ready, Waiting
from gradatim.core.record import kept_its_pods
from gradatim.core.revision import revision
from gradatim.core.settings import Settings
from gradatim.core.timing import interval_of
from gradatim.core.verdict import (
    Ask,
    Incomplete,
    Known,
    Part,
    Plan,
    Question,
    Serving,
    Shape,
    TargetSeen,
    Traits,
    Trouble,
)
from gradatim.core.weights import ALL_PRIMARY, Routes
from gradatim.engine.memory import Memory

ROUNDS = 24
"""Plans in one reconcile, as in the engine."""
OUTSIDE = (verdict.SourcesOnline, verdict.HookSays, verdict.Measure)
"""Questions that reach somebody else; an answer to one holds for the whole reconcile."""
START = 1_700_000_000.0


class Crash(Exception):
    """The operator was killed right after a write."""


class Conflict(Exception):
    """The object was not what had been seen; the engine looks afresh at once."""


@dataclass
class Workload:
    """The target or the primary: what it holds, whether it has pods, and how far they are."""

    holds: str
    configs: dict[str, str] | None = None
    running: bool = True
    state: Readiness = field(default_factory=Ready)
    pods: bool = False
    """Whether a pod is available although the rollout is not ready."""

    @property
    def serves(self) -> bool:
        """Whether it could take traffic."""
        return self.running and (self.pods or isinstance(self.state, Ready))


@dataclass
class World:
    """Everything around one Canary. `tick` and `look` move it on."""

    spec: dict[str, Any]
    traits: Traits = field(default_factory=lambda: Traits(mirrors=True, session_affinity=True))
    settings: Settings = field(default_factory=lambda: Settings(mesh_provider="istio", interval_floor=1.0))
    status: CanaryStatus = field(default_factory=CanaryStatus)
    generation: int = 1
    finalizers: tuple[str, ...] = ()
    deleted: bool = False
    gone: bool = False
    now: float = START

    target: Workload | None = field(default_factory=lambda: Workload("v1"))
    lacking: str = ""
    """What the target's pods need and is not there."""
    trouble: str = "deployment podinfo.test get query error: not found"
    """What is said of a target that is not there."""
    primary: Workload | None = None
    missing: set[Part] = field(default_factory=lambda: set(Part))
    drifted: dict[Part, str] = field(default_factory=dict)
    broken: dict[Part, str] = field(default_factory=dict)
    unkept: str = ""
    """The object that did not stay as it was written a moment ago."""
    live: Routes = ALL_PRIMARY
    unreadable_routes: str = ""
    unsettled: str = ""
    leads_astray: str = ""
    """Why the apex Service does not lead where it should."""
    abrupt: bool = False
    """Whether the primary has no pods for a moment when it is rolled out."""
    busy: str = ""
    """Why pods that are to go still get requests."""
    hooks: dict[str, str] = field(default_factory=dict)
    """What hooks refuse with, or how asking them fails (`POST …`); those not named agree."""
    metrics: dict[str, Value | NoValues | QueryFailed] = field(default_factory=dict)
    """What metrics say, by name; 100 unless named."""
    offline: str = ""
    problems: tuple[Problem, ...] = ()
    references: tuple[Problem, ...] = ()
    given_back: bool = False
    rolls: Readiness = field(default_factory=Ready)
    """How far the primary is right after it was made or changed."""
    conflicts: int = 0
    """How many promotions find a target that was edited a moment ago."""

    told: list[str] = field(default_factory=list)
    alerted: list[str] = field(default_factory=list)
    forgettable: set[str] = field(default_factory=set)
    """Events of which the operator remembers that they were told."""
    writes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    crash_after: int | None = None
    memory: Memory | None = None
    asking: Question[Any] | None = None
    """What somebody outside is being asked while this is looked at."""

    # Time ------------------------------------------------------------------------------------------------------------

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return interval_of(self.spec["analysis"].get("interval", ""), self.settings.interval_floor)

    @property
    def asleep(self) -> float:
        """Seconds until the next tick is due."""
        return self._memory().asleep(self.spec["analysis"].get("interval", ""), self.settings.interval_floor, self.now)

    def tick(self) -> Plan:
        """The interval passes, then one reconcile."""
        self.now += self.asleep or self.interval
        return self.reconcile()

    def look(self) -> Plan:
        """Something changed a second later, before the interval was over."""
        self.now += 1.0
        return self.reconcile()

    def restart(self) -> None:
        """The operator begins anew and remembers nothing."""
        self.memory = None

    def _memory(self) -> Memory:
        if self.memory is None:
            self.memory = Memory(self.status, self.now, self.now)
        return self.memory

    # One reconcile ---------------------------------------------------------------------------------------------------

    def reconcile(self) -> Plan:
        """Ask and carry out until a plan does not want to go on at once."""
        outside: dict[Question[Any], Any] = {}
        for _ in range(ROUNDS):
            known, plan = self.consult(msgspec.structs.replace(self.known(), answers=dict(outside)))
            outside = {question: said for question, said in known.answers.items() if isinstance(question, OUTSIDE)}
            self.plans.append(plan)
            possible.check_plan(known, plan, self)
            self._carry_out(known, plan)
            if not plan.again:
                return plan
        raise AssertionError(f"does not come to rest: {[plan.news for plan in self.plans[-3:]]}")

    def consult(self, known: Known) -> tuple[Known, Plan]:
        """Answer until there is a plan; nothing is asked twice."""
        while isinstance(said := decide(known), Ask):
            for question in said.questions:
                assert question not in known.answers, f"{question!r} is asked twice"
                answer = self.answer(question)
                possible.check_answer(known, question, answer, self)
                known = msgspec.structs.replace(known, answers={**known.answers, question: answer})
        return known, said

    def known(self) -> Known:
        """What is known before anything was asked."""
        memory = self._memory()
        asleep = self.asleep
        return Known(
            canary=self.canary,
            settings=self.settings,
            traits=self.traits,
            now=self.now,
            token="token",
            due=asleep <= 0,
            first=memory.first,
            asleep=asleep,
            problems=self.problems,
            waits=dict(memory.waits),
            asking=self.asking,
        )

    @property
    def canary(self) -> Canary:
        """The Canary as a look decodes it."""
        metadata: dict[str, Any] = {"name": "podinfo", "namespace": "test", "uid": "uid", "generation": self.generation}
        if self.deleted:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        metadata["finalizers"] = list(self.finalizers)
        status = msgspec.to_builtins(self.status)
        return decode_canary({"metadata": metadata, "spec": copy.deepcopy(self.spec), "status": status})

    # Answers ---------------------------------------------------------------------------------------------------------

    def answer(self, question: Question[Any]) -> Any:
        """What the world says."""
        match question:
            case verdict.Target():
                return self._seen()
            case verdict.Formed():
                changed = tuple(f"{part.value}:{name}" for part, name in self.drifted.items())
                return Shape(
                    missing=frozenset(self.missing),
                    drifted=frozenset(self.drifted),
                    changed=changed,
                    unkept=(self.unkept,) if self.unkept else (),
                    retry=8.0,
                    trouble=dict(self.broken),
                )
            case verdict.PrimaryReady():
                return self.primary.state if self.primary else Absent("deployment podinfo-primary.test not found")
            case verdict.CanaryReady():
                return self.target.state if self.target else Absent(self.trouble)
            case verdict.WhoServes():
                primary, canary = self.primary, self.target
                return Serving(bool(primary and primary.serves), bool(canary and canary.serves), self.abrupt)
            case verdict.LiveRoutes():
                return Trouble(self.unreadable_routes) if self.unreadable_routes else self.live
            case verdict.Settled():
                return Waiting(self.unsettled) if self.unsettled else Ready()
            case verdict.Repointed():
                return Waiting(self.leads_astray) if self.leads_astray else Ready()
            case verdict.Quiet():
                return Waiting(self.busy) if self.busy else Ready()
            case verdict.References():
                return self.references
            case verdict.SourcesOnline():
                return Trouble(self.offline) if self.offline else Ready()
            case verdict.HookSays():
                return self._hook(question)
            case verdict.Measure():
                name = self.canary.spec.analysis.metrics[question.index].name
                return self.metrics.get(name, Value(100.0))
        raise TypeError(f"no world answers {question!r}")

    def _seen(self) -> TargetSeen | Trouble:
        if self.target is None:
            return Trouble(self.trouble)
        if self.lacking:
            return Incomplete(self.lacking, "create it")
        return TargetSeen(hashed(self.target.holds), self.target.configs, self.target.running)

    def _hook(self, question: verdict.HookSays) -> HookPassed | HookFailed:
        name = self.canary.spec.analysis.webhooks[question.index].name
        self.calls.append(f"{name} {question.phase.value}")
        if name not in self.hooks:
            return HookPassed()
        return HookFailed(self.hooks[name], answered=not self.hooks[name].startswith("POST "))

    # Carrying out ----------------------------------------------------------------------------------------------------

    def _carry_out(self, known: Known, plan: Plan) -> None:
        before = self.status
        for action in plan.actions:
            self._perform(action, plan)
        if plan.status is not None:
            self._record(plan.status)
        self._memory().record(before, plan, self.now)
        self._memory().heard(known.answers, known.now)
        for item in self._memory().untold(plan.news, self.now):
            self._tell(item)
        if plan.afterwards is not None:
            self.calls += [
                f"{hook.name} {plan.afterwards.value}"
                for hook in known.canary.spec.analysis.webhooks
                if hook.kind == "post-rollout"
            ]

    def _record(self, status: CanaryStatus) -> None:
        changed = msgspec.structs.replace(status, last_transition_time=self.status.last_transition_time) != self.status
        if changed:
            self.status = status
            self._wrote(f"status {status.phase.value}")

    def _tell(self, item: Event | Alert) -> None:
        match item:
            case Event(text=text, warning=warning, error=error, once=once):
                self.told.append(f"{'E' if error else 'W' if warning else 'N'} {text}")
                if once:
                    self.forgettable.add(self.told[-1])
            case Alert(text=text, severity=severity, details=details):
                self.alerted.append(f"{severity}{' with details' if details else ''}: {text}")

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) >= self.crash_after:
            self.crash_after = None
            raise Crash(what)

    def _perform(self, action: verdict.Action, plan: Plan) -> None:
        match action:
            case verdict.Settle() | verdict.Introduce():
                self.now += self.settings.settle
            case verdict.Shift(to):
                self._changes("live", to, f"routes {to.primary}/{to.canary}{' mirrored' if to.mirrored else ''}")
            case verdict.Ensure(part):
                self._ensure(part)
            case verdict.Promote(wanted):
                self._promote(wanted)
            case verdict.StartCanary() | verdict.RevertTarget():
                self._run(True)
            case verdict.StopCanary():
                self._run(False)
            case verdict.AddFinalizer():
                self._changes("finalizers", (*self.finalizers, FINALIZER), "finalizer added")
            case verdict.RemoveFinalizer():
                self._changes("finalizers", tuple(set(self.finalizers) - {FINALIZER}), "finalizer removed")
                self.gone = self.deleted and not self.finalizers
            case verdict.RevertApex():
                if Part.APEX not in self.missing:
                    self.missing.add(Part.APEX)
                    self._wrote("apex reverted")
            case verdict.RevertRoutes():
                self._changes("given_back", True, "routes reverted")
            case _:
                raise TypeError(f"no world carries out {action!r}")

    def _changes(self, attribute: str, value: Any, text: str) -> None:
        if getattr(self, attribute) != value:
            setattr(self, attribute, value)
            self._wrote(text)

    def _ensure(self, part: Part) -> None:
        if part is Part.PRIMARY and self.primary is None:
            assert self.target is not None
            self.primary = Workload(self.target.holds, self.target.configs, state=self.rolls)
        if part in self.missing or part in self.drifted:
            self.missing.discard(part)
            self.drifted.pop(part, None)
            self._wrote(f"{part.value} ensured")

    def _promote(self, wanted: str) -> None:
        if self.target is None or hashed(self.target.holds) != wanted or self.conflicts:
            self.conflicts = max(0, self.conflicts - 1)
            raise Conflict
        assert self.primary is not None
        if (self.primary.holds, self.primary.configs) != (self.target.holds, self.target.configs):
            self.primary.holds, self.primary.configs = self.target.holds, self.target.configs
            self.primary.state = self.rolls
            self._wrote(f"primary {self.target.holds}")

    def _run(self, running: bool) -> None:
        if self.target is not None and self.target.running != running:
            self.target.running = running
            self._wrote("target started" if running else "target stopped")

    # What tests look at ----------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """Phase, live split, recorded weight, iterations, failed checks, and whether the target has pods, in a line."""
        status, live = self.status, self.live
        mirrored = "m" if live.mirrored else ""
        running = "up" if self.target and self.target.running else "down"
        counters = f"w{status.canary_weight} i{status.iterations} f{status.failed_checks}"
        return f"{status.phase.value or '-'} {live.primary}/{live.canary}{mirrored} {counters} {running}"

    def taken(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Events, alerts, writes and hook calls since this was last asked."""
        piles = (self.told, self.alerted, self.writes, self.calls)
        self.told, self.alerted, self.writes, self.calls = [], [], [], []
        return piles


def hashed(name: str) -> str:
    """The revision hash of content with a name; `flagger:` marks one that Flagger computed."""
    return name.removeprefix("flagger:") if name.startswith("flagger:") or not name else revision(name)


def at_rest(spec: dict[str, Any], **changes: Any) -> World:
    """A world in which `v1` was set up and serves."""
    world = World(spec, **changes)
    world.missing = set()
    world.primary = Workload("v1", world.target.configs if world.target else None)
    if world.target is not None:
        world.target.running = False
    world.status = with_conditions(
        CanaryStatus(
            phase=Phase.INITIALIZED,
            last_applied_spec=hashed("v1"),
            last_promoted_spec=hashed("v1"),
            tracked_configs=world.target.configs if world.target else None,
            observed_generation=world.generation,
        ),
        world.now,
    )
    return world


def with_conditions(status: CanaryStatus, now: float) -> CanaryStatus:
    """A status with the conditions and the time that belong to its phase."""
    stamp = conditions.timestamp(now)
    wanted = (
        conditions.promoted(status.phase, "Deployment", kept=kept_its_pods(status)),
        *conditions.health(status.phase, "Deployment", ""),
    )
    stamped = conditions.stamped(wanted, (), stamp)
    return msgspec.structs.replace(status, conditions=stamped, last_transition_time=stamp)
