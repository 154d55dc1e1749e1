"""A Prometheus that answers what a test told it to, and writes down what it was asked.

Which numbers a query gets depends only on the namespace named in it, so many scenarios can share one server.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from cluster.serving import Served

NOTHING = "none"
"""The answer that is an empty vector."""

_UNSET = "100"


@dataclass(frozen=True)
class Query:
    """One query as it arrived."""

    at: float
    text: str


@dataclass
class Answers:
    """What the queries of one namespace get."""

    metric: str = _UNSET
    """For plain queries."""
    histogram: str = _UNSET
    """For queries with `histogram_quantile`."""
    queries: list[Query] = field(default_factory=list)


class Prometheus(Served):
    """The scripted server. Use it in an `async with`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.status = 200
        """The HTTP status of every answer; set it to make the whole server fail."""
        self._clock = clock
        self._answers: dict[str, Answers] = {}
        for path in ("/api/v1/query", "/{prefix:.*}/api/v1/query"):
            self.app.router.add_get(path, self._query)
            self.app.router.add_post(path, self._query)

    def of(self, namespace: str) -> Answers:
        """The answers of a namespace, to be changed in place."""
        return self._answers.setdefault(namespace, Answers())

    async def _query(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        text = str(form.get("query", ""))
        value = self._value(text)
        if self.status != 200:
            return web.json_response({"status": "error", "errorType": "internal"}, status=self.status)
        result = [] if value == NOTHING else [{"metric": {}, "value": [time.time(), value]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _value(self, text: str) -> str:
        if text.strip() == "vector(1)":
            return "1"
        named = [namespace for namespace in self._answers if _names(text, namespace)]
        if not named:
            return _UNSET
        answers = self._answers[max(named, key=len)]
        answers.queries.append(Query(self._clock(), text))
        return answers.histogram if "histogram_quantile" in text else answers.metric


def _names(text: str, namespace: str) -> bool:
    """Whether a query names this namespace; some go on after it, as in `shop-canary` of `NS-shop-canary`."""
    return re.search(rf"(?<![a-z0-9-]){re.escape(namespace)}(?![a-z0-9])", text) is not None
