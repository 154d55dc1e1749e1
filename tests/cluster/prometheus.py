"""A Prometheus that answers what a test told it to, and writes down what it was asked.

Which numbers a query gets depends only on the namespace named in it, so many scenarios can share one server.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from cluster.serving import Served
from gradatim.ports.objects import Manifest

NOTHING = "none"
"""The answer that is an empty vector."""

_UNSET = "100"


@dataclass(frozen=True)
class Query:
    """One query as it arrived."""

    at: float
    text: str
    server: str = ""
    """Who was asked, by the name that the operator knows: it may have come through a proxy."""


@dataclass
class Answers:
    """What the queries of one namespace get."""

    metric: str = _UNSET
    """For plain queries."""
    coming: deque[str] = field(default_factory=deque)
    """For the next plain queries, one each; after that it is `metric` again."""
    without: str = ""
    """Queries in which this text stands find no series."""
    histogram: str = _UNSET
    """For queries with `histogram_quantile`."""
    queries: list[Query] = field(default_factory=list)


class Script:
    """Who gets which answer, whatever carries it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.status = 200
        """The HTTP status of every answer; set it to make the whole server fail."""
        self._clock = clock
        self._answers: dict[str, Answers] = {}

    def of(self, namespace: str) -> Answers:
        """The answers of a namespace, to be changed in place."""
        return self._answers.setdefault(namespace, Answers())

    def answer(self, text: str, server: str = "") -> Manifest:
        """What a query gets, unless the server fails; it is written down in either case."""
        value = self._value(text, server)
        if self.status != 200:
            return {"status": "error", "errorType": "internal"}
        result = [] if value == NOTHING else [{"metric": {}, "value": [time.time(), value]}]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    def _value(self, text: str, server: str) -> str:
        if text.strip() == "vector(1)":
            return "1"
        named = [namespace for namespace in self._answers if _names(text, namespace)]
        if not named:
            return _UNSET
        answers = self._answers[max(named, key=len)]
        answers.queries.append(Query(self._clock(), text, server))
        if answers.without and answers.without in text:
            return NOTHING
        if "histogram_quantile" in text:
            return answers.histogram
        return answers.coming.popleft() if answers.coming else answers.metric


class Prometheus(Script, Served):
    """The script behind a port, which is also a proxy that finds it under any name. Use it in an `async with`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        Script.__init__(self, clock)
        Served.__init__(self)
        for path in ("/api/v1/query", "/{prefix:.*}/api/v1/query"):
            self.app.router.add_get(path, self._query)
            self.app.router.add_post(path, self._query)

    async def _query(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        server = request.url.authority
        return web.json_response(self.answer(str(form.get("query", "")), server), status=self.status)


def _names(text: str, namespace: str) -> bool:
    """Whether a query names this namespace; some go on after it, as in `shop-canary` of `NS-shop-canary`."""
    return re.search(rf"(?<![a-z0-9-]){re.escape(namespace)}(?![a-z0-9])", text) is not None
