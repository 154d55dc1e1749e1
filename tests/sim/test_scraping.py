"""From a page of metrics to series: the text format, relabelling, staleness."""

from __future__ import annotations

import math

import pytest
from aiohttp import web

from gradatim.sim import promql
from gradatim.sim.exposition import Malformed, PageReader, Rule, parse_identity, parse_lines
from gradatim.sim.scrape import Scraper, Target
from gradatim.sim.series import SeriesStore

PAGE = """
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="/a b"} 12
requests_total{path="with \\"quotes\\", a \\\\ and a\\nbreak",} 1.5e3
temperature -3 1700000000123

nothing_known NaN
limit{le="+Inf"} +Inf
"""

TARGET = Target("pods", "http://127.0.0.1:1/metrics", "hello-1")


def values(store: SeriesStore, query: str, at: int) -> dict[str, float]:
    """What a query answers, by the `code` label."""
    vector = promql.instant(store, query, at)
    assert isinstance(vector, list)
    return {dict(sample.labels).get("code", ""): sample.value for sample in vector}


def test_a_page_is_read_with_its_escapes_times_and_odd_numbers() -> None:
    found = list(parse_lines(PAGE))
    assert [(parse_identity(text)["__name__"], time) for text, _, time in found] == [
        ("requests_total", None),
        ("requests_total", None),
        ("temperature", 1_700_000_000_123),
        ("nothing_known", None),
        ("limit", None),
    ]
    assert parse_identity(found[1][0])["path"] == 'with "quotes", a \\ and a\nbreak'
    assert parse_identity(found[0][0])["path"] == "/a b"
    assert [value for _, value, _ in found if not math.isnan(value)] == [12, 1500, -3, math.inf]


@pytest.mark.parametrize("line", ["requests_total", "requests_total{a=b} 1", "9lives 1", "requests_total{} one"])
def test_a_line_that_is_not_in_the_text_format_is_refused(line: str) -> None:
    with pytest.raises(Malformed):
        list(PageReader((), ()).read(line))


def test_labels_of_the_target_win_and_the_pages_own_are_kept_as_exported() -> None:
    reader = PageReader((("job", "pods"),), ())
    [(labels, _, _)] = reader.read('up_to{job="mine"} 1')
    assert dict(labels) == {"__name__": "up_to", "job": "pods", "exported_job": "mine"}


def test_rules_keep_drop_rename_and_fill() -> None:
    rules = (
        Rule(action="keep", source_labels=("__name__",), regex="proxy_.+"),
        Rule(action="drop", source_labels=("service", "code"), regex="internal;.*"),
        Rule(source_labels=("service",), regex="(.+)-(.+)-80", target_label="namespace"),
        Rule(source_labels=("code",), target_label="status"),
        Rule(source_labels=("__name__",), regex="proxy_(.+)", target_label="__name__", replacement="edge_${1}_x"),
        Rule(action="labeldrop", regex="code|service"),
        Rule(action="labelmap", regex="meta_(.+)"),
        Rule(target_label="reporter", replacement="destination"),
    )
    page = "\n".join(
        [
            'proxy_requests{service="test-hello-80",code="200",meta_zone="a"} 1',
            'proxy_requests{service="internal",code="200"} 1',
            'other_requests{service="test-hello-80"} 1',
        ]
    )
    [(labels, _, _)] = PageReader((), rules).read(page)
    assert dict(labels) == {
        "__name__": "edge_requests_x", "namespace": "test", "status": "200",
        "meta_zone": "a", "zone": "a", "reporter": "destination",
    }  # fmt: skip


def test_a_series_that_vanishes_from_its_page_is_gone_at_once() -> None:
    store = SeriesStore()
    scraper = Scraper(store, lambda: [TARGET])
    scraper.take(TARGET, 'r{code="200"} 1\nr{code="500"} 2', 1000)
    scraper.take(TARGET, 'r{code="200"} 3', 2000)
    assert values(store, "r", 1999) == {"200": 1, "500": 2}
    assert values(store, "r", 2000) == {"200": 3}
    assert values(store, "count_over_time(r[5s])", 2000) == {"200": 2, "500": 1}
    scraper.take(TARGET, 'r{code="200"} 3\nr{code="500"} 1', 3000)
    assert values(store, "r", 3000) == {"200": 3, "500": 1}


def test_a_target_that_stops_answering_is_down_and_shows_nothing() -> None:
    store = SeriesStore()
    scraper = Scraper(store, lambda: [TARGET])
    scraper.take(TARGET, "r 1", 1000)
    scraper.miss(TARGET, 2000)
    assert values(store, "r", 2500) == {}
    assert values(store, "up", 1500) == {"": 1}
    assert values(store, "up", 2500) == {"": 0}


def test_a_series_without_new_samples_is_seen_for_the_lookback_only() -> None:
    store = SeriesStore()
    store.add((("__name__", "r"),), 0, 1.0)
    assert promql.instant(store, "r", 300_000) != []
    assert promql.instant(store, "r", 300_001) == []
    assert promql.instant(store, "r", 11_000, lookback=10) == []


def test_samples_older_than_the_retention_are_forgotten() -> None:
    store = SeriesStore(retention=10)
    for second in range(30):
        store.add((("__name__", "r"),), second * 1000, 1.0)
    store.add((("__name__", "old"),), 0, 1.0)
    store.forget(29_000)
    assert values(store, "count_over_time(r[1h])", 29_000) == {"": 11}
    assert [series.labels for series in store] == [(("__name__", "r"),)]


@pytest.mark.asyncio
async def test_new_rules_for_a_known_target_apply_from_the_next_round_on() -> None:
    """And what the old rules showed ends, while a target that goes away ends altogether."""
    clock = [100.0]
    async with serving('r{code="200"} 1') as address:
        old = Target("edge", address, "edge")
        new = Target("edge", address, "edge", rules=(Rule(source_labels=("code",), target_label="status"),))
        targets = [old]
        store = SeriesStore()
        scraper = Scraper(store, lambda: targets, now=lambda: clock[0])
        await scraper.scrape()
        targets[:] = [new]
        clock[0] = 101.0
        await scraper.scrape()
        assert values(store, 'r{status="200"}', 101_000) == {"200": 1}
        assert values(store, 'r{status=""}', 101_000) == {}
        assert not next(iter(scraper.health.values())).error
        targets.clear()
        clock[0] = 102.0
        await scraper.scrape()
        assert values(store, '{job="edge"}', 102_000) == {}
        assert scraper.health == {}


@pytest.mark.asyncio
async def test_a_target_that_refuses_is_reported_with_its_reason() -> None:
    store = SeriesStore()
    async with serving("not a page") as address:
        scraper = Scraper(store, lambda: [Target("bad", address, "bad"), TARGET], now=lambda: 5.0)
        await scraper.scrape()
    assert values(store, "sum(up)", 5000) == {"": 0}
    assert sorted(health.error != "" for health in scraper.health.values()) == [True, True]


class serving:  # noqa: N801 - reads as a statement
    """A page of metrics on an ephemeral port."""

    def __init__(self, page: str) -> None:
        app = web.Application()

        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=page)

        app.router.add_get("/metrics", answer)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/metrics"

    async def __aexit__(self, *failure: object) -> None:
        await self._runner.cleanup()
