"""`kubectl logs`: what pods have written, as the API server hands it out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gradatim.ports.objects import Ref
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.pods.runner import PodRunner
from gradatim.sim.rest.messages import Request
from gradatim.sim.store import Store


class PodLogs:
    """Give one to `Api(store, logs=…)`. Understands `tailLines` and `follow`."""

    def __init__(self, store: Store, runner: PodRunner) -> None:
        self.store = store
        self.runner = runner

    def __call__(self, namespace: str, name: str, request: Request) -> str | AsyncIterator[bytes]:
        """A pod's log as text, or as a stream that goes on until the pod ends."""
        pod = self.store.peek(Ref(POD, namespace, name))
        if pod is None:
            return ""
        uid, asked = pod["metadata"]["uid"], request.first("tailLines")
        tail = int(asked) if asked.isdigit() else None
        if request.flag("follow"):
            return self._following(uid, tail)
        return "".join(f"{line}\n" for line in self.runner.logs(uid, tail))

    async def _following(self, uid: str, tail: int | None) -> AsyncIterator[bytes]:
        async for line in self.runner.follow(uid, tail):
            yield f"{line}\n".encode()
