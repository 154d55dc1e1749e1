"""Lines, envelopes and versions."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.kube.backoff import LONGEST, Backoff
from gradatim.kube.envelope import Lines, Unreadable, named, newer, packed, read_event, read_parts, status


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_lines_are_the_same_however_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    lines, found = Lines(), []
    for start, end in itertools.pairwise(edges):
        found += lines.feed(stream[start:end])
    assert found == stream.split(b"\n")[:-1]


def test_a_line_of_many_megabytes_takes_linear_time() -> None:
    lines = Lines()
    for _ in range(20_000):
        assert lines.feed(b"x" * 1000) == []
    (line,) = lines.feed(b"\n")
    assert len(line) == 20_000_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5), st.dictionaries(st.text(max_size=8), json_values))
def test_what_is_kept_is_the_object_without_managed_fields(obj: dict[str, object], metadata: dict[str, object]) -> None:
    whole = {**obj, "metadata": {**metadata, "managedFields": [{"manager": "kubectl"}]}}
    metadata.pop("managedFields", None)
    kept = packed(read_parts(json.dumps(whole).encode()))
    assert msgspec.json.decode(kept) == {**obj, "metadata": metadata}


def test_an_object_without_name_or_version_is_unreadable_but_a_bookmark_is_not() -> None:
    bookmark = read_event(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","creationTimestamp":null}}}')
    with pytest.raises(Unreadable):
        named(bookmark.object)
    with pytest.raises(Unreadable):
        named(read_parts(b'{"metadata": {"name": 7, "resourceVersion": "7"}}'))
    with pytest.raises(Unreadable):
        named(read_parts(b"{}"))


def test_a_status_with_wrong_types_is_an_empty_one() -> None:
    assert status(read_parts(b'{"kind": "Status", "code": "410"}')).code is None


@given(st.integers(1, 10**20), st.integers(1, 10**20))
def test_versions_compare_as_numbers(a: int, b: int) -> None:
    assert newer(str(a), str(b)) == (a > b)


def test_no_version_is_older_than_any_and_odd_ones_are_newer_when_they_differ() -> None:
    assert newer("1", "")
    assert not newer("", "1")
    assert not newer("", "")
    assert newer("abc", "1")
    assert not newer("abc", "abc")


@given(st.floats(0, 1, exclude_max=True))
def test_pauses_double_up_to_the_longest_and_start_again_after_a_reset(luck: float) -> None:
    backoff = Backoff(lambda: luck)
    pauses = [backoff.next() for _ in range(12)]
    assert 0.25 <= pauses[0] <= 0.5
    assert all(later >= earlier for earlier, later in itertools.pairwise(pauses))
    assert LONGEST / 2 <= pauses[-1] <= LONGEST
    backoff.reset()
    assert backoff.next() == pauses[0]
