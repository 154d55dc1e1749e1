"""The composition root: every part of the operator is made here and nowhere else, in production and in tests alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from gradatim.core.settings import Settings
from gradatim.engine.actions import Hands
from gradatim.engine.alerts import Alerts
from gradatim.engine.census import Census
from gradatim.engine.clock import Clock
from gradatim.engine.crew import Crew
from gradatim.engine.draining import Draining
from gradatim.engine.endpoints import Endpoints
from gradatim.engine.hooks import Caller
from gradatim.engine.library import Library
from gradatim.engine.measuring import Measuring
from gradatim.engine.newsroom import Newsroom
from gradatim.engine.operator import Operator
from gradatim.engine.questions import Answers
from gradatim.engine.recorder import Recorder
from gradatim.engine.telemetry import Telemetry
from gradatim.engine.waiting import Sleep
from gradatim.engine.writing import Writer
from gradatim.kube.cache import Cache
from gradatim.kube.client import Client
from gradatim.kube.limiter import Limiter
from gradatim.kube.transport import Transport
from gradatim.ports.http import Http
from gradatim.ports.notifier import Address, Notifier
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE, Ref

VERSION = "0.1.0"
USER_AGENT = f"gradatim/{VERSION}"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator is given from outside."""

    transport: Transport
    http: Http
    news: Http
    """For those who are only told: a slow one must not take the connections of those who are asked."""
    clock: Clock
    sleep: Sleep = asyncio.sleep
    namespace: str = ""
    qps: float = 0.0
    burst: int = 250
    fence: Callable[[], None] | None = None
    event_webhook: str = ""
    everywhere: tuple[Notifier, Address] | None = None
    """The room for alerts of Canaries that name none."""


class Parts(msgspec.Struct, frozen=True):
    """The parts that the program around the operator deals with."""

    client: Client
    cache: Cache
    telemetry: Telemetry
    newsroom: Newsroom
    operator: Operator


def assemble(settings: Settings, world: World) -> Parts:
    """An operator, ready to run, that has not asked anybody anything yet."""
    clock = world.clock
    limiter = Limiter(world.qps, world.burst, clock.ticks)
    client = Client(world.transport, limiter, clock.ticks, USER_AGENT, fence=world.fence)

    def changed(ref: Ref, owners: frozenset[Ref]) -> None:
        """The one knot in the wiring: the cache reports to the operator, which reads from the cache."""
        operator.changed(ref, owners)

    cache = Cache(client, clock.ticks, world.namespace, changed)
    census = Census()
    library = Library(cache)
    telemetry = Telemetry(VERSION, settings.mesh_provider)
    telemetry.census(census.count)
    newsroom = Newsroom(
        recorder=Recorder(client),
        alerts=Alerts(settings, library, world.news, world.everywhere),
        caller=Caller(http=world.news, library=library, clock=clock, sleep=world.sleep),
        now=clock.now,
        event_webhook=world.event_webhook,
    )
    writer, measuring = Writer(client, cache), Measuring(library, world.http)
    draining = Draining(measuring, clock.ticks)
    crew = Crew(
        settings=settings,
        cache=cache,
        library=library,
        answers=Answers(
            library=library,
            census=census,
            endpoints=Endpoints(client),
            draining=draining,
            measuring=measuring,
            caller=Caller(http=world.http, library=library, clock=clock, sleep=world.sleep),
            telemetry=telemetry,
        ),
        draining=draining,
        hands=Hands(writer, world.sleep),
        writer=writer,
        newsroom=newsroom,
        telemetry=telemetry,
        clock=clock,
    )
    operator = Operator(cache, crew, census, library, clock.ticks)
    return Parts(client, cache, telemetry, newsroom, operator)


def follow(cache: Cache) -> None:
    """Begin to watch the three kinds that are ours."""
    for resource in (METRIC_TEMPLATE, ALERT_PROVIDER, CANARY):
        cache.watch_all(resource)
