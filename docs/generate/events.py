"""Every sentence about a release: the functions of `core/news.py`, called with placeholders, and verdicts on checks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from samples import canary
from tables import code, table

from gradatim.api.canary import Metric, ThresholdRange
from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.analysis import Halted, analyse
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.problems import Problem
from gradatim.core.readiness import DaemonRollout, Rollout, judge_daemon_rollout, judge_rollout
from gradatim.core.settings import Settings
from gradatim.core.verdict import Known, Measure, Traits
from gradatim.engine.recorder import COMPONENT, REASON

_HEAD = f"""\
# Events and alerts

Everything that the operator tells about a release is an Event on the Canary (`kubectl describe canary NAME`) with
reason `{REASON}` and source `{COMPONENT}`, a line of its log, and a call of hooks of type `event`. Some of it goes to
chat rooms as an alert, too. Texts that Flagger has are Flagger's, since people match on them.

Words in capitals stand for what varies: `CANARY`, `NAMESPACE` and `TARGET` are names, `HOOK` is the name of a hook, `N`
a number, `REASON` and `ERROR` a sentence about what is wrong.
"""

_BUILDERS = ("normal", "warning", "failure")
_WORDS: dict[str, Any] = {
    "changed": ("OBJECT",),
    "error": "ERROR",
    "every": 60.0,
    "failed": "N",
    "hook": "HOOK",
    "iteration": "N",
    "kind": "confirm-rollout",
    "mesh": "kubernetes",
    "mirrored": False,
    "mute": False,
    "phase": Phase.SUCCEEDED,
    "rounds": "N",
    "text": "TEXT",
    "wanted": "N",
    "weight": "N",
    "what": "OBJECT",
    "why": "REASON",
}
"""What a parameter is given, by its name."""

_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "all_to_canary": ({"mirrored": False}, {"mirrored": True}),
    "gate_passed": tuple(
        {"kind": kind} for kind in ("confirm-rollout", "pre-rollout", "confirm-traffic-increase", "confirm-promotion")
    ),
    "post_rollout": ({"error": None}, {"error": "ERROR"}),
    "problem": ({"found": Problem("FIELD", "REASON")},),
    "unmeasured": ({"found": Problem("FIELD", "REASON")},),
    "promoted": ({}, {"canary": canary(skip_analysis=True)}),
    "rerouted": ({"found": "N"},),
    "shifts_nothing": ({"canary": canary(match=({},), iterations=0)},),
}
"""Functions whose sentences differ with their arguments, and parameters whose names say too little."""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, functions in _sections():
        rows = [row for function in functions for row in _rows(function)]
        parts.append(f"## {title}\n\n{table(('Text', 'Sort', 'When'), rows)}")
    parts.append(f"## Checks that do not pass\n\n{table(('Text', 'Sort', 'When'), _verdicts())}")
    parts.append(f"## Workloads that are not ready\n\n{_WORKLOADS}\n{table(('Text', 'Of'), _rollouts())}")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, list[Callable[..., object]]]]:
    """The functions of the module in its own order, under its own headings."""
    source = inspect.getsource(news)
    heading, found = "", list[Callable[..., object]]()
    for line in source.splitlines():
        if title := re.match(r"# (.+?) -+$", line):
            if found:
                yield heading, found
            heading, found = title[1], []
        elif (name := re.match(r"def ([a-z]\w*)\(", line)) and name[1] not in _BUILDERS:
            found.append(getattr(news, name[1]))
    yield heading, found


def _rows(function: Callable[..., object]) -> Iterator[tuple[str, str, str]]:
    when = re.sub(r"; `\w+` is [^.;]*", "", inspect.getdoc(function) or "")  # a reader sees no parameters
    told: set[object] = set()
    for given in _VARIANTS.get(function.__name__, ({},)):
        made = function(**{**_arguments(function), **given})
        for item in made if isinstance(made, tuple) else (made,):
            if item not in told:
                told.add(item)
                yield code(item.text), _sort(item), when


def _arguments(function: Callable[..., object]) -> dict[str, Any]:
    wanted = inspect.signature(function).parameters.values()
    variants = _VARIANTS.get(function.__name__, ({},))
    return {
        one.name: canary() if one.name == "canary" else _WORDS[one.name]
        for one in wanted
        if one.default is inspect.Parameter.empty and not all(one.name in given for given in variants)
    }


def _sort(item: object) -> str:
    if isinstance(item, news.Alert):
        return f"alert, {item.severity}"
    return "Warning" if isinstance(item, news.Event) and item.warning else "Normal"


def _verdicts() -> Iterator[tuple[str, str, str]]:
    limits, rate, duration, own = ThresholdRange(min=99, max=500), "request-success-rate", "request-duration", "METRIC"
    no_values = NoValues("no values found")
    cases: tuple[tuple[str, str, Value | NoValues | QueryFailed, str], ...] = (
        (rate, "", Value(98.5), "The built-in success rate is outside its range."),
        (duration, "", Value(1500.0), "The built-in duration is outside its range."),
        (own, "QUERY", Value(501.0), "A query of the user's own is outside its range."),
        (
            rate,
            "",
            no_values,
            "The built-in success rate has no data: nobody uses the canary. Counts as a failed check.",
        ),
        (duration, "", no_values, "The built-in duration has no data. Counts as a failed check."),
        (own, "QUERY", no_values, "A query in the Canary has no data. Counts as a failed check."),
        (own, "", no_values, "A MetricTemplate's query has no data. Counts as a failed check."),
        (
            own,
            "QUERY",
            Value(1.0, samples=3),
            "A value has fewer samples than `minSamples` asks for. Halts without counting.",
        ),
        (own, "QUERY", QueryFailed("ERROR"), "The metrics source cannot be asked. Halts without counting."),
    )
    for name, query, measured, when in cases:
        metric = Metric(name=name, query=query, threshold_range=limits, min_samples=50)
        known = Known(
            canary=canary(metrics=(metric,)),
            settings=Settings(mesh_provider="nginx"),
            traits=Traits(),
            now=0.0,
            token="",
            answers={Measure(0, template=not query and name == own): measured},
        )
        judged = analyse(known)
        if isinstance(judged, Halted):
            yield code(judged.news[0].text), "Warning", when


_WORKLOADS = "After `TARGET.NAMESPACE not ready: ` or the same of the primary, with numbers as examples:\n"


def _rollouts() -> Iterator[tuple[str, str]]:
    deployment = Rollout(
        name="TARGET", generation=2, observed_generation=2, replicas=3, total=3, updated=3, available=3
    )
    daemons = DaemonRollout(generation=2, observed_generation=2, desired=3, updated=3, available=3, since=0.0)
    for changes in (
        {"observed_generation": 1},
        {"updated": 1},
        {"total": 4},
        {"available": 1},
        {"own_deadline_passed": True},
    ):
        yield _unready(judge_rollout(_changed(deployment, changes), None, 600, 0.0)), "Deployment"
    for changes, now in (({"observed_generation": 1}, 0.0), ({"updated": 1}, 0.0), ({"available": 1}, 0.0)):
        yield _unready(judge_daemon_rollout(_changed(daemons, changes), None, 600, now)), "DaemonSet"
    yield _unready(judge_daemon_rollout(_changed(daemons, {"updated": 1}), None, 600, 600.0)), "DaemonSet"


def _changed(seen: Any, changes: dict[str, Any]) -> Any:
    return type(seen)(**{name: getattr(seen, name) for name in seen.__struct_fields__} | changes)


def _unready(state: Any) -> str:
    return code(state.message)
