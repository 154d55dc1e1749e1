"""Contract: what leader election stands on."""

from __future__ import annotations

import asyncio

import pytest

from cluster.contract.servers import Server
from gradatim.ports.objects import LEASE, Manifest

SPEC: Manifest = {
    "holderIdentity": "one",
    "leaseDurationSeconds": 15,
    "acquireTime": "2026-01-02T03:04:05.678901Z",
    "renewTime": "2026-01-02T03:04:05.678901Z",
    "leaseTransitions": 0,
}


@pytest.mark.asyncio
async def test_a_lease_keeps_microseconds(server: Server) -> None:
    created = await server.create(LEASE, "leader", spec=SPEC)
    assert created["spec"] == SPEC
    assert (await server.get(LEASE, "leader"))["spec"] == SPEC


@pytest.mark.asyncio
async def test_times_need_their_fraction(server: Server) -> None:
    answer = await server.refusal(LEASE, "leader", spec={"renewTime": "2026-01-02T03:04:05Z"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.asyncio
async def test_of_two_that_create_it_one_wins(server: Server) -> None:
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": SPEC}
    answers = await asyncio.gather(*(server.client.ask("POST", server.path(LEASE), body) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


@pytest.mark.asyncio
async def test_of_two_that_take_it_over_one_wins(server: Server) -> None:
    seen = await server.create(LEASE, "leader", spec=SPEC)
    wishes = [{**seen, "spec": {**SPEC, "holderIdentity": name, "leaseTransitions": 1}} for name in ("two", "three")]
    answers = await asyncio.gather(*(server.client.ask("PUT", server.path(LEASE, "leader"), wish) for wish in wishes))
    assert sorted(answer.status for answer in answers) == [200, 409]
    (won,) = [answer for answer in answers if answer.ok]
    assert (await server.get(LEASE, "leader"))["spec"] == won.body["spec"]


@pytest.mark.asyncio
async def test_a_renewal_of_what_was_taken_over_loses(server: Server) -> None:
    """The old leader holds an old version, whatever it believes."""
    old = await server.create(LEASE, "leader", spec=SPEC)
    taken = {**old, "spec": {**SPEC, "holderIdentity": "two", "leaseTransitions": 1}}
    assert (await server.client.ask("PUT", server.path(LEASE, "leader"), taken)).ok
    renewed = {**old, "spec": {**SPEC, "renewTime": "2026-01-02T03:04:15.678901Z"}}
    answer = await server.client.ask("PUT", server.path(LEASE, "leader"), renewed)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await server.get(LEASE, "leader"))["spec"]["holderIdentity"] == "two"


@pytest.mark.asyncio
async def test_a_takeover_is_seen_by_those_who_watch(server: Server) -> None:
    seen = await server.create(LEASE, "leader", spec=SPEC)
    params = {"resourceVersion": seen["metadata"]["resourceVersion"], "fieldSelector": "metadata.name=leader"}
    async with server.client.watching(server.path(LEASE), **params) as events:
        body = {**seen, "spec": {**SPEC, "holderIdentity": "two"}}
        await server.client.must("PUT", server.path(LEASE, "leader"), body)
        async with asyncio.timeout(10):
            event = await anext(events)
    assert (event["type"], event["object"]["spec"]["holderIdentity"]) == ("MODIFIED", "two")


@pytest.mark.asyncio
async def test_giving_it_back_leaves_an_empty_holder(server: Server) -> None:
    seen = await server.create(LEASE, "leader", spec=SPEC)
    released = {**SPEC, "holderIdentity": "", "leaseDurationSeconds": 1}
    answer = await server.client.ask("PUT", server.path(LEASE, "leader"), {**seen, "spec": released})
    assert answer.ok, answer.message
    assert answer.body["spec"].get("holderIdentity", "") == ""


@pytest.mark.asyncio
async def test_a_lease_of_no_duration_is_refused(server: Server) -> None:
    answer = await server.refusal(LEASE, "leader", spec={**SPEC, "leaseDurationSeconds": 0})
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0" in answer.message
    answer = await server.refusal(LEASE, "leader", spec={"leaseTransitions": -1})
    assert "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0" in answer.message
