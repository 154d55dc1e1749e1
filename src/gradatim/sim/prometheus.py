"""Prometheus' HTTP API over samples in memory: what the operator's metrics provider and people's tools ask.

Only the wire is here: parameters, JSON and errors. Queries are `promql`'s matter, samples come from `scrape`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from gradatim.sim import promql
from gradatim.sim.promql_operators import spell_number
from gradatim.sim.promql_values import QueryError, Sample, Value, Window
from gradatim.sim.scrape import Health, Scraper
from gradatim.sim.series import Labels, SeriesStore

HTTP_CODES = {"bad_data": 400, "execution": 422}
MOST_POINTS = 11_000
"""Prometheus refuses range queries with more points than this per series."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")


class Prometheus:
    """Answers queries from a store of series; `scraper`, when given, is what `/api/v1/targets` tells of."""

    def __init__(
        self,
        store: SeriesStore,
        scraper: Scraper | None = None,
        *,
        lookback: float = promql.LOOKBACK,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.scraper = scraper
        self.lookback = lookback
        self.now = now

    def application(self) -> web.Application:
        """The routes, to be served by aiohttp."""
        app = web.Application()
        for path, answer in {
            "/api/v1/query": self.query,
            "/api/v1/query_range": self.query_range,
            "/api/v1/labels": self.labels,
            "/api/v1/series": self.series,
        }.items():
            app.router.add_route("GET", path, _answering(answer))
            app.router.add_route("POST", path, _answering(answer))
        app.router.add_get("/api/v1/label/{name}/values", self._label_values)
        app.router.add_get("/api/v1/targets", self._targets)
        app.router.add_get("/-/ready", self._ready)
        app.router.add_get("/-/healthy", self._ready)
        return app

    def query(self, given: Mapping[str, str]) -> Any:
        """An instant query: `query`, and `time` if not now."""
        at = _time(given, "time", self.now())
        tree = promql.parse(given.get("query", ""))
        value = promql.instant(self.store, tree, at, self.lookback)
        return {"resultType": "matrix" if promql.is_range(tree) else _kind(value), "result": _result(value, at)}

    def query_range(self, given: Mapping[str, str]) -> Any:
        """A range query: `query`, `start`, `end`, `step`."""
        start, end = _time(given, "start"), _time(given, "end")
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time', "bad_data")
        step = _step(given.get("step", ""))
        if (end - start) / step > MOST_POINTS:
            raise QueryError(f"exceeded maximum resolution of {MOST_POINTS:,} points per timeseries", "bad_data")
        limits = promql.Limits(start, end, int(self.lookback * 1000))
        points = promql.over_range(self.store, given.get("query", ""), limits, step)
        return {
            "resultType": "matrix",
            "result": [
                {"metric": dict(labels), "values": [[_stamp(at), spell_number(value)] for at, value in line]}
                for labels, line in sorted(points.items())
            ],
        }

    def labels(self, given: Mapping[str, str]) -> Any:
        """All label names."""
        return sorted({name for series in self.store for name in series.tags})

    def series(self, given: Mapping[str, str]) -> Any:
        """The series that a selector (`match[]`) finds."""
        if "match[]" not in given:
            raise QueryError("no match[] parameter provided", "bad_data")
        found = promql.selected(self.store, given["match[]"])
        return [dict(labels) for labels in sorted(series.labels for series in found)]

    async def _label_values(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return _success(sorted({series.tags[name] for series in self.store if name in series.tags}))

    async def _targets(self, request: web.Request) -> web.Response:
        health: Iterable[Health] = self.scraper.health.values() if self.scraper else ()
        return _success({"activeTargets": [_target(each) for each in health], "droppedTargets": []})

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="Prometheus Server is Ready.\n")


def _answering(answer: Callable[[Mapping[str, str]], Any]) -> Callable[[web.Request], Any]:
    """A handler that reads parameters from the address and the form, and reports errors as Prometheus does."""

    async def handle(request: web.Request) -> web.Response:
        given = dict(request.query)
        if request.method == "POST":
            given = {**given, **{key: str(value) for key, value in (await request.post()).items()}}
        try:
            return _success(answer(given))
        except QueryError as error:
            failure = {"status": "error", "errorType": error.kind, "error": error.message}
            return _json(failure, HTTP_CODES.get(error.kind, 500))

    return handle


def _success(data: Any) -> web.Response:
    return _json({"status": "success", "data": data}, 200)


def _json(body: Any, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _kind(value: Value) -> str:
    match value:
        case float():
            return "scalar"
        case str():
            return "string"
        case _:
            return "vector"


def _result(value: Value, at: int) -> Any:
    if isinstance(value, float):
        return [_stamp(at), spell_number(value)]
    if isinstance(value, str):
        return [_stamp(at), value]
    return [_element(element, at) for element in value]


def _element(element: Sample | Window, at: int) -> Any:
    if isinstance(element, Sample):
        return {"metric": dict(element.labels), "value": [_stamp(at), spell_number(element.value)]}
    points = zip(element.times, element.values, strict=True)
    return {"metric": dict(element.labels), "values": [[_stamp(time), spell_number(value)] for time, value in points]}


def _stamp(at: int) -> float | int:
    return at // 1000 if at % 1000 == 0 else at / 1000


def _time(given: Mapping[str, str], name: str, default: float | None = None) -> int:
    """A moment as Unix seconds or RFC 3339, in ms."""
    text = given.get(name, "")
    if not text and default is not None:
        return round(default * 1000)
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp'
        raise QueryError(message, "bad_data") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _step(text: str) -> int:
    """A resolution as seconds or as a duration such as `15s`, in ms."""
    try:
        seconds = float(text)
    except ValueError:
        if not _DURATION.fullmatch(text):
            message = f'invalid parameter "step": cannot parse "{text}" to a valid duration'
            raise QueryError(message, "bad_data") from None
        parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
        seconds = sum(int(count) * _UNITS[unit] for count, unit in parts)
    if not seconds > 0:
        message = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise QueryError(f'invalid parameter "step": {message}', "bad_data")
    return max(1, round(seconds * 1000))


def _target(health: Health) -> Any:
    target = health.target
    labels: Labels = target.identity
    return {
        "labels": dict(labels),
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "lastError": health.error,
        "lastScrape": datetime.fromtimestamp(health.at, UTC).isoformat(),
        "lastScrapeDuration": health.took,
        "health": "down" if health.error else "up",
    }
