"""Kubernetes Events on Canaries: written in order, counted up when repeated, never dropped.

Flagger's client library merges and drops events of a busy object; the last words of a release are often lost that way.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from uuid import uuid4

from gradatim.api.canary import Canary
from gradatim.core.conditions import timestamp
from gradatim.core.news import Event
from gradatim.kube.client import Client
from gradatim.kube.errors import AlreadyExists, NotFound
from gradatim.ports.objects import CANARY, EVENT, Manifest, Ref

COMPONENT = "flagger"
REASON = "Synced"
AT_ONCE = 8
"""Events on their way at once: when a thousand Canaries have news, those do not stand in the way of their releases."""
REMEMBERED = 50
"""Different events a Canary can have before the oldest is written anew instead of being counted up."""


class Recorder:
    """Writes events; one that says the same as an earlier one of the Canary raises that one's count."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, OrderedDict[tuple[str, str], tuple[Ref, int]]] = {}
        self._line = asyncio.Semaphore(AT_ONCE)
        self._named_at = 0

    async def record(self, canary: Canary, event: Event, at: float) -> None:
        """Write one event of a Unix time; raises KubeError. Told again because of that, it is written once."""
        async with self._line:
            await self._record(canary, event, at)

    async def _record(self, canary: Canary, event: Event, at: float) -> None:
        known = self._known.setdefault(canary.uid, OrderedDict())
        key = ("Warning" if event.warning else "Normal", event.text)
        when = timestamp(at)
        ref, count = known.pop(key) if key in known else (self._named(canary, at), 0)
        known[key] = (ref, count)  # noted before it is sent: the answer may get lost
        if count:
            try:
                await self._client.patch(ref, {"count": count + 1, "lastTimestamp": when})
            except NotFound:  # expired after an hour, as events do
                ref, count = self._named(canary, at), 0
                known[key] = (ref, count)
        if not count:
            with suppress(AlreadyExists):
                await self._client.create(ref, _manifest(canary, ref.name, key, when))
        known[key] = (ref, count + 1)
        while len(known) > REMEMBERED:
            known.popitem(last=False)

    def forget(self, uid: str) -> None:
        """The Canary is gone."""
        self._known.pop(uid, None)

    def _named(self, canary: Canary, at: float) -> Ref:
        """A name that is later than those before, as Flagger's are: kubectl shows events of one second by name."""
        self._named_at = max(int(at * 1e9), self._named_at + 1)
        return Ref(EVENT, canary.namespace, f"{canary.name}.{self._named_at:016x}{uuid4().hex[:4]}")


def _manifest(canary: Canary, name: str, key: tuple[str, str], when: str) -> Manifest:
    kind, message = key
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": canary.namespace},
        "involvedObject": {
            "apiVersion": CANARY.api_version,
            "kind": CANARY.kind,
            "name": canary.name,
            "namespace": canary.namespace,
            "uid": canary.uid,
        },
        "reason": REASON,
        "message": message[:1024],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "type": kind,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
