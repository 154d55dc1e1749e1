"""News on their way out: events, event hooks and alerts, one Canary's in order, and nobody waits for them.

A receiver that hangs delays the next word about its Canary, never a decision. Failures are logged, never raised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from gradatim.api.canary import Canary, Webhook
from gradatim.api.errors import GradatimError
from gradatim.api.payloads import event_payload, hook_payload
from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.hooks import HookFailed
from gradatim.core.news import Alert, Event, News
from gradatim.engine.alerts import Alerts
from gradatim.engine.hooks import Caller
from gradatim.engine.recorder import Recorder
from gradatim.kube.errors import Conflict, Unavailable
from gradatim.ports.objects import Ref

log = logging.getLogger(__name__)

HELD = 200
"""News of one Canary that wait for a slow receiver; the oldest go first when there are more."""

PAUSES = (0.5, 2.0, 8.0)
"""Seconds between the attempts to write an event."""


class Edition(msgspec.Struct, frozen=True):
    """The news of one plan: `canary` is as recorded at Unix time `at`, `phase` as it was when the look began."""

    canary: Canary
    phase: Phase
    news: tuple[News, ...]
    at: float
    afterwards: Phase | None = None


class Newsroom:
    """Sends editions in the background."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        alerts: Alerts,
        caller: Caller,
        now: Callable[[], float],
        event_webhook: str = "",
    ) -> None:
        self._recorder = recorder
        self._alerts = alerts
        self._caller = caller
        self._now = now
        self._everywhere = (Webhook(name="event", url=event_webhook, type="event"),) if event_webhook else ()
        self._waiting: dict[Ref, list[Edition]] = {}
        self._tasks: dict[Ref, asyncio.Task[None]] = {}

    def publish(self, key: Ref, edition: Edition) -> None:
        """Send an edition after those of the same Canary that came before."""
        if not edition.news and edition.afterwards is None:
            return
        pile = self._waiting.setdefault(key, [])
        pile.append(edition)
        if len(pile) > HELD:
            lost = pile.pop(0)
            log.warning("news dropped, a receiver is too slow", extra={"canary": _name(lost.canary)})
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._send(key), name=f"news of {key}")

    def forget(self, uid: str) -> None:
        """A Canary is gone."""
        self._recorder.forget(uid)

    async def drain(self, seconds: float) -> None:
        """Give what is on its way some time to arrive."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)
        for task in list(self._tasks.values()):
            task.cancel()

    async def _send(self, key: Ref) -> None:
        pile = self._waiting[key]
        try:
            while pile:
                await self._one(pile.pop(0))
        finally:
            del self._tasks[key], self._waiting[key]

    async def _one(self, edition: Edition) -> None:
        """The post-rollout hooks of a success come before its last words, those of a failure after, as in Flagger."""
        if edition.afterwards is Phase.SUCCEEDED:
            edition = await self._post_rollout(edition, Phase.SUCCEEDED, told=Phase.SUCCEEDED)
        for item in edition.news:
            await self._tell(edition, item)
        if edition.afterwards is Phase.FAILED:
            await self._post_rollout(edition, Phase.FAILED, told=edition.phase)

    async def _post_rollout(self, edition: Edition, phase: Phase, *, told: Phase) -> Edition:
        """Call every post-rollout hook with `phase`; the events about them tell event hooks `told`.

        What is told afterwards is as late as the last hook's answer.
        """
        for hook in edition.canary.spec.analysis.webhooks:
            if hook.kind == "post-rollout":
                payload = hook_payload(edition.canary, hook, phase)
                error = await self._refusal(edition.canary, hook, payload)
                edition = msgspec.structs.replace(edition, at=self._now())
                await self._tell(edition, news.post_rollout(hook.name, error, told))
        return edition

    async def _tell(self, edition: Edition, item: News) -> None:
        try:
            match item:
                case Event():
                    await self._event(edition, item)
                case Alert():
                    await self._alerts.send(edition.canary, item)
        except GradatimError as error:
            log.error("news not delivered: %s", error.message, extra={"canary": _name(edition.canary)})
        except Exception:
            log.exception("news not delivered", extra={"canary": _name(edition.canary)})

    async def _event(self, edition: Edition, event: Event) -> None:
        canary = edition.canary
        log.log(logging.ERROR if event.error else logging.INFO, event.text, extra={"canary": _name(canary)})
        try:
            await self._write(canary, event, edition.at)
        except GradatimError as error:
            log.error("event not written: %s", error.message, extra={"canary": _name(canary)})
        own = tuple(hook for hook in canary.spec.analysis.webhooks if hook.kind == "event")
        for hook in own or self._everywhere:
            phase = event.phase or edition.phase
            payload = event_payload(canary, hook, phase, event.text, warning=event.warning, now=edition.at)
            refusal = await self._refusal(canary, hook, payload)
            if refusal is not None:
                log.error("error sending event to webhook: %s", refusal, extra={"canary": _name(canary)})

    async def _write(self, canary: Canary, event: Event, at: float) -> None:
        """An API server that is away for a moment costs no event: users read releases by them."""
        for pause in PAUSES:
            try:
                return await self._recorder.record(canary, event, at)
            except (Conflict, Unavailable):
                await asyncio.sleep(pause)
        return await self._recorder.record(canary, event, at)

    async def _refusal(self, canary: Canary, hook: Webhook, payload: bytes) -> str | None:
        """Call a hook; what went wrong, or None."""
        try:
            answer = await self._caller.call(canary, hook, payload)
        except GradatimError as error:  # its Secret cannot be read at the moment
            return error.message
        return answer.text if isinstance(answer, HookFailed) else None


def _name(canary: Canary) -> str:
    return f"{canary.name}.{canary.namespace}"
