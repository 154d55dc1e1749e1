"""Leader election on a Lease, with the rules of client-go, so that instances of either program can share one.

One instance leads; it writes its name and the time into the Lease every few seconds. Others take over when they have
seen no change for the lease's duration, by their own clock: clocks of different machines are never compared.

The leader must stop before the others may start. `fence` is called before every write of the operator, and refuses when
the last successful renewal is longer ago than the renew deadline: by the monotonic clock, which a frozen process finds
far ahead when it wakes up, and by the wall clock, which also notices a machine that was suspended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

from gradatim.kube.client import Client
from gradatim.kube.errors import KubeError, LeaseLost, NotFound
from gradatim.ports.objects import LEASE, Manifest, Ref

log = logging.getLogger(__name__)

NAME = "flagger-leader-election"


class Terms(msgspec.Struct, frozen=True):
    """Seconds: how long a lease is good for others, for ourselves without renewal, and between two tries."""

    duration: float = 60.0
    renew_deadline: float = 15.0
    retry: float = 5.0


class Lease:
    """One instance's part in the election.

    `client` must not be fenced by this lease, and should have a rate limit of its own, so that a crowd of requests
    cannot cost the lease. `on_holder` hears the identity of every new leader, `on_lost` that it is us no more.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        identity: str = "",
        name: str = NAME,
        terms: Terms = Terms(),  # noqa: B008 (frozen)
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_holder: Callable[[str], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity or f"{socket.gethostname()}_{uuid.uuid4()}"
        self.holder = ""
        """Who leads, as far as we have seen."""
        self._client = client
        self._ref = Ref(LEASE, namespace, name)
        self._terms = terms
        self._clock = clock
        self._wall = wall
        self._on_holder = on_holder
        self._on_lost = on_lost
        self._chance = chance
        self._observed: Manifest | None = None
        self._observed_at = 0.0
        self._renewed: tuple[float, float] | None = None
        """When the last successful renewal was sent, by both clocks; None while we do not lead."""

    @property
    def leading(self) -> bool:
        """Whether we hold the lease and it is good."""
        return self._why_not() is None

    def fence(self) -> None:
        """Raise LeaseLost unless we certainly lead at this moment."""
        if why := self._why_not():
            raise LeaseLost(why)

    async def acquire(self) -> None:
        """Wait until we lead."""
        while True:
            try:
                if await self._attempt(self._terms.renew_deadline):
                    return
            except (KubeError, TimeoutError) as error:
                log.warning("the lease could not be acquired", extra={"lease": str(self._ref), "error": str(error)})
            await asyncio.sleep(self._terms.retry * (1 + 0.2 * self._chance()))

    async def hold(self) -> NoReturn:
        """Renew until the lease is lost, then raise LeaseLost."""
        pause = self._terms.retry
        try:
            while True:
                await asyncio.sleep(max(0.0, min(pause, self._left())))
                left = self._left()
                if left <= 0:
                    raise LeaseLost(self._why_not() or f"the lease {self._ref} was not renewed in time")
                renewed = await self._renew(min(left, self._terms.retry))
                pause = self._terms.retry if renewed else self._terms.retry / 5
        except LeaseLost:
            self._renewed = None
            log.error("Leadership lost", extra={"lease": str(self._ref), "holder": self.holder})
            if self._on_lost is not None:
                self._on_lost()
            raise

    async def release(self) -> None:
        """Stop leading, and let the next one start at once. From here on the fence is closed, whatever happens."""
        led, self._renewed = self._renewed is not None, None
        if not led or self._observed is None:
            return
        spec = {**_spec(self._observed), "holderIdentity": "", "leaseDurationSeconds": 1}
        spec["renewTime"] = spec["acquireTime"] = self._timestamp()
        try:
            async with asyncio.timeout(self._terms.retry):
                await self._client.replace(self._ref, {**self._observed, "spec": spec})
        except (KubeError, TimeoutError) as error:
            log.warning("the lease could not be released", extra={"lease": str(self._ref), "error": str(error)})

    async def _renew(self, timeout: float) -> bool:
        """Try to renew; return whether that worked, and raise LeaseLost if it never will."""
        try:
            if not await self._attempt(timeout):
                raise LeaseLost(f"{self.holder} holds the lease {self._ref} now")
        except (KubeError, TimeoutError) as error:
            log.warning("the lease could not be renewed", extra={"lease": str(self._ref), "error": str(error)})
            return False
        return True

    async def _attempt(self, timeout: float) -> bool:
        """Look at the lease and take or renew it if it is ours, free or expired; return whether we lead.

        The time that counts is when we started: an answer may have been on its way for long.
        """
        started = (self._clock(), self._wall())
        async with asyncio.timeout(timeout):
            try:
                self._observe(await self._client.get(self._ref))
            except NotFound as error:
                if not error.served:
                    raise
                self._observe(await self._client.create(self._ref, self._new()))
            else:
                if not self._may_take():
                    return False
                self._observe(await self._client.replace(self._ref, self._claimed()))
        self._renewed = started
        return True

    def _observe(self, lease: Manifest) -> None:
        """Remember the lease and, if it says something new, when we saw that."""
        if self._observed is None or _spec(lease) != _spec(self._observed):
            self._observed_at = self._clock()
        self._observed = lease
        holder = str(_spec(lease).get("holderIdentity") or "")
        if holder != self.holder:
            self.holder = holder
            if holder and self._on_holder is not None:
                self._on_holder(holder)

    def _may_take(self) -> bool:
        if self.holder in ("", self.identity):
            return True
        duration = _spec(self._observed).get("leaseDurationSeconds")
        good_for = float(duration) if isinstance(duration, int) else self._terms.duration
        return self._clock() >= self._observed_at + good_for

    def _new(self) -> Manifest:
        now = self._timestamp()
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._ref.name, "namespace": self._ref.namespace},
            "spec": {**self._claim(now), "acquireTime": now, "leaseTransitions": 0},
        }

    def _claimed(self) -> Manifest:
        """The lease as we saw it, with us as the holder. Its version inside makes sure that nobody came before us."""
        now = self._timestamp()
        spec = {**_spec(self._observed), **self._claim(now)}
        if self.holder != self.identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        return {**(self._observed or {}), "spec": spec}

    def _claim(self, now: str) -> Manifest:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._terms.duration),
            "renewTime": now,
        }

    def _left(self) -> float:
        """Seconds until our own deadline."""
        if self._renewed is None:
            return 0.0
        return self._renewed[0] + self._terms.renew_deadline - self._clock()

    def _why_not(self) -> str | None:
        """Why nothing may be written now, if that is so."""
        if self._renewed is None:
            return f"this instance does not hold the lease {self._ref}"
        since = self._clock() - self._renewed[0]
        if since > self._terms.renew_deadline:
            return f"the lease {self._ref} was last renewed {since:.0f} s ago"
        since = self._wall() - self._renewed[1]
        if since > self._terms.renew_deadline:
            return f"the lease {self._ref} was last renewed {since:.0f} s ago by the wall clock"
        return None

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _spec(lease: Manifest | None) -> dict[str, Any]:
    spec = lease.get("spec") if lease else None
    return spec if isinstance(spec, dict) else {}
