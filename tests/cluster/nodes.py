"""A stand-in for the scheduler and for every kubelet: pods get a node, an address, and after a while they are Ready.

Nothing runs in these pods; the name of their image says how long they take to be ready. What a pod of some address
answers is up to `traffic`, which asks `Nodes.serving`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress

import aiohttp

from cluster.client import NODE, POD, STRATEGIC, Answer, Client, path
from cluster.control_plane import Credentials
from gradatim.ports.objects import Manifest

READY_AFTER = 0.5
SLOW = 3.0
STOPS_WITHIN = 1.0
_AGAIN = 0.2
_INITIAL_END = "k8s.io/initial-events-end"

ReadyAfter = Callable[[Manifest], float | None]
"""Seconds from the binding of a pod until it is Ready; None: never."""


def by_image(pod: Manifest) -> float | None:
    """Half a second; three for `slow:…`; never for `broken:…`, nor as a primary for `unfit:…`."""
    names = {container["image"].partition(":")[0] for container in pod["spec"]["containers"]}
    primary = pod["metadata"].get("labels", {}).get("app", "").endswith("-primary")
    if "broken" in names or ("unfit" in names and primary):
        return None
    return SLOW if "slow" in names else READY_AFTER


class Nodes:
    """Pretended machines. `ready_after` and `stops_within` may be replaced while they run."""

    def __init__(
        self, client: Client, names: Iterable[str] = ("node-1", "node-2", "node-3"), ready_after: ReadyAfter = by_image
    ) -> None:
        self.ready_after = ready_after
        self.stops_within = STOPS_WITHIN
        self.serving: dict[str, Manifest] = {}
        """Address of every pod whose process would take requests, and the pod: from the moment before it is Ready until
        the end of its grace period."""
        self._client = client
        self._nodes = [_node(name, number) for number, name in enumerate(names, 1)]
        self._load = dict.fromkeys((node["metadata"]["name"] for node in self._nodes), 0)
        self._pods: dict[str, Manifest] = {}
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._addresses = itertools.count(10)

    async def register(self) -> None:
        """Create the Node objects, free of the taint that every new node gets."""
        for node in self._nodes:
            name = node["metadata"]["name"]
            await self._client.ask("POST", path(NODE), node)
            await self._client.merge(NODE, "", name, {"spec": {"taints": None}})

    async def run(self) -> None:
        """Serve pods for ever; a lost API server is waited for."""
        try:
            while True:
                with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                    await self._follow()
                await asyncio.sleep(_AGAIN)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _follow(self) -> None:
        """One watch from its beginning to its end."""
        wanted = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        fresh: dict[str, Manifest] | None = {}
        async with self._client.watching(path(POD), **wanted) as events:
            async for event in events:
                pod = event["object"]
                if event["type"] == "BOOKMARK":
                    if fresh is not None and _INITIAL_END in pod["metadata"].get("annotations", {}):
                        self._pods, fresh = fresh, None
                        for gone in {_uid(one) for one in self.serving.values()} - self._pods.keys():
                            self._stopped(gone)
                    continue
                if event["type"] == "ERROR":
                    return
                if fresh is not None:
                    fresh[_uid(pod)] = pod
                self._see(event["type"], pod)

    def _see(self, kind: str, pod: Manifest) -> None:
        """Note a pod and start what it needs next."""
        uid, meta, spec = _uid(pod), pod["metadata"], pod["spec"]
        if kind == "DELETED":
            self._pods.pop(uid, None)
            self._stopped(uid)
            if spec.get("nodeName") in self._load:
                self._load[spec["nodeName"]] -= 1
            return
        self._pods[uid] = pod
        address = pod.get("status", {}).get("podIP", "")
        if address in self.serving or _is_running(pod):
            self.serving[address] = pod
        if meta.get("deletionTimestamp"):
            self._once(uid, "end", self._end(pod))
        elif not spec.get("nodeName"):
            self._once(uid, "bind", self._bind(pod))
        elif not _is_running(pod):
            self._once(uid, "run", self._start(pod))

    def _once(self, uid: str, what: str, work: Coroutine[None, None, None]) -> None:
        """Do this for this pod unless it is being done already."""
        if (uid, what) in self._busy:
            work.close()
            return
        task = asyncio.create_task(work)
        self._busy[uid, what] = task
        task.add_done_callback(lambda _: self._busy.pop((uid, what), None))

    def _stopped(self, uid: str) -> None:
        """Its process takes no more requests."""
        for address in [at for at, one in self.serving.items() if _uid(one) == uid]:
            del self.serving[address]

    async def _bind(self, pod: Manifest) -> None:
        if (name := self._place(pod)) is None:
            return  # no node fits, and the nodes here never change
        self._load[name] += 1
        target = {"apiVersion": "v1", "kind": "Node", "name": name}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": _name(pod), "target": target}
        await self._insist(pod, lambda: self._client.ask("POST", _path(pod, "binding"), binding))

    async def _start(self, pod: Manifest) -> None:
        delay = self.ready_after(pod)
        node = next((node for node in self._nodes if node["metadata"]["name"] == pod["spec"]["nodeName"]), None)
        if node is None:
            return
        if delay is None:
            if not pod.get("status", {}).get("containerStatuses"):
                await self._report(pod, _stuck(pod))
            return
        await asyncio.sleep(delay)
        now = self._pods.get(_uid(pod))
        if now and not now["metadata"].get("deletionTimestamp"):
            number = next(self._addresses)
            address = f"10.1.{number // 250 % 256}.{number % 250 + 1}"
            self.serving[address] = now
            await self._report(pod, _running(pod, address, node["status"]["addresses"][0]["address"]))

    async def _end(self, pod: Manifest) -> None:
        """A process that ends politely: its grace period, but not more than `stops_within`."""
        await asyncio.sleep(min(pod["metadata"].get("deletionGracePeriodSeconds", 0), self.stops_within))
        self._stopped(_uid(pod))
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": _uid(pod)}}
        await self._insist(pod, lambda: self._client.ask("DELETE", _path(pod), options))

    async def _report(self, pod: Manifest, status: Manifest) -> None:
        await self._insist(
            pod,
            lambda: self._client.ask("PATCH", _path(pod, "status"), {"status": status}, content_type=STRATEGIC),
        )

    async def _insist(self, pod: Manifest, request: Callable[[], Awaitable[Answer]]) -> None:
        """Repeat while the API server cannot be reached; an answer of any kind is the end of it."""
        while _uid(pod) in self._pods:
            try:
                answer = await request()
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                answer = None
            if answer is not None and answer.status not in {429, 500, 502, 503, 504}:
                return
            await asyncio.sleep(_AGAIN)

    def _place(self, pod: Manifest) -> str | None:
        """The emptiest node that the pod's selector and affinity allow."""
        fitting = [node["metadata"]["name"] for node in self._nodes if fits(pod["spec"], node)]
        return min(fitting, key=self._load.__getitem__, default=None)


class NodesThread:
    """Nodes with an event loop in a thread of their own, for a whole test session."""

    def __init__(self, credentials: Credentials) -> None:
        self.nodes: Nodes
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._task: asyncio.Task[None]
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, args=(credentials,), name="nodes", daemon=True)
        self._thread.start()
        self._up.wait()
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """End the thread; raise if it had ended by itself."""
        with suppress(RuntimeError):  # the loop is closed if it had
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        if self._failure:
            raise self._failure

    def _main(self, credentials: Credentials) -> None:
        try:
            self._loop.run_until_complete(self._serve(credentials))
        except BaseException as error:
            self._failure = error
        finally:
            self._up.set()
            self._loop.close()

    async def _serve(self, credentials: Credentials) -> None:
        async with Client(credentials) as client:
            self.nodes = Nodes(client)
            await self.nodes.register()
            self._task = asyncio.create_task(self.nodes.run())
            self._up.set()
            with suppress(asyncio.CancelledError):
                await self._task
            await asyncio.sleep(_AGAIN)  # requests cut in the middle say farewell before the loop ends


def fits(spec: Manifest, node: Manifest) -> bool:
    """Whether a pod may run here: its node selector and its required node affinity."""
    labels = node["metadata"]["labels"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_holds(one, labels) for one in term.get("matchExpressions", ()))
        and all(_holds(one, fields) for one in term.get("matchFields", ()))
        for term in required["nodeSelectorTerms"]
    )


def _holds(one: Manifest, values: dict[str, str]) -> bool:
    has, wanted = one["key"] in values, one.get("values", [])
    match one["operator"]:
        case "In":
            return has and values[one["key"]] in wanted
        case "NotIn":
            return not has or values[one["key"]] not in wanted
        case "Exists":
            return has
        case "DoesNotExist":
            return not has
        case _:
            return False


def _node(name: str, number: int) -> Manifest:
    now = _now()
    room = {"cpu": "64", "memory": "256Gi", "pods": "10000"}
    ready = {"type": "Ready", "status": "True", "reason": "Pretended", "message": "no machine, but ready"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"10.0.1.{number}"}],
            "capacity": room,
            "allocatable": room,
            "conditions": [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}],
        },
    }


def _running(pod: Manifest, address: str, host: str) -> Manifest:
    now = _now()
    kinds = ("Initialized", "ContainersReady", "Ready")
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        "startTime": now,
        "hostIP": host,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
        "containerStatuses": containers,
    }


def _stuck(pod: Manifest) -> Manifest:
    """Waiting for an image that cannot be pulled."""
    now = _now()
    kinds = ("ContainersReady", "Ready")
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "pretended images called broken cannot be pulled"}}
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": waiting,
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Pending",
        "startTime": now,
        "conditions": [{"type": kind, "status": "False", "lastTransitionTime": now} for kind in kinds],
        "containerStatuses": containers,
    }


def _is_running(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _uid(pod: Manifest) -> str:
    return str(pod["metadata"]["uid"])


def _name(pod: Manifest) -> Manifest:
    return {"namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"], "uid": _uid(pod)}


def _path(pod: Manifest, subresource: str = "") -> str:
    return path(POD, pod["metadata"]["namespace"], pod["metadata"]["name"], subresource)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
