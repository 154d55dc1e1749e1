"""What the simulated kubelet asks of whoever really runs pods, and what it is told back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeAlias

import msgspec


class PodOrder(msgspec.Struct, frozen=True):
    """A pod to run. `ports` are where its containers and the Services that select it expect it to listen."""

    uid: str
    namespace: str
    name: str
    node: str
    address: str
    images: tuple[str, ...]
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    grace: float = 30.0


class PodState(msgspec.Struct, frozen=True):
    """How a pod is doing."""

    running: bool = False
    ready: bool = False
    stopped: bool = False
    """It was asked to stop and has."""
    restarts: int = 0
    waiting: str = ""
    """Why it does not run, as kubectl shows it: ContainerCreating, CrashLoopBackOff, …"""
    message: str = ""
    exit_code: int | None = None
    """How its last run ended."""


Report: TypeAlias = Callable[[PodState], None]


class PodRunner(Protocol):
    """Runs pods. Every change is reported through the callback given at the start, on the same event loop."""

    def address(self) -> str:
        """An address for a new pod that no other one has."""
        ...

    def start(self, order: PodOrder, report: Report) -> None:
        """Begin to run a pod."""
        ...

    def listen(self, uid: str, ports: tuple[int, ...]) -> None:
        """Make a running pod listen on exactly these ports; a Service may have come after the pod."""
        ...

    def stop(self, uid: str, grace: float) -> None:
        """End a pod: politely, and after `grace` seconds by force."""
        ...

    def logs(self, uid: str, tail: int | None = None) -> list[str]:
        """What the pod has written lately, or the last `tail` lines of it."""
        ...

    def follow(self, uid: str, tail: int | None = None) -> AsyncIterator[str]:
        """The same, and then every further line until the pod ends."""
        ...
