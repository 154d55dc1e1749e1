"""Hooks as the core asks them: in list order, one after the other, stopping at the first that decides."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gradatim.api.canary import Webhook
from gradatim.api.durations import parse_duration
from gradatim.api.status import Phase
from gradatim.core import conditions
from gradatim.core.hooks import HookFailed
from gradatim.core.verdict import HookSays, Known


class Verdict(msgspec.Struct, frozen=True):
    """What the hooks of one kind said: the names that passed and, where one failed, that hook and its text."""

    passed: tuple[str, ...]
    failed: Webhook | None = None
    error: str = ""


def of_kind(known: Known, kind: str) -> Iterator[tuple[int, Webhook]]:
    """The hooks of a kind with their places in the list."""
    hooks = enumerate(known.canary.spec.analysis.webhooks)
    return ((index, hook) for index, hook in hooks if hook.kind == kind)


def all_pass(known: Known, kind: str, phase: Phase) -> Verdict:
    """Ask the hooks of a kind until one fails."""
    passed: list[str] = []
    for index, hook in of_kind(known, kind):
        answer = known.get(HookSays(index, phase))
        if isinstance(answer, HookFailed):
            return Verdict(tuple(passed), hook, answer.text)
        passed.append(hook.name)
    return Verdict(tuple(passed))


def closed_since(known: Known, waiting: str) -> str:
    """Since when the status waits for this approval; from now on if it is another one than before."""
    status = known.status
    if status.waiting_for != waiting:
        return conditions.timestamp(known.now)
    return status.waiting_since or status.last_transition_time


def overdue(known: Known, hook: Webhook, waiting: str) -> bool:
    """Whether a gate has been closed for as long as its deadline; a text that is no duration sets none."""
    began = conditions.seconds(closed_since(known, waiting))
    try:
        limit = parse_duration(hook.deadline)
    except ValueError:
        return False
    return began is not None and int(known.now) - began >= limit > 0


def rollback_asked(known: Known) -> tuple[str | None, tuple[tuple[str, HookFailed], ...]]:
    """The first rollback hook that answers with success, if any, and what those before it said."""
    declined: list[tuple[str, HookFailed]] = []
    for index, hook in of_kind(known, "rollback"):
        answer = known.get(HookSays(index, known.status.phase))
        if not isinstance(answer, HookFailed):
            return hook.name, tuple(declined)
        declined.append((hook.name, answer))
    return None, tuple(declined)
