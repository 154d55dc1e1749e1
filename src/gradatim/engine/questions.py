"""Answers: each question of the core, put to the live objects or to the world outside."""

from __future__ import annotations

from typing import Any

import msgspec

from gradatim.api.canary import Canary
from gradatim.api.payloads import hook_payload
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Readiness, Ready, Waiting
from gradatim.core.timing import waited_since
from gradatim.core.verdict import (
    CanaryReady,
    Formed,
    HookSays,
    Incomplete,
    Known,
    LiveRoutes,
    Measure,
    PrimaryReady,
    Question,
    Quiet,
    References,
    Repointed,
    Serving,
    Settled,
    Shape,
    SourcesOnline,
    Target,
    TargetSeen,
    Trouble,
    WhoServes,
)
from gradatim.core.weights import Routes
from gradatim.engine import forms
from gradatim.engine.census import Census
from gradatim.engine.draining import Draining
from gradatim.engine.endpoints import Endpoints
from gradatim.engine.hooks import Caller
from gradatim.engine.library import Library
from gradatim.engine.measuring import Measuring
from gradatim.engine.site import Site
from gradatim.engine.telemetry import Telemetry
from gradatim.ports.errors import Missing, ProviderError


class Answers:
    """Finds answers; what cannot be found out is an answer too."""

    def __init__(
        self,
        *,
        library: Library,
        census: Census,
        endpoints: Endpoints,
        draining: Draining,
        measuring: Measuring,
        caller: Caller,
        telemetry: Telemetry,
    ) -> None:
        self._library = library
        self._census = census
        self._endpoints = endpoints
        self._draining = draining
        self._measuring = measuring
        self._caller = caller
        self._telemetry = telemetry

    async def answer(self, known: Known, site: Site, question: Question[Any]) -> Any:
        """The answer to one question."""
        match question:
            case Target():
                return self._target(site)
            case Formed():
                return self._formed(site)
            case PrimaryReady():
                return self._ready(known, site, primary=True)
            case CanaryReady():
                return self._ready(known, site, primary=False)
            case WhoServes():
                return self._serving(site)
            case LiveRoutes():
                return self._routes(site)
            case Settled():
                return self._settled(site)
            case Repointed(primary):
                return await self._endpoints.repointed(site, primary=primary)
            case Quiet(primary):
                return await self._draining.quiet(site, primary=primary)
            case References():
                return await self._references(known, site)
            case SourcesOnline():
                text = await self._measuring.online(site)
                return Ready() if text is None else Trouble(text)
            case HookSays():
                return await self._hook(known, site, question)
            case Measure():
                return await self._measure(known, site, question)
        raise TypeError(f"nobody answers {question!r}")

    def _target(self, site: Site) -> TargetSeen | Trouble:
        if site.facts is None:
            return Trouble(site.trouble, site.fix)
        if site.facts.lacking:
            return Incomplete(site.facts.lacking, Missing.fix)
        return TargetSeen(site.facts.revision, site.facts.configs, site.facts.running)

    def _formed(self, site: Site) -> Shape:
        return forms.shape(site)

    def _ready(self, known: Known, site: Site, *, primary: bool) -> Readiness:
        since = waited_since(known, PrimaryReady() if primary else CanaryReady())
        workload = site.providers.kind.workload
        try:
            return workload.ready(site.scene, site.seen, primary=primary, now=known.now, since=since)
        except ProviderError as error:
            return Absent(error.message)

    def _serving(self, site: Site) -> Serving:
        workload = site.providers.kind.workload
        primary = workload.primary(site.canary)
        return Serving(
            primary=site.serves(primary),
            canary=site.serves(workload.target(site.canary)),
            abrupt=workload.abrupt(site.canary, site.seen),
        )

    def _routes(self, site: Site) -> Routes | Trouble:
        try:
            return site.providers.mesh.router.routes(site.scene, site.seen)
        except ProviderError as error:
            return Trouble(error.message, error.fix)

    def _settled(self, site: Site) -> Ready | Waiting:
        try:
            return site.providers.mesh.router.settled(site.scene, site.seen)
        except ProviderError as error:
            return Waiting(error.message)

    async def _references(self, known: Known, site: Site) -> tuple[Problem, ...]:
        missing = await self._library.problems(site.key, known.canary)
        return (*self._census.problems(site.key), *missing)

    async def _hook(self, known: Known, site: Site, question: HookSays) -> HookPassed | HookFailed:
        hook, subject = known.canary.spec.analysis.webhooks[question.index], known.canary
        if hook.kind == "confirm-rollout":
            subject = _about_to_run(known.canary, self._target(site))
        return await self._caller.call(known.canary, hook, hook_payload(subject, hook, question.phase))

    async def _measure(self, known: Known, site: Site, question: Measure) -> Value | NoValues | QueryFailed:
        metric = known.canary.spec.analysis.metrics[question.index]
        found = await self._measuring.measure(site, metric, known.now, template=question.template)
        if isinstance(found, Value):
            self._telemetry.measured(known.canary, metric, found.value)
        return found


def _about_to_run(canary: Canary, seen: TargetSeen | Trouble) -> Canary:
    """The Canary as its next run will find it: whoever is asked to approve must be told of what will be released."""
    if isinstance(seen, Trouble):
        return canary
    status = msgspec.structs.replace(canary.status, last_applied_spec=seen.revision, tracked_configs=seen.configs)
    return msgspec.structs.replace(canary, status=status)
