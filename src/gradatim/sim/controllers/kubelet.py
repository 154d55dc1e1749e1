"""The kubelet of all nodes: hands pods to the runner and writes into their status what the runner reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gradatim.ports.objects import CONFIG_MAP, SECRET, SERVICE, Manifest, Ref
from gradatim.sim import metadata
from gradatim.sim.builtin.catalogue import NODE, POD
from gradatim.sim.controllers.belonging import condition, ref_of, set_status
from gradatim.sim.controllers.pod_orders import NotConfigured, grace_of, order_for, ports
from gradatim.sim.history import Event
from gradatim.sim.pods.runner import PodRunner, PodState
from gradatim.sim.store import Store


class _Held:
    """A pod that the runner has, or will have once its configuration is there."""

    def __init__(self, ref: Ref, address: str) -> None:
        self.ref = ref
        self.address = address
        self.started = False
        self.stopping: float | None = None
        """The grace period it was asked to stop with."""
        self.ports: tuple[int, ...] = ()
        self.state = PodState(waiting="ContainerCreating")


class Kubelet:
    """Runs the pods that have a node. `wake` is called with a pod that the runner reported something about."""

    def __init__(self, store: Store, runner: PodRunner, wake: Callable[[Ref], None]) -> None:
        self.store = store
        self.runner = runner
        self.wake = wake
        self._held: dict[str, _Held] = {}

    def everything(self) -> Iterable[Ref]:
        """All pods."""
        return [ref_of(POD, pod) for pod in self.store.scan(POD)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A pod itself; pods of the namespace when a Service or their configuration changes."""
        kind = event.ref.resource.qualified
        if kind == POD.qualified:
            yield event.ref
        elif kind in (SERVICE.qualified, CONFIG_MAP.qualified, SECRET.qualified):
            waiting_only = kind != SERVICE.qualified
            for held in self._held.values():
                if held.ref.namespace == event.ref.namespace and not (waiting_only and held.started):
                    yield held.ref

    def stop_everything(self) -> None:
        """End every pod at once; for the end of the cluster."""
        for uid in list(self._held):
            self.runner.stop(uid, 0.0)

    def sync(self, ref: Ref) -> float | None:
        """Start, adjust, report or end one pod."""
        pod = self.store.peek(ref)
        for uid in self._outdated(ref, pod):
            self._stop(uid, 0.0)
        if pod is None or not pod["spec"].get("nodeName"):
            return None
        held = self._held.get(pod["metadata"]["uid"])
        if "deletionTimestamp" in pod["metadata"]:
            self._end(ref, pod, held)
            return None
        if held is None:
            held = self._held[pod["metadata"]["uid"]] = _Held(ref, self.runner.address())
        self._run(pod, held)
        self._write(ref, pod, held)
        return None

    def _outdated(self, ref: Ref, pod: Manifest | None) -> list[str]:
        """Pods of this name that are not the one the store has now."""
        uid = pod["metadata"]["uid"] if pod else ""
        return [other for other, held in self._held.items() if held.ref == ref and other != uid]

    def _run(self, pod: Manifest, held: _Held) -> None:
        """Start the pod once it can be; tell a running one where to listen."""
        wanted = ports(self.store, pod)
        uid = pod["metadata"]["uid"]
        if held.started:
            if wanted != held.ports:
                held.ports = wanted
                self.runner.listen(uid, wanted)
            return
        try:
            order = order_for(self.store, pod, held.address)
        except NotConfigured as missing:
            held.state = PodState(waiting="CreateContainerConfigError", message=str(missing))
            return
        held.started, held.ports = True, wanted
        self.runner.start(order, lambda state: self._reported(uid, state))

    def _reported(self, uid: str, state: PodState) -> None:
        held = self._held.get(uid)
        if held is None:
            return
        held.state = state
        if state.stopped and self._is_gone(held, uid):
            del self._held[uid]
        else:
            self.wake(held.ref)

    def _is_gone(self, held: _Held, uid: str) -> bool:
        pod = self.store.peek(held.ref)
        return pod is None or pod["metadata"]["uid"] != uid

    def _stop(self, uid: str, grace: float) -> None:
        held = self._held[uid]
        if not held.started:
            del self._held[uid]
        elif held.stopping is None or grace < held.stopping:
            held.stopping = grace
            self.runner.stop(uid, grace)

    def _end(self, ref: Ref, pod: Manifest, held: _Held | None) -> None:
        """Stop a pod that is being deleted, and let go of the object when it has stopped."""
        uid = pod["metadata"]["uid"]
        if held is not None and held.started and not held.state.stopped:
            self._stop(uid, grace_of(pod))
            self._write(ref, pod, held)
            return
        self._held.pop(uid, None)
        self.store.delete(ref, grace=0, uid=uid)

    def _write(self, ref: Ref, pod: Manifest, held: _Held) -> None:
        status = pod_status(pod, held.state, held.address, self.store.now())
        status["hostIP"] = self._node_address(pod["spec"]["nodeName"]) or held.address
        status["hostIPs"] = [{"ip": status["hostIP"]}]
        if status != pod.get("status"):
            set_status(self.store, ref, status)

    def _node_address(self, name: str) -> str:
        node = self.store.peek(Ref(NODE, "", name)) or {}
        addresses: Iterable[Manifest] = (node.get("status") or {}).get("addresses") or ()
        return next((str(each["address"]) for each in addresses if each["type"] == "InternalIP"), "")


def pod_status(pod: Manifest, state: PodState, address: str, now: float) -> Manifest:
    """The status of a pod that is doing as reported."""
    stamp = metadata.timestamp(now)
    before = pod.get("status") or {}
    status: Manifest = {
        **before,
        "phase": "Running" if state.running or state.restarts or state.waiting == "CrashLoopBackOff" else "Pending",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": before.get("startTime", stamp),
        "qosClass": before.get("qosClass", "BestEffort"),
        "containerStatuses": [_container(container, state, pod, stamp) for container in pod["spec"]["containers"]],
    }
    names = ", ".join(container["name"] for container in pod["spec"]["containers"])
    unready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    status["conditions"] = [
        _condition(pod, "PodReadyToStartContainers", True, stamp),
        _condition(pod, "Initialized", True, stamp),
        _condition(pod, "Ready", state.ready, stamp, unready),
        _condition(pod, "ContainersReady", state.ready, stamp, unready),
        _condition(pod, "PodScheduled", True, stamp),
    ]
    return status


def _condition(pod: Manifest, kind: str, holds: bool, stamp: str, otherwise: Manifest | None = None) -> Manifest:
    value = "True" if holds else "False"
    current = condition(pod, kind)
    since = current["lastTransitionTime"] if current and current["status"] == value else stamp
    fresh: Manifest = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": since}
    return fresh if holds else {**fresh, **(otherwise or {})}


def _container(container: Manifest, state: PodState, pod: Manifest, stamp: str) -> Manifest:
    before: Iterable[Manifest] = (pod.get("status") or {}).get("containerStatuses") or ()
    known = next((each for each in before if each["name"] == container["name"]), {})
    identity = f"gradatim://{pod['metadata']['uid']}/{container['name']}"
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"gradatim://{container['image']}",
        "containerID": identity if state.running else "",
        "ready": state.ready,
        "started": state.running,
        "restartCount": state.restarts,
        "state": _container_state(state, known, stamp),
        "lastState": _last_state(state, known, stamp),
    }


def _container_state(state: PodState, known: Manifest, stamp: str) -> Manifest:
    if state.running:
        same_run = known.get("restartCount") == state.restarts
        running = (known.get("state") or {}).get("running") if same_run else None
        return {"running": running or {"startedAt": stamp}}
    if state.stopped:
        return {"terminated": _terminated(state, known, stamp)}
    waiting = {"reason": state.waiting or "ContainerCreating"}
    return {"waiting": {**waiting, "message": state.message} if state.message else waiting}


def _last_state(state: PodState, known: Manifest, stamp: str) -> Manifest:
    if state.exit_code is None or state.stopped:
        return {}
    before: Manifest = known.get("lastState") or {}
    if before and known.get("restartCount") == state.restarts and not (known.get("state") or {}).get("running"):
        return before
    if before and state.running and known.get("restartCount") == state.restarts:
        return before
    return {"terminated": _terminated(state, known, stamp)}


def _terminated(state: PodState, known: Manifest, stamp: str) -> Manifest:
    began = ((known.get("state") or {}).get("running") or {}).get("startedAt", stamp)
    reason = "Completed" if state.exit_code == 0 else "Error"
    return {"exitCode": state.exit_code or 0, "reason": reason, "startedAt": began, "finishedAt": stamp}
