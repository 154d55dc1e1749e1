"""Operators with one right less than we ship: what they are refused, and what they say."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial

from cluster.namespaces import until
from cluster.operator import Account, Grant, Operator
from cluster.stories.servers import Servers
from cluster.stories.telling import PATIENCE, Telling
from cluster.stories.timeline import Timeline
from gradatim.ports.objects import LEASE, Manifest

OWNING: Grant = ("flagger.app", "canaries/finalizers", "update")
"""Never asked for: the API server looks at it when an object is made whose owner reference blocks a deletion."""

TAKEN: tuple[Grant, ...] = (
    ("", "services", "create"),
    ("networking.k8s.io", "ingresses", "patch"),
    ("flagger.app", "canaries/status", "patch"),
    OWNING,
    (LEASE.group, LEASE.plural, "create"),
)


@dataclass(frozen=True)
class Lacked:
    """What became of one right that was taken away."""

    refused: set[Grant]
    log: str


async def lacking(servers: Servers, story: Timeline, taken: Grant) -> Lacked:
    """Play a story until the operator has been refused something, and has said so."""
    telling = Telling(servers, story, f"lacking-{secrets.token_hex(3)}")
    account = await Account.install(servers.plane, servers.admin, change=partial(_without, taken))
    flags = {**servers.flags(), "namespace": telling.namespace}
    if taken[1] == LEASE.plural:
        flags = servers.candidate(account)
    operator = await Operator.start(servers.plane, servers.admin, account, flags)
    playing = asyncio.create_task(telling.play())
    try:
        refused = await until(partial(_refused, operator), f"a refusal for want of {taken}", PATIENCE)
        await until(partial(_said, operator), f"a word about the want of {taken}", PATIENCE)
        return Lacked(refused, operator.log())
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        operator.kill()


async def _refused(operator: Operator) -> set[Grant] | None:
    operator.process.check()
    return {(one.group, one.resource, one.verb) for one in operator.audit.forbidden()} or None


async def _said(operator: Operator) -> bool:
    return "forbidden" in operator.log()


def _without(taken: Grant, role: Manifest) -> Manifest:
    """The role without one right."""
    group, resource, verb = taken
    rules = []
    for rule in role["rules"]:
        if group not in rule["apiGroups"] or resource not in rule["resources"] or verb not in rule["verbs"]:
            rules.append(rule)
            continue
        others = [one for one in rule["resources"] if one != resource]
        verbs = [one for one in rule["verbs"] if one != verb]
        rules += [{**rule, "resources": others}] if others else []
        rules += [{**rule, "resources": [resource], "verbs": verbs}] if verbs else []
    return {**role, "rules": rules}
