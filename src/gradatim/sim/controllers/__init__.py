"""The controllers of the simulated cluster, wired together.

Everything a control plane beside the API server does for a release: Deployments, ReplicaSets, DaemonSets, scheduling,
kubelets, endpoints, autoscalers. Garbage collection is `sim.garbage`'s matter.
"""

from __future__ import annotations

from gradatim.ports.objects import Ref
from gradatim.sim.controllers.autoscalers import Autoscalers
from gradatim.sim.controllers.daemonsets import DaemonSets
from gradatim.sim.controllers.deployments import Deployments
from gradatim.sim.controllers.endpoints import Endpoints
from gradatim.sim.controllers.kubelet import Kubelet
from gradatim.sim.controllers.loop import Controller, ControlLoop
from gradatim.sim.controllers.replicasets import ReplicaSets
from gradatim.sim.controllers.scheduling import Scheduler, make_node
from gradatim.sim.pods.runner import PodRunner
from gradatim.sim.store import Store


class Controllers:
    """All controllers of one cluster; `run` works until cancelled.

    Timers are the event loop's, timestamps the store's: with a loop of virtual time the store should tell that time.
    `latency` is how many seconds pass between a change and the controllers' look at it.
    """

    def __init__(
        self,
        store: Store,
        runner: PodRunner,
        *,
        nodes: tuple[str, ...] = ("node-1", "node-2"),
        latency: float = 0.0,
    ) -> None:
        self.store = store
        self.nodes = nodes
        self.kubelet = Kubelet(store, runner, self._wake)
        self._controllers: tuple[Controller, ...] = (
            Scheduler(store),
            self.kubelet,
            Endpoints(store),
            ReplicaSets(store),
            DaemonSets(store),
            Deployments(store),
            Autoscalers(store),
        )
        self._loop = ControlLoop(store, self._controllers, latency)

    async def run(self) -> None:
        """Add the nodes and keep everything going until cancelled; pods then end at once."""
        for number, name in enumerate(self.nodes):
            make_node(self.store, name, f"127.0.0.{number + 2}")
        try:
            await self._loop.run()
        finally:
            self.kubelet.stop_everything()

    def _wake(self, pod: Ref) -> None:
        self._loop.enqueue(self._controllers.index(self.kubelet), pod)


__all__ = ["Controllers"]
