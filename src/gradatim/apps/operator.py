"""`gradatim operator`: the program that runs in a cluster. Flags in, parts wired, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gradatim.api.errors import GradatimError, UnknownProvider
from gradatim.api.metric_template import MetricProvider
from gradatim.apps import files, logs, probes, thrift
from gradatim.apps.flags import Flags, parse
from gradatim.apps.wiring import USER_AGENT, VERSION, Parts, World, assemble, follow
from gradatim.core.addresses import without_password
from gradatim.core.settings import Settings
from gradatim.engine.clock import Clock
from gradatim.engine.http import HttpClient
from gradatim.kube import auth
from gradatim.kube.client import Client
from gradatim.kube.errors import KubeError, LeaseLost, Unauthorized, Unavailable
from gradatim.kube.http import HttpTransport
from gradatim.kube.lease import Lease
from gradatim.kube.limiter import Limiter
from gradatim.kube.transport import Transport
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import Http
from gradatim.ports.notifier import Address, Notifier
from gradatim.ports.objects import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE
from gradatim.providers import registry

log = logging.getLogger(__name__)

FAREWELL = 5.0
"""Seconds that news which are on their way get to arrive when the operator stops."""


def main(argv: Sequence[str]) -> int:
    """Run the operator; return its exit code: 0 after a polite stop, 1 when it cannot go on."""
    flags = parse(argv)
    if flags["version"]:
        sys.stdout.write(f"Gradatim version {VERSION}, compatible with Flagger v1.44\n")
        return 0
    logs.configure(flags["log-level"], flags["zap-encoding"])
    try:
        return asyncio.run(_main(flags))
    except GradatimError as error:
        log.critical("%s", error.message)
        return 1


async def _main(flags: Flags) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _told_to_stop, stop)
    thrift.spare_the_collector()
    _check_mesh(flags["mesh-provider"])
    access = auth.load(flags["kubeconfig"], master=flags["master"])
    files.allow_all()
    transport = HttpTransport(access)
    try:
        async with HttpClient() as http, HttpClient() as news, _meanwhile(thrift.give_back()):
            return await run(flags, transport, http, news, stop)
    finally:
        await transport.close()


def _told_to_stop(stop: asyncio.Event) -> None:
    """The first signal asks for an orderly end, the second for one at once."""
    if stop.is_set():
        os._exit(1)
    stop.set()


def _check_mesh(name: str) -> None:
    """An unknown name ends the program here, with the list of known ones.

    Not so the default: who leaves the flag out may name a mesh in every Canary, and those who do not are told.
    """
    try:
        registry.mesh(name)
    except UnknownProvider as error:
        if name != Settings().mesh_provider:
            raise GradatimError(f"-mesh-provider: {error.message.removeprefix(f'{error.path}: ')}") from error
        log.warning("%s; set -mesh-provider, or spec.provider of every Canary", error.message)


async def run(
    flags: Flags, transport: Transport, http: Http, news: Http, stop: asyncio.Event, *, clock: Clock | None = None
) -> int:
    """Lead if need be, work until told to stop, and leave everything in order."""
    clock = clock or Clock()
    lease = _lease(flags, transport, clock) if flags["enable-leader-election"] else None
    parts = assemble(
        flags.settings(),
        World(
            transport=transport,
            http=http,
            news=news,
            clock=clock,
            namespace=flags["namespace"],
            qps=flags["kubeconfig-qps"],
            burst=flags["kubeconfig-burst"],
            fence=lease.fence if lease is not None else None,
            event_webhook=flags["event-webhook"],
            everywhere=_everywhere(flags),
        ),
    )
    if not await _before(stop, _installed(parts.client, flags["namespace"])):
        return 0
    log.info("Gradatim %s watches %s", VERSION, flags["namespace"] or "all namespaces")
    async with probes.serve(flags["port"], parts.telemetry, lambda: complaint(parts)) as port:
        log.info("serving /metrics, /healthz and /readyz on port %s", port)
        follow(parts.cache)
        async with _meanwhile(_probe(flags, http)):
            return await attend(stop, parts, lease)


async def _before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether some work came to its end before the program was told to stop."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Some work beside the block, for as long as the block lasts at most."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def attend(stop: asyncio.Event, parts: Parts, lease: Lease | None) -> int:
    """Work until `stop` is set (0), the lease is lost or a watch has ended for good (1)."""
    tasks = [asyncio.ensure_future(work) for work in (parts.cache.run(), _lead(parts, lease))]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        code = _outcome([task for task in tasks if task.done()])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.newsroom.drain(FAREWELL)
        if lease is not None:
            await lease.release()
        await parts.cache.close()
    log.info("stopped")
    return code


async def _lead(parts: Parts, lease: Lease | None) -> None:
    if lease is None:
        await parts.operator.run()
        return
    await lease.acquire()
    log.info("leading as %s", lease.identity)
    async with asyncio.TaskGroup() as group:
        group.create_task(lease.hold())
        group.create_task(parts.operator.run())


def _outcome(ended: Sequence[asyncio.Task[None]]) -> int:
    code = 0
    for task in ended:
        error = task.exception() if not task.cancelled() else None
        if error is None:
            continue
        code = 1
        for cause in _causes(error):
            if isinstance(cause, LeaseLost):
                log.error("Leadership lost: %s", cause.message)
            else:
                log.critical("the operator cannot go on: %s", cause, exc_info=cause)
    return code


def _causes(error: BaseException) -> list[BaseException]:
    """What a task group has gathered, one by one."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]


def _lease(flags: Flags, transport: Transport, clock: Clock) -> Lease:
    """The lease has a client of its own, so that no crowd of other requests delays its renewal."""
    client = Client(transport, Limiter(0, 1), clock.ticks, USER_AGENT, timeout=10.0)
    return Lease(
        client,
        flags["namespace"] or flags["leader-election-namespace"],
        on_holder=lambda identity: log.info("another instance has been elected as leader: %s", identity),
    )


async def _installed(client: Client, namespace: str) -> None:
    """End the program with a clear word when a CRD is missing or must not be read, or when nobody answers."""
    for resource in (CANARY, METRIC_TEMPLATE, ALERT_PROVIDER):
        try:
            await client.served(resource, namespace)
        except (Unavailable, Unauthorized) as error:
            raise GradatimError(f"the API server cannot be used: {error.message}") from error
        except KubeError as error:
            raise GradatimError(f"{resource.kind} CRD is not registered {error.message}") from error


async def _probe(flags: Flags, http: Http) -> None:
    """Say at the start whether the metrics server answers; Canaries may have servers of their own."""
    url = flags["metrics-server"]
    try:
        await registry.source("prometheus").build(MetricProvider("prometheus", url), None, "").online(http)
        log.info("Connected to metrics server %s", without_password(url))
    except ProviderError as error:
        log.error("Metrics server %s unreachable %s", without_password(url), error.message)


def _everywhere(flags: Flags) -> tuple[Notifier, Address] | None:
    """The room of the flags: Teams if set, else Slack; one that cannot be used is logged and left out."""
    if flags["msteams-url"]:
        address = Address(flags["msteams-url"], proxy=flags["msteams-proxy-url"])
        return registry.notifier("msteams"), address
    if not flags["slack-url"]:
        return None
    if not flags["slack-channel"]:
        log.error("Notifier empty Slack channel: set -slack-channel")
        return None
    address = Address(
        url=flags["slack-url"],
        channel=flags["slack-channel"],
        username=flags["slack-user"],
        token=flags["slack-token"],
        proxy=flags["slack-proxy-url"],
    )
    return registry.notifier("slack"), address


def complaint(parts: Parts) -> str:
    """Why the operator is not ready; empty when it is."""
    away = parts.cache.stale_seconds()
    return f"no connection to the API server for {away:.0f} s" if away > 60 else ""
