"""Users who call all the time: at every moment, whoever gets a share of the requests must have pods to answer them.

Proxies follow a change late, so what was routed to a moment ago still counts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from gradatim.ports.objects import HTTP_ROUTE, INGRESS, SERVICE, TRAEFIK_SERVICE, Manifest, Ref, Resource
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.history import Event
from gradatim.sim.store import Store

LAG = 1.5
"""Seconds that a proxy may need to follow."""

_MATTER = frozenset({POD, SERVICE, INGRESS, HTTP_ROUTE, TRAEFIK_SERVICE})
_NGINX = "nginx.ingress.kubernetes.io"

Selector = tuple[tuple[str, str], ...]


class Users:
    """Watches one namespace. `lost` tells of every moment at which requests had nobody to answer them."""

    def __init__(self, store: Store, namespace: str, apex: str, lag: float = LAG) -> None:
        self._store, self._namespace, self._apex, self._lag = store, namespace, apex, lag
        self._routed: deque[tuple[float, dict[str, Selector]]] = deque()
        self._served = False
        self.lost: list[str] = []
        self._clock = asyncio.get_running_loop().time
        store.subscribe(self._notice)

    def _notice(self, event: Event) -> None:
        if event.ref.namespace == self._namespace and event.ref.resource in _MATTER:
            self._look()

    def _look(self) -> None:
        now = self._clock()
        self._routed.append((now, dict(self._destinations())))
        while len(self._routed) > 1 and self._routed[1][0] <= now - self._lag:
            self._routed.popleft()
        unserved = {
            f"{name} ({', '.join('='.join(pair) for pair in selector)})"
            for _, destinations in self._routed
            for name, selector in destinations.items()
            if not self._answered(selector)
        }
        everybody = bool(self._routed[-1][1]) and not unserved
        if everybody:
            self._served = True
        elif self._served:
            self.lost.append(f"{now:.3f}: nobody answers for {', '.join(sorted(unserved)) or self._apex}")

    def _answered(self, selector: Selector) -> bool:
        return bool(selector) and any(
            set(selector) <= set((pod["metadata"].get("labels") or {}).items()) and _ready(pod)
            for pod in self._store.scan(POD, self._namespace)
        )

    def _destinations(self) -> Iterator[tuple[str, Selector]]:
        for name in set(self._backends()) or {self._apex}:
            service = self._store.peek(Ref(SERVICE, self._namespace, name))
            labels = (service or {}).get("spec", {}).get("selector") or {}
            yield name, tuple(sorted(labels.items()))

    def _backends(self) -> Iterator[str]:
        yield from self._ingresses()
        for route in self._all(HTTP_ROUTE):
            for rule in route["spec"].get("rules", ()):
                yield from (one["name"] for one in rule.get("backendRefs", ()) if one.get("weight", 1))
        for split in self._all(TRAEFIK_SERVICE):
            services = split["spec"].get("weighted", {}).get("services", ())
            yield from (one["name"] for one in services if one.get("weight", 1))

    def _ingresses(self) -> Iterator[str]:
        share, plain, taken = 0, set[str](), set[str]()
        for ingress in self._all(INGRESS):
            notes = ingress["metadata"].get("annotations") or {}
            backends = set(_backends_of(ingress))
            if notes.get(f"{_NGINX}/canary") != "true":
                plain |= backends
                continue
            weight = int(notes.get(f"{_NGINX}/canary-weight", 0))
            picked = any(f"{_NGINX}/canary-by-{by}" in notes for by in ("header", "cookie"))
            share = max(share, weight)
            taken |= backends if weight or picked else set()
        yield from taken
        if share < 100:
            yield from plain

    def _all(self, resource: Resource) -> Iterator[Manifest]:
        if self._store.serving(resource.group, resource.version, resource.plural):
            yield from self._store.scan(resource, self._namespace)


def _ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _backends_of(ingress: Manifest) -> Iterator[str]:
    for rule in ingress["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            if service := path["backend"].get("service"):
                yield service["name"]
