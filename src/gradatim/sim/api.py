"""The simulated API server: one request in, one answer out, whatever carries them.

`Api(store).handle(Request.to("GET", "/api/v1/pods"))` is all a test needs; `sim.http` puts it on a port. What each
verb does is in `sim.rest`, what the objects are allowed to be in `sim.builtin` and `sim.crds`.
"""

from __future__ import annotations

from gradatim.sim.refusals import Refused
from gradatim.sim.rest import deleting, discovery, faults, patching, reading, routes, shapes, subresources, writing
from gradatim.sim.rest.faults import Fault
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.openapi import Documents
from gradatim.sim.rest.routes import Route
from gradatim.sim.rest.watching import Hub
from gradatim.sim.store import Store

__all__ = ["Api", "Fault", "Request", "Response"]

_HEALTH = frozenset(("/healthz", "/livez", "/readyz"))
_TEXT = "text/plain; charset=utf-8"


class Api:
    """Everything a Kubernetes API server answers. `logs` tells what a pod has printed."""

    def __init__(self, store: Store, logs: subresources.Logs | None = None) -> None:
        self.store = store
        self.logs = logs
        self.faults: list[Fault] = []
        self._hub = Hub(store)
        self._documents = Documents(store)

    async def handle(self, request: Request) -> Response:
        """Answer one request; a stream goes on after this returns."""
        answer, met = await faults.before(self.faults, request)
        return answer or faults.after(met, self._answer(request))

    def compact(self) -> None:
        """Forget the history: whoever wants to go on from an older version is told that it has expired."""
        self.store.history.compact(self.store.version)

    def close(self) -> None:
        """End every watch."""
        self._hub.close()

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return self._hub.watching

    def _answer(self, request: Request) -> Response:
        try:
            return self._plain(request) or self._resource(request)
        except Refused as refusal:
            answer = shapes.respond(request, refusal.code, refusal.status)
            answer.headers |= refusal.headers
            return answer

    def _plain(self, request: Request) -> Response | None:
        if request.path in _HEALTH:
            return Response(200, {"Content-Type": _TEXT}, b"ok")
        return self._documents.answer(request) or discovery.answer(self.store, request)

    def _resource(self, request: Request) -> Response:
        place = routes.take_apart(request.path)
        route = routes.find(self.store, place) if place is not None else None
        if route is None:
            return Response(404, {"Content-Type": _TEXT}, b"404 page not found\n")
        if route.kind.passing:
            return subresources.review(route, request)
        if route.subresource == "scale":
            return subresources.scale(self.store, route, request)
        if route.subresource == "log":
            return subresources.log(self.store, route, request, self.logs)
        answer, told = self._verb(route, request), route.kind.deprecation(route.served)
        return writing.warned(answer, [told]) if told else answer

    def _verb(self, route: Route, request: Request) -> Response:
        match request.method:
            case "GET" if route.name and not request.flag("watch"):
                return reading.get(self.store, route, request)
            case "GET" if request.flag("watch"):
                return self._hub.open(route, request)
            case "GET":
                return reading.list_(self.store, route, request)
            case "POST":
                return writing.create(self.store, route, request)
            case "PUT":
                return writing.update(self.store, route, request)
            case "PATCH":
                return patching.patch(self.store, route, request)
            case "DELETE" if route.name:
                return deleting.delete(self.store, route, request)
            case "DELETE":
                return deleting.delete_collection(self.store, route, request)
        raise writing.not_allowed()
