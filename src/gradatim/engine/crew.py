"""Everybody who works on Canaries, behind the five words that a reconcile uses: look, answer, perform, record, tell."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import msgspec

from gradatim.api.canary import Canary
from gradatim.api.status import RUNNING
from gradatim.core.news import News
from gradatim.core.record import hindered
from gradatim.core.settings import Settings
from gradatim.core.timing import interval_of
from gradatim.core.verdict import Action, Known, Plan, Question, Traits
from gradatim.engine import statuses
from gradatim.engine.actions import Hands
from gradatim.engine.clock import Clock
from gradatim.engine.draining import Draining
from gradatim.engine.library import Library
from gradatim.engine.memory import Memory
from gradatim.engine.newsroom import Edition, Newsroom
from gradatim.engine.questions import Answers
from gradatim.engine.reader import Reader
from gradatim.engine.site import Providers, Site
from gradatim.engine.telemetry import Telemetry
from gradatim.engine.writing import Writer
from gradatim.kube.cache import Cache
from gradatim.kube.errors import KubeError
from gradatim.ports.objects import CANARY, Manifest, Ref
from gradatim.providers import registry

log = logging.getLogger(__name__)


class Crew:
    """Looks, answers, performs, records and tells, for any Canary."""

    def __init__(
        self,
        *,
        settings: Settings,
        cache: Cache,
        library: Library,
        answers: Answers,
        draining: Draining,
        hands: Hands,
        writer: Writer,
        newsroom: Newsroom,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._cache = cache
        self._library = library
        self._answers = answers
        self._draining = draining
        self._hands = hands
        self._writer = writer
        self._newsroom = newsroom
        self._telemetry = telemetry
        self._clock = clock
        self._memories: dict[Ref, Memory] = {}
        self._reader = Reader(settings)
        self._editions: dict[Ref, list[Edition]] = {}
        """News of reconciles that are not at rest yet."""

    async def look(self, key: Ref) -> tuple[Known, Site] | None:
        """What is known of a Canary now; None when it is gone."""
        manifest = self._cache.get(key)
        if manifest is None:
            return None
        reading = self._reader.read(key, manifest)
        canary, providers, problems = reading.canary, reading.providers, reading.problems
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = Memory(canary.status, self._clock.now(), self._clock.ticks())
        site = Site(key, canary, providers or self._anybody(), self.settings, self._cache)
        site.learned, site.repairs = memory.learned, memory.repairs
        memory.repairs.turn(self._clock.ticks(), self.interval(key))
        if providers is None or not canary.target:
            site.trouble = "; ".join(map(str, problems))
        else:
            await site.look()
            memory.learned = site.learned
        interval, floor = canary.spec.analysis.interval, self.settings.interval_floor
        asleep = memory.asleep(interval, floor, self._clock.ticks())
        known = Known(
            canary=canary,
            settings=self.settings,
            traits=providers.traits if providers is not None else Traits(),
            now=self._clock.now(),
            token=str(uuid4()),
            due=asleep <= 0,
            first=memory.first,
            asleep=asleep,
            problems=problems,
            waits=dict(memory.waits),
        )
        return known, site

    async def answer(self, known: Known, site: Site, question: Question[Any]) -> Any:
        """The answer to one question of the core."""
        return await self._answers.answer(known, site, question)

    async def perform(self, site: Site, plan: Plan, action: Action) -> None:
        """Carry out one action."""
        await self._hands.perform(site, plan, action)

    async def record(self, known: Known, plan: Plan, began: float) -> None:
        """Write the plan's status, if that changes anything, and remember the plan, whose tick began then."""
        key, canary = self._key(known.canary), known.canary
        if plan.status is not None:
            self._draining.forget(key)
            live = self._cache.get(key)
            patch = {} if live is None else statuses.patch(live, plan.status)
            if patch:
                await self._writer.patch_guarded(key, {"status": patch}, subresource="status")
        memory = self._memories[key]
        memory.failures = 0
        memory.record(canary.status, plan, self._clock.ticks())
        memory.heard(known.answers, known.now)
        after = plan.status or canary.status
        self._telemetry.observe(canary, canary.status, after, plan.weights)
        if plan.ticked and canary.status.phase in RUNNING:
            self._telemetry.lasted(canary, max(0.0, self._clock.now() - began))

    def tell(self, known: Known, plan: Plan) -> None:
        """Keep the plan's news, without those that were told already, until they are handed over."""
        canary = known.canary
        if plan.status is not None:
            canary = msgspec.structs.replace(canary, status=plan.status)
        self._keep(canary, known.canary, plan.news, plan)

    def hand_over(self, key: Ref) -> None:
        """Publish what was kept."""
        for edition in self._editions.pop(key, ()):
            self._newsroom.publish(key, edition)

    def complain(self, key: Ref, news: tuple[News, ...]) -> None:
        """Publish news about a look that failed."""
        canary = self._reader.last(key)
        if canary is not None and key in self._memories and news:
            self._keep(canary, canary, news, Plan())
            self.hand_over(key)

    async def hinder(self, key: Ref, text: str) -> None:
        """Say in the status what a look failed of, unless it says so already; not being able to is no further error."""
        try:
            manifest = self._cache.get(key)
            if manifest is None:
                return
            now = self._clock.now()
            known = Known(canary=self.read(key, manifest), settings=self.settings, traits=Traits(), now=now, token="")
            status = hindered(known, text)
            if status is not None and (patch := statuses.patch(manifest, status)):
                await self._writer.patch_guarded(key, {"status": patch}, subresource="status")
        except KubeError as error:
            log.debug("status not written: %s", error.message, extra={"canary": f"{key.name}.{key.namespace}"})

    def failures(self, key: Ref) -> int:
        """Count one more failed look in a row."""
        memory = self._memories.get(key)
        if memory is None:
            return 1
        memory.failures += 1
        return memory.failures

    def interval(self, key: Ref) -> float:
        """Seconds between the ticks of a Canary."""
        canary = self._reader.last(key)
        text = canary.spec.analysis.interval if canary is not None else ""
        return interval_of(text, self.settings.interval_floor)

    def forget(self, key: Ref) -> None:
        """A Canary is gone: nothing of it is kept."""
        self._memories.pop(key, None)
        self._draining.forget(key)
        canary = self._reader.last(key)
        self._reader.forget(key)
        self._library.forget(key)
        self._cache.release(key)
        if canary is not None:
            self._telemetry.forget(canary)
            self._newsroom.forget(canary.uid)

    def read(self, key: Ref, manifest: Manifest) -> Canary:
        """The Canary of a manifest, whatever is wrong with its spec."""
        return self._reader.read(key, manifest).canary

    def _anybody(self) -> Providers:
        """Providers for a Canary whose own cannot be told; nothing is ever looked at or written through them."""
        return Providers(registry.mesh("kubernetes"), registry.workload("Deployment", "apps/v1"), None)

    def _keep(self, canary: Canary, before: Canary, news: tuple[News, ...], plan: Plan) -> None:
        key = self._key(canary)
        memory = self._memories[key]
        untold = tuple(memory.untold(news, self._clock.ticks()))
        edition = Edition(canary, before.status.phase, untold, self._clock.now(), plan.afterwards)
        self._editions.setdefault(key, []).append(edition)

    def _key(self, canary: Canary) -> Ref:
        return key_of(canary.namespace, canary.name)


def key_of(namespace: str, name: str) -> Ref:
    """The name of a Canary."""
    return Ref(CANARY, namespace, name)
