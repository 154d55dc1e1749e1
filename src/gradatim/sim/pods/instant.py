"""Pods that only pretend: they become ready after a delay and end when asked. For tests on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count

import msgspec

from gradatim.sim.pods.runner import PodOrder, PodState, Report


def is_broken(image: str) -> bool:
    """Images called `broken`, in whatever registry, never become ready."""
    return image.rpartition("/")[2].partition(":")[0] == "broken"


class _Pod:
    def __init__(self, order: PodOrder, report: Report) -> None:
        self.order = order
        self.report = report
        self.state = PodState()
        self.timers: list[asyncio.TimerHandle] = []

    def tell(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        self.report(self.state)


class InstantPods:
    """Pods become ready `ready_after` seconds after their start, never if an image is among the `never_ready`.

    They take `stop_after` seconds to end, but no longer than their grace period.
    """

    def __init__(
        self,
        ready_after: float = 0.5,
        never_ready: Callable[[str], bool] = is_broken,
        *,
        stop_after: float = 0.0,
    ) -> None:
        self.ready_after = ready_after
        self.never_ready = never_ready
        self.stop_after = stop_after
        self._addresses = (f"10.244.{n // 250}.{n % 250 + 1}" for n in count())
        self._pods: dict[str, _Pod] = {}

    def address(self) -> str:
        """Addresses as in a cluster; nothing listens there."""
        return next(self._addresses)

    def start(self, order: PodOrder, report: Report) -> None:
        """Report the pod as running at once and as ready later; or that its image cannot be had."""
        pod = self._pods[order.uid] = _Pod(order, report)
        missing = next((image for image in order.images if self.never_ready(image)), None)
        if missing is not None:
            pod.tell(waiting="ImagePullBackOff", message=f'Back-off pulling image "{missing}"')
            return
        pod.tell(running=True)
        pod.timers.append(asyncio.get_running_loop().call_later(self.ready_after, lambda: pod.tell(ready=True)))

    def listen(self, uid: str, ports: tuple[int, ...]) -> None:
        """Pretended pods listen nowhere."""

    def stop(self, uid: str, grace: float) -> None:
        """Not ready from now on, gone a little later."""
        pod = self._pods.get(uid)
        if pod is None:
            return
        for timer in pod.timers:
            timer.cancel()
        if pod.state.ready:
            pod.tell(ready=False)
        after = min(self.stop_after, grace)
        pod.timers.append(asyncio.get_running_loop().call_later(after, lambda: self._end(uid)))

    def _end(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.tell(running=False, ready=False, stopped=True, exit_code=0)

    def logs(self, uid: str, tail: int | None = None) -> list[str]:
        """Pretended pods say nothing."""
        return []

    async def follow(self, uid: str, tail: int | None = None) -> AsyncIterator[str]:
        """And will say nothing."""
        for line in self.logs(uid, tail):
            yield line
