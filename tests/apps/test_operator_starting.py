"""Starting the operator where something is missing: what it says, and that it ends. And what lets it go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apps.program import Program, place, shop
from gradatim.api.errors import GradatimError
from gradatim.apps import operator
from gradatim.apps.flags import parse
from gradatim.apps.manifests import crds
from gradatim.apps.wiring import World, assemble, follow
from gradatim.core.settings import Settings
from gradatim.kube.client import Client
from gradatim.kube.errors import Unavailable
from gradatim.kube.lease import Lease
from gradatim.kube.limiter import Limiter
from gradatim.kube.paths import object_path
from gradatim.ports.http import HttpRequest, HttpResponse
from gradatim.ports.objects import LEASE, Ref
from gradatim.sim.api import Fault, Request
from gradatim.sim.refusals import Refused
from simulated import Cluster, simulated
from simulated.lifeline import Lifeline
from simulated.outside import PROMETHEUS, Connection
from simulated.wire import Wire

Clock = Callable[[], float]


async def last_word(program: Program) -> str:
    """The one fatal sentence of a program that ends with 1."""
    assert await program.ended() == 1
    last = program.lines()[-1]
    assert last["level"] == "fatal"
    assert "stacktrace" not in last
    text: str = last["msg"]
    return text


@pytest.mark.asyncio
async def test_a_missing_definition_is_told_in_flaggers_words(tmp_path: Path) -> None:
    async with place(tmp_path, defined=False) as there:
        told = await last_word(there.start())
        assert told == (
            "Canary CRD is not registered the cluster does not serve canaries.flagger.app "
            "(flagger.app/v1beta1 Canary): install its CustomResourceDefinition or correct the apiVersion"
        )


@pytest.mark.asyncio
async def test_an_account_without_rights_is_told_in_flaggers_words_too(tmp_path: Path) -> None:
    sentence = 'metrictemplates.flagger.app is forbidden: User "nobody" cannot list resource "metrictemplates"'
    async with place(tmp_path) as there:
        no = Refused(403, "Forbidden", sentence)
        there.api.faults.append(Fault(when=lambda request: "metrictemplates" in request.path, times=None, refuse=no))
        assert await last_word(there.start()) == f"MetricTemplate CRD is not registered {sentence}"


@pytest.mark.asyncio
async def test_an_unknown_mesh_is_told_with_the_known_ones(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        told = await last_word(there.start("-mesh-provider=ngnix"))
        assert told.startswith("-mesh-provider: unknown mesh provider ngnix; known are: gatewayapi:v1, ")
        assert "nginx" in told


@pytest.mark.asyncio
async def test_without_a_mesh_provider_only_canaries_that_name_none_are_refused(tmp_path: Path) -> None:
    """The default is Istio, as in Flagger. Who names a mesh in every Canary does not need the flag."""
    async with place(tmp_path) as there:
        program = there.start("-mesh-provider=istio")
        deployment, ingress, canary = shop()
        canary["spec"]["provider"] = "nginx"
        await there.create(deployment, ingress, canary)
        await there.phase("Initialized")
        (warning,) = [line["msg"] for line in program.lines() if line["level"] == "warn"]
        assert "unknown mesh provider istio" in warning
        assert "set -mesh-provider, or spec.provider of every Canary" in warning


@pytest.mark.asyncio
async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        told = await last_word(there.start("-master=", f"-kubeconfig={tmp_path}/nowhere"))
        assert told == f"{tmp_path}/nowhere: No such file or directory; give the path of a kubeconfig"


@pytest.mark.asyncio
async def test_a_kubeconfig_is_enough_to_find_the_cluster(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        program = there.start("-master=", f"-kubeconfig={there.kubeconfig()}")
        assert await program.get("/readyz") == (200, "OK")


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        port = there.url.rpartition(":")[2]
        told = await last_word(there.start(f"-port={port}"))
        assert told.startswith(f"-port={port}: nothing can be served there (")


@pytest.mark.asyncio
async def test_a_metrics_server_that_does_not_answer_is_told_and_holds_nothing_up(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        program = there.start("-metrics-server=http://me:HIDDEN@127.0.0.1:9")
        await there.create(*shop())
        await there.phase("Initialized")
        errors = [line["msg"] for line in program.lines() if line["level"] == "error"]
        assert errors[0].startswith("Metrics server http://me:xxxxx@127.0.0.1:9 unreachable ")
        assert not [text for text in program.messages() if "HIDDEN" in text]


@pytest.mark.asyncio
async def test_a_room_without_a_channel_is_told_and_holds_nothing_up(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        program = there.start("-slack-url=http://127.0.0.1:9/")
        await there.create(*shop())
        await there.phase("Initialized")
        errors = [line["msg"] for line in program.lines() if line["level"] == "error"]
        assert errors[0] == "Notifier empty Slack channel: set -slack-channel"


@pytest.mark.asyncio
async def test_a_metrics_server_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    async with place(tmp_path) as there, silence() as url:
        program = there.start(f"-metrics-server={url}")
        await there.create(*shop(metrics=[]))
        await there.phase("Initialized")
        assert not [text for text in program.messages() if "metrics server" in text.lower()]
        program.terminate()
        assert await program.ended() == 0


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """A server that takes connections and says nothing; gives its URL."""
    kept: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: kept.append(writer), "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        for writer in kept:
            writer.transport.abort()
        server.close()


@pytest.mark.asyncio
async def test_people_get_plain_lines(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        program = there.start("-zap-encoding=console", "-mesh-provider=ngnix")
        assert await program.ended() == 1
        text = program.process.log.read_text()
        assert " CRITICAL -mesh-provider: unknown mesh provider ngnix; known are: " in text


class Unreachable:
    """A transport to an API server that is not there."""

    def __init__(self) -> None:
        self.asked = 0

    async def request(self, method: str, path: str, *, timeout: float, **_: object) -> object:
        """No answer."""
        self.asked += 1
        raise Unavailable("https://10.0.0.1 cannot be reached: connection refused", unsent=True)


class Nobody:
    """An HTTP client that must not be needed."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Fail the test."""
        raise AssertionError(f"asked for {request.url}")


class Leader:
    """The operator in this process, on the cluster's clock, in an election."""

    def __init__(self, cluster: Cluster) -> None:
        lifeline = Lifeline()
        wire, ticks = Wire(cluster.api, lifeline), cluster.clock.ticks
        self.stop = asyncio.Event()
        self.lease = Lease(Client(wire, Limiter(0, 1), ticks, "test"), "default", clock=ticks, wall=cluster.clock.now)
        world = World(
            transport=wire,
            http=Connection(cluster.outside, lifeline),
            news=Connection(cluster.outside, lifeline),
            clock=cluster.clock,
            fence=self.lease.fence,
        )
        self.parts = assemble(Settings(mesh_provider="nginx", metrics_server=PROMETHEUS), world)

    async def work(self) -> int:
        """Until its end; the exit code."""
        follow(self.parts.cache)
        return await operator.attend(self.stop, self.parts, self.lease)


@pytest.mark.asyncio
async def test_an_api_server_that_is_down_is_waited_for_half_a_minute_and_then_told(virtual_time: Clock) -> None:
    """Nothing that a restart by the cluster would not repeat is done meanwhile."""
    down, given = Unreachable(), parse(["-port=0"], {})
    async with simulated() as cluster:
        began = virtual_time()
        with pytest.raises(GradatimError) as told:
            await operator.run(given, down, Nobody(), Nobody(), asyncio.Event(), clock=cluster.clock)
    assert told.value.message == (
        "the API server cannot be used: list canaries.flagger.app: "
        "https://10.0.0.1 cannot be reached: connection refused"
    )
    assert 20 < virtual_time() - began < 40
    assert 5 < down.asked < 50


@pytest.mark.asyncio
async def test_told_to_stop_while_it_waits_for_the_api_server_it_stops(virtual_time: Clock) -> None:
    stop, given = asyncio.Event(), parse(["-port=0"], {})
    async with simulated() as cluster:
        began = virtual_time()
        asyncio.get_running_loop().call_later(3, stop.set)
        assert await operator.run(given, Unreachable(), Nobody(), Nobody(), stop, clock=cluster.clock) == 0
    assert virtual_time() - began == pytest.approx(3, abs=0.1)


@pytest.mark.asyncio
async def test_it_is_not_ready_a_minute_after_it_lost_the_api_server(virtual_time: Clock) -> None:
    async with simulated() as cluster, cluster.operator() as process:
        await asyncio.sleep(5)
        assert operator.complaint(process.parts) == ""
        away = Fault(times=None, refuse=Refused(503, "ServiceUnavailable", "the server is away"))
        cluster.api.faults.append(away)
        cluster.api.close()
        await asyncio.sleep(50)
        assert operator.complaint(process.parts) == ""
        await asyncio.sleep(20)
        assert operator.complaint(process.parts) == "no connection to the API server for 70 s"
        cluster.api.faults.clear()
        await asyncio.sleep(60)
        assert operator.complaint(process.parts) == ""


@pytest.mark.asyncio
async def test_a_leader_whose_lease_is_taken_ends_with_an_error(
    virtual_time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with simulated() as cluster:
        leader = Leader(cluster)
        work = asyncio.create_task(leader.work())
        await asyncio.sleep(2)
        assert leader.lease.leading
        path = object_path(Ref(LEASE, "default", "flagger-leader-election"))
        patch = {"spec": {"holderIdentity": "somebody-else"}}
        taken = Request.to("PATCH", path, patch, content_type="application/merge-patch+json")
        assert (await cluster.api.handle(taken)).status == 200
        assert await work == 1
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told[-1].startswith("Leadership lost: somebody-else holds the lease")


@pytest.mark.asyncio
async def test_a_definition_that_is_taken_away_and_comes_back_ends_nothing(virtual_time: Clock) -> None:
    """Whoever reinstalls definitions must not have to restart the operator."""
    async with simulated() as cluster:
        leader = Leader(cluster)
        work = asyncio.create_task(leader.work())
        await asyncio.sleep(2)
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        gone = Request.to("DELETE", f"{path}/canaries.flagger.app")
        assert (await cluster.api.handle(gone)).status == 200
        await asyncio.sleep(120)
        definition = next(one for one in crds() if one["metadata"]["name"] == "canaries.flagger.app")
        cluster.define([definition])
        space = cluster.space("shop")
        await space.create(*shop())
        await space.phase("Initialized", within=200)
        leader.stop.set()
        assert await work == 0
