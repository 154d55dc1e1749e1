"""What is known about one Canary, what may be asked, and what may be decided.

The core is handed a `Known` and answers with an `Ask` (find this out first) or a `Plan` (do this, record this, tell
this). Questions are small hashable values that carry names, never objects; the engine asks each at most once a look.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec

from gradatim.api.canary import Canary
from gradatim.api.status import CanaryStatus, Phase
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.news import News
from gradatim.core.problems import Problem
from gradatim.core.readiness import Readiness, Ready, Waiting
from gradatim.core.settings import Settings
from gradatim.core.weights import Routes

A = TypeVar("A")


class Traits(msgspec.Struct, frozen=True):
    """What the mesh and the workload of a Canary can do; the core reads these and never names."""

    shifts_traffic: bool = True
    mirrors: bool = False
    session_affinity: bool = False
    waits: bool = True
    """Whether the workload has pods to wait for."""
    primary_cookie: bool = True
    """Whether session affinity can tie clients to the primary, too."""


class Part(Enum):
    """What is set up around a target, in the order in which it is written."""

    SERVICES = "services"
    PRIMARY = "primary"
    SCALER = "scaler"
    APEX = "apex"
    ROUTES = "routes"


# Questions and their answers ------------------------------------------------------------------------------------------


class Question(msgspec.Struct, Generic[A], frozen=True):
    """Something outside that must be known; `A` is the type of its answer."""


class Trouble(msgspec.Struct, frozen=True):
    """It cannot be told; the message is a whole event text, `fix` what can be done where it does not say so."""

    message: str
    fix: str = ""


class Incomplete(Trouble, frozen=True):
    """The target is there, and so are its labels and ports, but something that its pods need is not."""


class TargetSeen(msgspec.Struct, frozen=True):
    """The target: its revision hash, the checksums of its configs (None: not tracked), and whether it has pods."""

    revision: str
    configs: dict[str, str] | None
    running: bool = True


class Shape(msgspec.Struct, frozen=True):
    """How what we set up looks: parts with missing objects, parts with changed ones, and what stops a part.

    `changed` names the objects that differ, for the event that tells of a repair; `unkept` those whose repair did not
    last, which are left alone for `retry` seconds; `fixes` is what can be done about a trouble.
    """

    missing: frozenset[Part] = frozenset()
    drifted: frozenset[Part] = frozenset()
    changed: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()
    retry: float = 0.0
    trouble: dict[Part, str] = {}
    fixes: dict[Part, str] = {}

    def needs(self, part: Part) -> bool:
        """Whether a part is not as it must be."""
        return part in self.missing or part in self.drifted


class Serving(msgspec.Struct, frozen=True):
    """Which sides have at least one available pod.

    `abrupt` says that rolling out may leave the primary without any for a moment.
    """

    primary: bool
    canary: bool
    abrupt: bool = False


class Target(Question[TargetSeen | Trouble], frozen=True):
    """What is the target now?"""


class Formed(Question[Shape], frozen=True):
    """Is everything around the target as it must be?"""


class PrimaryReady(Question[Readiness], frozen=True):
    """How far is the primary's rollout?"""


class CanaryReady(Question[Readiness], frozen=True):
    """How far is the target's rollout?"""


class WhoServes(Question[Serving], frozen=True):
    """Which sides could take traffic at all?"""


class LiveRoutes(Question[Routes | Trouble], frozen=True):
    """How is traffic split right now?"""


class Settled(Question[Ready | Waiting], frozen=True):
    """Have the proxies taken the last shift over, as far as can be told?"""


class Repointed(Question[Ready | Waiting], frozen=True):
    """Does the apex Service lead to pods, and to none of the side whose pods are to go? Unknown counts as yes."""

    primary: bool = False
    """Whether it is the primary's pods that are to go."""


class Quiet(Question[Ready | Waiting], frozen=True):
    """Do the pods that are to go get no more requests, as far as the metrics server counts them?

    It is asked only where the settings allow to wait for it, and says yes when that time is over.
    """

    primary: bool = False


class References(Question[tuple[Problem, ...]], frozen=True):
    """Does everything exist that the Canary refers to, and does nobody else claim its target?"""


class SourcesOnline(Question[Ready | Trouble], frozen=True):
    """Do the metrics sources answer?"""


class HookSays(Question[HookPassed | HookFailed], frozen=True):
    """What does a hook answer? `index` counts in `analysis.webhooks`; `phase` is what it is told."""

    index: int
    phase: Phase


class Measure(Question[Value | NoValues | QueryFailed], frozen=True):
    """What does a metric say? `index` counts in `analysis.metrics`; `template` picks its template over the built-in."""

    index: int
    template: bool = False


class Unanswered(Exception):
    """Control flow within the core: a rule needs an answer that is not known yet."""

    def __init__(self, question: Question[Any]) -> None:
        super().__init__(repr(question))
        self.question = question


# What is known --------------------------------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a decision may depend on.

    `now` is Unix time in seconds, `token` a fresh UUID, `due` whether the analysis interval has passed since the last
    tick, `first` whether no tick has been used since the phase or the run began, and `asleep` the seconds until the
    next due tick.
    """

    canary: Canary
    settings: Settings
    traits: Traits
    now: float
    token: str
    due: bool = True
    first: bool = True
    asleep: float = 0.0
    problems: tuple[Problem, ...] = ()
    caveats: tuple[News, ...] = ()
    """What of the plan is left out on this mesh, told with each step."""
    waits: dict[Question[Any], float] = {}
    """Since when these have been answered with something else than yes, in Unix seconds, as far as is remembered."""
    answers: dict[Question[Any], Any] = {}
    asking: Question[Any] | None = None
    """What somebody outside has been asked about the same revision and spec and has not answered yet, if this look was
    taken meanwhile. It is given up unless it is asked again before the Canary comes to rest."""

    def get(self, question: Question[A]) -> A:
        """The answer to a question; makes the core ask it when it is not known yet."""
        try:
            return cast("A", self.answers[question])
        except KeyError:
            raise Unanswered(question) from None

    @property
    def status(self) -> CanaryStatus:
        """The Canary's status at the start of this look."""
        return self.canary.status


class Ask(msgspec.Struct, frozen=True):
    """Find these out, then decide again."""

    questions: tuple[Question[Any], ...]


# Actions --------------------------------------------------------------------------------------------------------------


class Action(msgspec.Struct, frozen=True):
    """One thing to carry out; each is safe to repeat."""


class Ensure(Action, frozen=True):
    """Bring a part into shape; `update` also brings a scaler up to date, which otherwise is only created."""

    part: Part
    update: bool = False


class Shift(Action, frozen=True):
    """Split traffic so."""

    to: Routes


class Introduce(Action, frozen=True):
    """Give proxies time to learn of pods that are about to get their first requests.

    Those of the canary must still be there when it is over, else nothing of the plan is carried out.
    """

    canary: bool = False


class Settle(Action, frozen=True):
    """Give proxies time to follow and, where it can be told, wait until they have."""


class Promote(Action, frozen=True):
    """Copy the target's template to the primary, if the target still is this revision."""

    revision: str


class StartCanary(Action, frozen=True):
    """Let the target's scaler go and give the target its pods."""


class StopCanary(Action, frozen=True):
    """Hold the target's scaler and take the target's pods away."""


class ResumeScaler(Action, frozen=True):
    """Let the target's scaler go."""


class AddFinalizer(Action, frozen=True):
    """Keep the Canary from vanishing before its target has been reverted."""


class RemoveFinalizer(Action, frozen=True):
    """Let the Canary go."""


class RevertTarget(Action, frozen=True):
    """Give the target the pods that the primary has."""


class RevertApex(Action, frozen=True):
    """Point an adopted apex Service back at the target."""


class RevertRoutes(Action, frozen=True):
    """Give routing objects back what was there before us."""


# Plans ----------------------------------------------------------------------------------------------------------------


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Do, record, tell, and when to look again.

    `status` None means that nothing is recorded. `again` looks afresh at once and may only follow questions without
    effects. `requeue` is the seconds until the next look at the latest (None: only when something changes). `ticked`
    says that the due tick has been used up. `afterwards` calls the post-rollout hooks with that phase.
    """

    actions: tuple[Action, ...] = ()
    status: CanaryStatus | None = None
    news: tuple[News, ...] = ()
    again: bool = False
    requeue: float | None = None
    ticked: bool = False
    begins: bool = False
    """A run begins (anew): what was told or tried before does not count any more."""
    asked: bool = False
    """The due tick has been used up for asking hooks alone: the first step of a run need not wait for another."""
    afterwards: Phase | None = None
    hindered: bool = False
    """Something stands in the way that only somebody else can remove; the status says so."""
    weights: Routes | None = None
    """The split to publish as a gauge."""


Verdict: TypeAlias = Ask | Plan
