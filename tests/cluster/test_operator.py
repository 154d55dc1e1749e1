"""The operator as a process under its own account: starting, counting its requests, ending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cluster.client import Client, path
from cluster.fixtures import Cluster
from cluster.namespaces import until
from cluster.operator import Account, Operator
from cluster.prometheus import Prometheus
from gradatim.ports.objects import CANARY, CONFIG_MAP

Operators = Callable[..., Awaitable[Operator]]


@pytest.mark.asyncio
async def test_it_starts_reads_and_asks_for_nothing_that_it_may_not(
    operators: Operators, prometheus: Prometheus
) -> None:
    operator = await operators(metrics_server=prometheus.url, mesh_provider="nginx")

    async def watches() -> bool:
        return ("flagger.app", "canaries", "watch") in operator.audit.used()

    await until(watches, "a watch of Canaries in the audit log")
    requests = operator.audit.requests()
    assert {request.user for request in requests} == {operator.account.user}
    assert operator.audit.forbidden() == []
    assert operator.audit.used() <= operator.account.granted()


@pytest.mark.asyncio
async def test_an_idle_operator_asks_nothing(operators: Operators, prometheus: Prometheus, namespace: str) -> None:
    operator = await operators(metrics_server=prometheus.url, mesh_provider="nginx", namespace=namespace)
    await asyncio.sleep(2)
    operator.audit.mark()
    await asyncio.sleep(3)
    assert operator.audit.per_verb() == {}


@pytest.mark.asyncio
async def test_it_ends_when_asked_to(operators: Operators, prometheus: Prometheus) -> None:
    operator = await operators(metrics_server=prometheus.url, mesh_provider="nginx")
    assert operator.stop() == 0, operator.log()


@pytest.mark.asyncio
async def test_what_is_not_granted_is_seen_in_the_audit_log(cluster: Cluster, admin: Client, namespace: str) -> None:
    """The log is what decides whether the shipped role is complete, so it must show refusals and writes alike."""
    from cluster.audit import Audit

    account = await Account.install(cluster.plane, admin)
    audit = Audit(cluster.plane.audit, account.user)
    async with Client(await account.credentials(admin)) as client:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}
        assert (await client.ask("POST", path(CONFIG_MAP, namespace), body)).status == 201
        assert (await client.ask("DELETE", path(CONFIG_MAP, namespace, "mine"))).status == 403
        assert (await client.ask("GET", path(CANARY, namespace, "none"))).status == 404
        async with client.watching(path(CONFIG_MAP, namespace)):
            pass
    assert {(request.verb, request.resource, request.code) for request in audit.requests()} == {
        ("create", "configmaps", 201),
        ("delete", "configmaps", 403),
        ("get", "canaries", 404),
        ("watch", "configmaps", 200),
    }
    (refused,) = audit.forbidden()
    assert (refused.verb, refused.name, refused.namespace) == ("delete", "mine", namespace)
    assert audit.used() == {
        ("", "configmaps", "create"),
        ("flagger.app", "canaries", "get"),
        ("", "configmaps", "watch"),
    }
    assert [request.writes for request in audit.requests()].count(True) == 2
    audit.mark()
    assert audit.requests() == []
