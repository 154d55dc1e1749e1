"""Metrics sources against their vector files: one file for each module below `providers/metrics`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scripted_http import Exchange, ScriptedHttp

from gradatim.api.metric_template import MetricProvider
from gradatim.core.measurement import NoValues, Value
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpResponse
from gradatim.ports.metrics import Source
from gradatim.providers import registry
from gradatim.providers.metrics import prometheus

FILES = sorted((Path(__file__).parents[1] / "vectors/metrics").glob("*.yaml"))


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row; what is built from `provider`, `secret` and `interval` is asked `query` at `now`."""

    name: str
    provider: dict[str, Any]
    secret: dict[str, str] | None = None
    interval: str = "1m"
    query: str = ""
    now: float = 1763863206.0
    exchanges: tuple[Exchange, ...] = ()
    value: float | None = None
    no_values: str | None = None
    error: str | None = None
    error_begins: str = ""
    error_ends: str = ""

    @property
    def fails(self) -> bool:
        return self.error is not None or bool(self.error_begins)


class Vectors(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file."""

    type: str
    builds: tuple[Case, ...] = ()
    queries: tuple[Case, ...]
    online: tuple[Case, ...]


def cases(table: str) -> list[Any]:
    return [
        pytest.param(vectors.type, case, id=f"{vectors.type}: {case.name}")
        for vectors in (msgspec.convert(yaml.safe_load(file.read_text()), Vectors) for file in FILES)
        for case in getattr(vectors, table)
    ]


def built(kind: str, case: Case) -> Source:
    provider = msgspec.convert({"type": kind, **case.provider}, MetricProvider)
    return registry.source(kind).build(provider, case.secret, case.interval)


def check_error(case: Case, message: str) -> None:
    if case.error is not None:
        assert message == case.error
    assert message.startswith(case.error_begins)
    assert message.endswith(case.error_ends)


def test_every_source_has_a_vector_file() -> None:
    types = {msgspec.convert(yaml.safe_load(file.read_text()), Vectors).type for file in FILES}
    assert types == {source.type for source in registry.sources()}


@pytest.mark.parametrize(("kind", "case"), cases("builds"))
def test_a_source_that_cannot_be_built_says_why(kind: str, case: Case) -> None:
    assert case.fails
    with pytest.raises(ProviderError) as caught:
        built(kind, case)
    check_error(case, caught.value.message)


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "case"), cases("queries"))
async def test_a_query(kind: str, case: Case) -> None:
    """The vectors are the sentences: what is sent, and what is made of the answer."""
    source, http = built(kind, case), ScriptedHttp(case.exchanges)
    if case.fails:
        with pytest.raises(ProviderError) as caught:
            await source.measure(case.query, http, case.now)
        check_error(case, caught.value.message)
    else:
        found = await source.measure(case.query, http, case.now)
        assert found == (
            NoValues(case.no_values) if case.value is None and case.no_values else Value(case.value or 0.0)
        )
        assert (case.value is None) != (case.no_values is None)
    assert not http.left


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "case"), cases("online"))
async def test_whether_a_source_answers(kind: str, case: Case) -> None:
    """`online` returns or says why not."""
    source, http = built(kind, case), ScriptedHttp(case.exchanges)
    if case.fails:
        with pytest.raises(ProviderError) as caught:
            await source.online(http)
        check_error(case, caught.value.message)
    else:
        await source.online(http)
    assert not http.left


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["vector", "matrix", "scalar", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "resultType", "result", "value", "values", "metric", "error"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_prometheus_never_crashes_on_any_answer(data: Any) -> None:
    """A number, no number, or a sentence; the reference's whole controller crashed on some of these."""
    response = HttpResponse(200, {}, msgspec.json.encode({"status": "success", "data": data}))
    try:
        found = prometheus.parse(response)
    except ProviderError as error:
        found = NoValues(error.message)
    assert isinstance(found, NoValues) or not math.isnan(found.value)


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"data":' * 100_000, b"\xff\xfe", b'{"status":"\xff"}'])
def test_prometheus_refuses_hostile_bodies(body: bytes) -> None:
    with pytest.raises(ProviderError, match=r"^error unmarshaling result: "):
        prometheus.parse(HttpResponse(200, {}, body))
