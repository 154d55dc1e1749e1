"""The operator as users run it: a process with flags, signals and a log, against an API server on a port."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.program import NAMESPACE, Place, place, shop, until
from cluster.hooks import Hooks
from gradatim.sim.api import Fault, Request


async def set_up(there: Place, **analysis: object) -> None:
    """The app with its Canary, ready for a first release."""
    await there.create(*shop(**analysis))
    await there.phase("Initialized")


@pytest.mark.asyncio
async def test_it_initializes_promotes_tells_and_stops(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        program = there.start()
        await set_up(there)
        await there.release("shop:2")
        await there.phase("Succeeded")
        assert there.image("shop-primary") == "shop:2"
        told = "Promotion completed! Scaling down shop.shop"
        await until(lambda: told in there.events(), told)
        assert "Advance shop.shop canary weight 50" in there.events()
        assert await program.get("/readyz") == (200, "OK")
        assert await program.get("/healthz") == (200, "OK")
        status, page = await program.get("/metrics")
        series = {
            (sample.name, sample.labels.get("name", "")): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
        assert status == 200
        assert series["flagger_canary_status", "shop"] == 1
        assert series["flagger_canary_successes_total", "shop"] == 1
        program.terminate()
        assert await program.ended(within=20) == 0
        lines = program.lines()
        assert {frozenset(line) - {"canary"} for line in lines} == {frozenset({"level", "ts", "caller", "msg"})}
        assert {line["level"] for line in lines} == {"info"}
        assert f"Connected to metrics server {there.prometheus.url}" in program.messages()
        assert {line.get("canary") for line in lines if line["msg"] == told} == {"shop.shop"}


@pytest.mark.asyncio
async def test_killed_in_the_middle_of_a_run_the_next_one_goes_on_from_there(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        first = there.start(name="first")
        await set_up(there, stepWeight=25)
        await there.release("shop:2")
        await until(lambda: "Advance shop.shop canary weight 25" in there.events(), "the first step")
        first.process.kill()
        assert await first.ended() == -signal.SIGKILL
        second = there.start(name="second")
        await there.phase("Succeeded")
        assert there.image("shop-primary") == "shop:2"
        assert there.events().count("Advance shop.shop canary weight 25") == 1
        assert there.events().count("New revision detected! Scaling up shop.shop") == 1
        assert "Advance shop.shop canary weight 50" in second.messages()


@pytest.mark.asyncio
async def test_told_to_stop_in_the_middle_of_a_step_it_finishes_the_step_and_no_more(tmp_path: Path) -> None:
    """The write of the new weights takes a second; the status that goes with them must follow before the end."""
    under_way = asyncio.Event()

    def shifting(request: Request) -> bool:
        found = request.method == "PATCH" and request.path.endswith("/ingresses/shop-canary")
        if found and b"canary-weight" in request.body:
            under_way.set()
            return True
        return False

    async with place(tmp_path) as there:
        program = there.start()
        await set_up(there)
        there.api.faults.append(Fault(when=shifting, delay=1.0))
        await there.release("shop:2")
        await asyncio.wait_for(under_way.wait(), 10)
        assert there.status()["canaryWeight"] == 0
        program.terminate()
        assert await program.ended(within=20) == 0
        assert there.status()["canaryWeight"] == 50
        assert there.status()["phase"] == "Progressing"
        assert "Advance shop.shop canary weight 50" in there.events()


@pytest.mark.asyncio
async def test_told_to_stop_while_a_hook_hangs_it_does_not_wait_for_it(tmp_path: Path) -> None:
    async with place(tmp_path) as there, Hooks() as hooks:
        hooks.delay = 20
        program = there.start()
        url = f"{hooks.address(NAMESPACE)}/gate"
        await set_up(there, webhooks=[{"name": "gate", "type": "pre-rollout", "url": url, "timeout": "30s"}])
        await there.release("shop:2")
        await until(lambda: hooks.calls, "a call of the hook")
        program.terminate()
        assert await program.ended(within=20) == 0
        assert there.status()["canaryWeight"] == 0


@pytest.mark.asyncio
async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """News that are on their way to somebody who does not answer would hold it for some seconds."""
    async with place(tmp_path) as there, Hooks() as hooks:
        hooks.delay = 20
        program = there.start(f"-event-webhook={hooks.address(NAMESPACE)}/events")
        await there.create(*shop())
        await until(lambda: hooks.calls, "an event on its way")
        program.terminate()
        program.process.signal(signal.SIGINT)
        assert await program.ended(within=20) == 1


@pytest.mark.asyncio
async def test_of_two_instances_one_leads_and_the_other_takes_over(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        flags = ("-enable-leader-election", "-leader-election-namespace=default")
        first = there.start(*flags, name="first")
        await until(there.leader, "a leader")
        leader = there.leader()
        second = there.start(*flags, name="second")
        await set_up(there)
        elected = f"another instance has been elected as leader: {leader}"
        await until(lambda: elected in second.messages(), elected)
        assert await second.get("/readyz") == (200, "OK")
        first.terminate()
        assert await first.ended(within=20) == 0
        await until(lambda: there.leader() not in ("", leader), "the next leader")
        await there.release("shop:2")
        await there.phase("Succeeded")
        assert "leading as " + there.leader() in second.messages()
        assert there.image("shop-primary") == "shop:2"
