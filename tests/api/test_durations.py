"""Durations are read and written as Go reads and writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gradatim.api.durations import format_duration, parse_duration

VECTORS = yaml.safe_load((Path(__file__).parents[1] / "vectors/api/durations.yaml").read_text())
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [pytest.param(row["text"], row["nanoseconds"], id=repr(row["text"])) for row in VECTORS["parse"]],
)
def test_a_text_is_the_duration_that_go_reads_or_none(text: str, nanoseconds: int | None) -> None:
    if nanoseconds is None:
        with pytest.raises(ValueError, match="is no duration; write a number and a unit, such as 30s") as caught:
            parse_duration(text)
        assert repr(text) in str(caught.value)
    else:
        assert parse_duration(text) == pytest.approx(nanoseconds / 1e9, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(("nanoseconds", "text"), [(row["nanoseconds"], row["text"]) for row in VECTORS["format"]])
def test_a_duration_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds / 1e9) == text


@given(st.integers(-(10**15), 10**15))
def test_what_is_written_is_read_back(microseconds: int) -> None:
    """Up to thirty years, to the microsecond."""
    seconds = microseconds / 1e6
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 10**5), st.sampled_from(sorted(UNITS))), min_size=1, max_size=6))
def test_parts_add_up_in_any_order(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts))


@given(st.floats(-1e9, 1e9))
def test_writing_never_gives_what_reading_refuses(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@given(st.text(alphabet="0123456789.-+ nuµmsh", max_size=12))
def test_nonsense_is_refused_in_a_sentence(text: str) -> None:
    try:
        said = str(parse_duration(text))
    except ValueError as error:
        said = str(error)
        assert "is no duration" in said
    assert said
