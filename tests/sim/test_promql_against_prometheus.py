"""The same samples, the same queries: our evaluator and a real Prometheus must answer alike.

The samples are made once, written as OpenMetrics, turned into blocks by promtool and served by the Prometheus on PATH
(Debian: `apt-get install prometheus`). Without one the comparison reports itself as not run, unless
GRADATIM_REQUIRE_CLUSTER=1 says that everything must run.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.fixtures import not_run
from gradatim.sim import promql
from gradatim.sim.exposition import parse_identity
from gradatim.sim.promql_operators import spell_number
from gradatim.sim.promql_values import QueryError, Window
from gradatim.sim.series import SeriesStore, labels_of

BEGIN = 1_700_000_000.0
SECONDS = 900
MOMENTS = (BEGIN + 432.1, BEGIN + 880.0)
TOLERANCE = 1e-9

QUERIES = yaml.safe_load((Path(__file__).parent / "promql_queries.yaml").read_text())
OTHERS = QUERIES["others"].splitlines()
RANGE_QUERIES = ("a_gauge", "sum(rate(resetting_total[1m]))", "sparse_total > 5", "a_gauge @ start() - a_gauge", "3")

# What a pattern in a selector stands for in the samples, and the values of each status label: good, then bad.
CONCRETE = {
    "hello-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)": "hello-7d8f9c-x2k4z",
    "kube(ew)?_test__hello_canary__.*__hello_canary(_[0-9]+)?": "kube_test__hello_canary__x__hello_canary_1",
    "[0-9a-zA-Z-]+_[0-9a-zA-Z-]+": "80_x",
    "[0-9a-zA-Z-]+": "80",
    ".+": "80",
    'canary!=""': 'canary="test-hello-canary-80"',
}
CODES = {
    "response_code": ("200", "503"),
    "classification": ("success", "failure"),
    "status": ("200", "502"),
    "code": ("200", "500"),
    "envoy_response_code": ("200", "503"),
}

Samples = dict[str, list[tuple[float, float]]]


def _built_in() -> Iterator[tuple[str, str]]:
    for window in ("10s", "1m", "5m"):
        for mesh, it in QUERIES["ratios"].items():
            good = f"sum( rate( {it['series']}{{ {it['selector']}, {it['good']} }}[{window}] ) )"
            every = f"sum( rate( {it['series']}{{ {it['selector']} }}[{window}] ) )"
            yield f"{mesh} success {window}", f" {good} / {every} * 100"
        for mesh, it in QUERIES["quantiles"].items():
            inner = f"sum( rate( {it['series']}{{ {it['selector']} }}[{window}] ) ) by (le)"
            yield f"{mesh} duration {window}", f" histogram_quantile( 0.99, {inner} )"
        for mesh, it in QUERIES["means"].items():
            total, count = (
                f"sum( rate( {it['series']}_{kind}{{ {it['selector']} }}[{window}] ) )" for kind in ("sum", "count")
            )
            yield f"{mesh} duration {window}", f" {total} / {count} * 1000"


def _samples() -> Samples:
    """Identity text → (time, value): every mesh's counters and histograms, and some odd series."""
    chance = random.Random(20_26)
    made: Samples = {}
    for series, labels in sorted(_label_sets()):
        if series.endswith("_bucket"):
            _histogram(made, chance, series.removesuffix("_bucket"), labels)
        elif not series.endswith(("_count", "_sum")):
            made[f"{series}{{{labels}}}"] = list(_counter(chance, chance.uniform(0.2, 5)))
    for color in ("red", "blue", "green"):
        for size in ("small", "large"):
            made[f'a_gauge{{color="{color}",size="{size}"}}'] = list(_gauge(chance))
            made[f'b_gauge{{color="{color}",size="{size}"}}'] = list(_gauge(chance))
    made['colors{color="red",owner="ann"}'] = list(_gauge(chance))
    made['colors{color="blue",owner="bob"}'] = list(_gauge(chance))
    made['resetting_total{job="a"}'] = list(_counter(chance, 3.0, resets=True))
    made['resetting_total{job="b"}'] = list(_counter(chance, 0.3, resets=True))
    made["sparse_total{}"] = [(t, float(n)) for n, t in enumerate(range(7, SECONDS, 41)) if not 300 < t < 640]
    made["steps{}"] = [(float(t), float(t // 60)) for t in range(0, SECONDS, 5)]
    for number, value in enumerate((math.nan, math.inf, 3.0, -1e-7, 1.5e21)):
        made[f'specials{{n="{number}"}}'] = [(float(t), value) for t in range(0, SECONDS, 10)]
    for bound, count in (("-1", 2), ("0.5", 2), ("1", 7), ("2", 6), ("nonsense", 9), ("+Inf", 10)):
        made[f'odd_bucket{{le="{bound}"}}'] = [(float(t), float(count)) for t in range(0, SECONDS, 10)]
    return made


def _label_sets() -> set[tuple[str, str]]:
    """Concrete series for every built-in selector, good and bad, of the canary and of somebody else."""
    found: set[tuple[str, str]] = set()
    wanted = [(it["series"], it["selector"], it["good"]) for it in QUERIES["ratios"].values()]
    wanted += [(it["series"], it["selector"], "code!") for it in QUERIES["quantiles"].values()]
    wanted += [(f"{it['series']}_bucket", it["selector"], "code!") for it in QUERIES["means"].values()]
    for series, selector, good in wanted:
        text = selector.replace(', le="+Inf"', "")
        for pattern, value in CONCRETE.items():
            text = text.replace(pattern, value)
        text = text.replace("=~", "=").replace(", ", ",")
        code = good.partition("!")[0]
        for value in CODES[code]:
            for labels in (text, text.replace("hello", "other")):
                found.add((series.replace("_count", "_bucket"), f'{labels},{code}="{value}"'))
    return found


def _ticks(chance: random.Random) -> Iterator[float]:
    """Scrapes every five seconds, slightly late and sometimes missing."""
    for tick in range(0, SECONDS, 5):
        if chance.random() > 0.03:
            yield round(tick + chance.uniform(0, 0.4), 3)


def _counter(chance: random.Random, rate: float, resets: bool = False) -> Iterator[tuple[float, float]]:
    value = chance.choice((0.0, 1000.0))
    for at in _ticks(chance):
        value = 0.0 if resets and chance.random() < 0.03 else value + chance.expovariate(1 / (5 * rate))
        yield at, round(value, 4)


def _gauge(chance: random.Random) -> Iterator[tuple[float, float]]:
    return ((at, round(chance.uniform(0, 50), 6)) for at in _ticks(chance))


def _histogram(made: Samples, chance: random.Random, series: str, labels: str) -> None:
    bounds = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, math.inf)
    counts, total, ticks = [0] * len(bounds), 0.0, list(_ticks(chance))
    for at in ticks:
        for _ in range(chance.randrange(6)):
            value = chance.expovariate(5)
            total += value
            counts = [count + (value <= bound) for count, bound in zip(counts, bounds, strict=True)]
        for bound, count in zip(bounds, counts, strict=True):
            made.setdefault(f'{series}_bucket{{{labels},le="{spell_number(bound)}"}}', []).append((at, float(count)))
        made.setdefault(f"{series}_count{{{labels}}}", []).append((at, float(counts[-1])))
        made.setdefault(f"{series}_sum{{{labels}}}", []).append((at, round(total, 6)))


def _ours(samples: Samples) -> SeriesStore:
    store = SeriesStore(retention=1e9)
    for identity, points in samples.items():
        labels = labels_of(parse_identity(identity).items())
        for at, value in points:
            store.add(labels, round((BEGIN + at) * 1000), value)
    return store


class Real:
    """A running Prometheus."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, **parameters: Any) -> Any:
        """The decoded answer, also when it is an error."""
        try:
            with urllib.request.urlopen(f"{self.address}{path}?{urllib.parse.urlencode(parameters)}") as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return _samples()


@pytest.fixture(scope="module")
def ours(samples: Samples) -> SeriesStore:
    return _ours(samples)


@pytest.fixture(scope="module")
def real(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if not prometheus or not promtool:
        not_run("there is no prometheus and promtool on PATH (on Debian: apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    _write_blocks(promtool, samples, folder)
    (folder / "prometheus.yml").write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={address}", "--storage.tsdb.retention.time=100y", "--log.level=warn"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait_until_ready(f"http://{address}", process, folder / "log")
        yield Real(f"http://{address}")
    finally:
        process.terminate()
        process.wait(20)


def _write_blocks(promtool: str, samples: Samples, folder: Path) -> None:
    """One block with all samples; the input wants each series' metric family in one piece."""
    lines: list[str] = []
    for identity in sorted(samples):
        lines += [f"{identity} {spell_number(value)} {BEGIN + at:.3f}" for at, value in samples[identity]]
    (folder / "samples").write_text("\n".join([*lines, "# EOF", ""]))
    make = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(make, check=True, capture_output=True)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/-/ready").close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"Prometheus did not become ready: {log.read_text()[-2000:]}")


def _by_labels(value: Any) -> dict[Any, float]:
    """Our answer as what the real one is compared with: numbers by labels (and time)."""
    if isinstance(value, float):
        return {(): value}
    if value and isinstance(value[0], Window):
        return {(w.labels, t): v for w in value for t, v in zip(w.times, w.values, strict=True)}
    return {sample.labels: sample.value for sample in value}


def _theirs_by_labels(data: Any) -> dict[Any, float]:
    result = data["result"]
    if data["resultType"] == "scalar":
        return {(): float(result[1])}
    found: dict[Any, float] = {}
    for element in result:
        labels = labels_of(element["metric"].items())
        if "value" in element:
            found[labels] = float(element["value"][1])
        for at, value in element.get("values", ()):
            found[labels, round(at * 1000)] = float(value)
    return found


def _compare(ours: dict[Any, float], theirs: dict[Any, float], query: str) -> None:
    assert ours.keys() == theirs.keys(), query
    for key, value in theirs.items():
        same = ours[key] == pytest.approx(value, rel=TOLERANCE, abs=0, nan_ok=True)
        assert same, f"{query} {key}: ours {ours[key]!r}, Prometheus {value!r}"


def _check(real: Real, ours: SeriesStore, query: str, at: float) -> int:
    """Compare one query; returns how many elements both answered."""
    answer = real.ask("/api/v1/query", query=query, time=at)
    try:
        value = promql.instant(ours, query, round(at * 1000))
    except QueryError as error:
        kind, value = error.kind, []
    else:
        kind = None
    assert answer.get("errorType") == kind, (query, answer, value)
    if kind is not None:
        return 1
    mine, theirs = _by_labels(value), _theirs_by_labels(answer["data"])
    _compare(mine, theirs, query)
    if query.startswith(("sort", "topk")) and "by" not in query:
        assert list(mine) == list(theirs), f"{query}: the order differs"
    return len(theirs)


@pytest.mark.parametrize(("what", "query"), list(_built_in()), ids=[what for what, _ in _built_in()])
def test_built_in_checks_are_answered_like_prometheus(real: Real, ours: SeriesStore, what: str, query: str) -> None:
    """Each mesh's success rate and duration, at three windows; the samples make sure there is an answer."""
    assert sum(_check(real, ours, query, at) for at in MOMENTS) > 0 or "10s" in what


@pytest.mark.parametrize("query", OTHERS)
def test_other_queries_are_answered_like_prometheus(real: Real, ours: SeriesStore, query: str) -> None:
    """Every function, operator and selector we claim to know, and what we refuse."""
    for at in MOMENTS:
        _check(real, ours, query, at)


@pytest.mark.parametrize("query", RANGE_QUERIES)
def test_range_queries_are_answered_like_prometheus(real: Real, ours: SeriesStore, query: str) -> None:
    """The same points at the same steps."""
    start, end = BEGIN + 100, BEGIN + 800
    answer = real.ask("/api/v1/query_range", query=query, start=start, end=end, step="7s")
    limits = promql.Limits(round(start * 1000), round(end * 1000))
    points = promql.over_range(ours, query, limits, 7000)
    mine = {(labels, at): value for labels, line in points.items() for at, value in line}
    _compare(mine, _theirs_by_labels(answer["data"]), query)


def test_the_comparison_covers_answers_not_only_empty_vectors(ours: SeriesStore) -> None:
    """Of the queries above, nearly all have something to say about the samples."""
    silent = []
    for query in [*(query for _, query in _built_in()), *OTHERS]:
        try:
            if promql.instant(ours, query, round(MOMENTS[1] * 1000)) == []:
                silent.append(query)
        except QueryError:
            continue
    assert len(silent) < 8, silent
