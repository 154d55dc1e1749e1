"""What the status of a Canary says, from the types, the rules for conditions and the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tables import code, table

from gradatim.api.status import Phase
from gradatim.apps.manifests import crds
from gradatim.core import analysis, conditions
from gradatim.core.record import HISTORY

_HEAD = """\
# Status of a Canary

`kubectl get canary NAME -o yaml` shows all of it, `kubectl describe canary NAME` with the events below. What Flagger
writes has Flagger's names and meanings; the rest explains, and nothing depends on it: where Flagger's definitions are
installed the API server drops it, and releases work all the same.

"""

_PHASES = {
    Phase.UNSET: "Just created.",
    Phase.INITIALIZING: "The primary, its Services and its routes are being made; the target serves until they are.",
    Phase.INITIALIZED: "The primary serves. At rest.",
    Phase.WAITING: "A new revision is there, and a `confirm-rollout` hook has not approved it.",
    Phase.PROGRESSING: "The new revision is analysed.",
    Phase.WAITING_PROMOTION: "The analysis is through, and a `confirm-promotion` hook has not approved the promotion.",
    Phase.PROMOTING: "The primary rolls to the new revision; the canary serves meanwhile.",
    Phase.FINALISING: "All traffic is on the primary again; the target is about to lose its pods.",
    Phase.SUCCEEDED: "The new revision was promoted. At rest.",
    Phase.FAILED: "The new revision was rolled back, or its promotion failed. At rest until there is a newer one.",
    Phase.TERMINATING: "The Canary is being deleted, and with `revertOnDeletion` everything is put back.",
    Phase.TERMINATED: "Everything is put back; the Canary is about to vanish.",
}

_VERDICTS = {
    analysis.PASSED: "The value is within its range.",
    analysis.FAILED: "The value is outside its range. Counts as a failed check.",
    analysis.NO_DATA: "There is no value, so nobody can vouch for the release. Counts as a failed check.",
    analysis.INCONCLUSIVE: "The value has fewer samples than `minSamples` asks for, and proves nothing. Halts without "
    "counting, as below.",
    analysis.UNKNOWN: "The source cannot be asked. Halts without counting; ends the run when it has lasted for the "
    "whole progress deadline. `time` is when that began.",
}

_CONDITIONS = (
    ("Promoted", "Flagger's own, and the one to wait for: `kubectl wait canary/NAME --for=condition=Promoted`."),
    ("Ready", "Whether the release is at a good end. Its message is the reason of a halt, a failure or a refusal."),
    ("Reconciling", "Only there, and `True`, while something is under way."),
    ("Stalled", "Only there, and `True`, when nothing goes on without a change by somebody."),
    (conditions.SPEC_WARNING, "Only there, and `True`, when something in the spec has no effect or looks wrong."),
)


_REASONS = f"""\
Three reasons of `Ready` are no phases: `{conditions.INVALID}` of a spec that cannot work, which is also `Stalled`;
`{conditions.HINDERED}` as long as something outside stands in the way, such as an object that does not exist; and
`{conditions.ROLLING_BACK}` from the decision to roll back until it is done. Otherwise reasons are phases:
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD + table(("Field", "Meaning"), _fields()),
            f"The last {HISTORY} releases are kept in `history`.\n",
            "## Phases\n",
            table(("Phase", "Meaning"), ((code(phase.value) or "empty", _PHASES[phase]) for phase in Phase)),
            "## Verdicts of `checks`\n",
            table(("Verdict", "Meaning"), ((code(verdict), text) for verdict, text in _VERDICTS.items())),
            "## Conditions\n",
            table(("Type", "Meaning"), ((code(kind), text) for kind, text in _CONDITIONS)),
            _REASONS,
            table(("Phase", "Promoted", "Ready", "Beside it", "Message, unless there is a reason"), _by_phase()),
        ]
    )


def _fields() -> Iterator[tuple[str, str]]:
    definition = next(one for one in crds() if one["spec"]["names"]["kind"] == "Canary")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return _described("", schema)


def _described(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, field in schema["properties"].items():
        yield code(path + name), field["description"]
        if field["type"] == "array":
            yield from _described(f"{path}{name}[].", field["items"])


def _by_phase() -> Iterator[tuple[str, str, str, str, str]]:
    for phase in Phase:
        if phase in (Phase.UNSET, Phase.TERMINATED):
            continue  # nothing is recorded in these
        promoted = conditions.promoted(phase, "KIND")
        ready, *beside = conditions.health(phase, "KIND", "")
        others = ", ".join(condition.type for condition in beside)
        yield code(phase.value), promoted.status, ready.status, others, promoted.message
