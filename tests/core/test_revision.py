"""Hashes and checksums: what is equal, what differs, and what a difference means."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.core.revision import Change, config_changed, config_checksum, is_ours, revision, spec_changed

OURS, OTHER = "g1-00112233445566aa", "g1-ffffffffffffffff"
FLAGGERS = "6765dd547f"

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("content", "canonical"),
    [
        ({}, "{}"),
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        ({"a": {"b": "\u00e9\u2028\U0001f600"}}, '{"a":{"b":"\\u00e9\\u2028\\ud83d\\ude00"}}'),
        ({"seconds": 10.0, "share": 0.5}, '{"seconds":10,"share":0.5}'),
        ({"metadata": {"creationTimestamp": None, "labels": {}}}, '{"metadata":{"labels":{}}}'),
    ],
)
def test_a_revision_is_a_hash_of_canonical_json(content: Any, canonical: str) -> None:
    """Spelled out, so that no later version of the operator takes every target for a new revision."""
    assert revision(content) == f"g1-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def test_a_revision_has_a_fixed_value() -> None:
    """A literal, so that a change of the recipe is noticed: it needs another name than `g1`."""
    assert revision({"spec": {"containers": [{"image": "shop:1", "name": "shop"}]}}) == "g1-4da4feafbd6cc04e"


@given(content=st.dictionaries(st.text(max_size=3), JSON))
def test_a_revision_does_not_depend_on_the_order_of_keys_nor_on_null_members(content: dict[str, Any]) -> None:
    reversed_ = dict(reversed(content.items()))
    assert revision(reversed_) == revision(content)
    assert revision({key: value for key, value in content.items() if value is not None}) == revision(content)


@given(one=JSON, other=JSON)
def test_different_contents_have_different_revisions(one: Any, other: Any) -> None:
    """Different but for null members, that is."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(member) for key, member in value.items() if member is not None}
        return [plain(member) for member in value] if isinstance(value, list) else value

    same = json.dumps(plain(one), sort_keys=True) == json.dumps(plain(other), sort_keys=True)
    assert (revision(one) == revision(other)) is same


@given(content=JSON)
def test_our_hashes_are_told_from_flaggers(content: Any) -> None:
    assert is_ours(revision(content))


@given(text=st.text(alphabet="456789bcdf", min_size=1, max_size=10))
def test_flaggers_hashes_are_not_taken_for_ours(text: str) -> None:
    assert not is_ours(text)


@pytest.mark.parametrize(
    "text", ["", "g1-", "g1-00112233445566a", "g1-00112233445566AA", "g2-00112233445566aa", f"{OURS}\n"]
)
def test_other_texts_are_not_taken_for_ours(text: str) -> None:
    assert not is_ours(text)


@pytest.mark.parametrize(
    ("applied", "promoted", "change", "why"),
    [
        ("", "", Change.NEW, "nothing was applied yet"),
        ("", OURS, Change.NEW, "an empty applied hash is looked at before the promoted one"),
        (OURS, OTHER, Change.NONE, "it is applied already"),
        (OTHER, OURS, Change.NONE, "going back to the promoted revision starts nothing"),
        (OTHER, OTHER, Change.NEW, "it is neither applied nor promoted"),
        (OTHER, FLAGGERS, Change.NEW, "adopted while failed: the promoted revision stays unknown"),
        (FLAGGERS, FLAGGERS, Change.UNKNOWN, "Flagger's hash cannot be compared"),
        (FLAGGERS, OTHER, Change.UNKNOWN, "Flagger's hash cannot be compared"),
        (FLAGGERS, OURS, Change.NONE, "the promoted revision is known"),
        ("g2-0000000000000000", "g2-0000000000000000", Change.UNKNOWN, "a later operator's hash cannot be compared"),
    ],
)
def test_what_a_revision_is_to_the_status(applied: str, promoted: str, change: Change, why: str) -> None:
    assert spec_changed(OURS, applied, promoted) is change, why


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        ({"color": "red"}, "241889ca0604e333"),
        ({"apiKey": "dGVzdA=="}, "3930f0692c2295eb"),
        (None, "74234e98afe7498f"),
        ({"greeting": "hello"}, "aac83f481075f7ca"),
        ({"greeting": "hi"}, "5becb8c5090f7265"),
        ({"token": "YWJj"}, "daefef06018e01b7"),
    ],
)
def test_checksums_of_configs_are_those_of_flagger(data: dict[str, str] | None, checksum: str) -> None:
    """Those of the specification; the last three are recorded."""
    assert config_checksum(data) == checksum


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        ({}, "{}"),
        ({"b": "2", "a": "1", "B": "0"}, '{"B":"0","a":"1","b":"2"}'),
        (
            {"\u00e4": "1", "z": "2", "\U0001f600": "3", "\uffff": "4"},
            '{"z":"2","\u00e4":"1","\uffff":"4","\U0001f600":"3"}',
        ),
        ({"a": "<&> \u2028\u2029"}, '{"a":"\\u003c\\u0026\\u003e \\u2028\\u2029"}'),
        ({"a": "\u00e4\u20ac\x7f/"}, '{"a":"\u00e4\u20ac\x7f/"}'),
        ({"a": '"\\\n\r\t\b\f\x01'}, '{"a":"\\"\\\\\\n\\r\\t\\b\\f\\u0001"}'),
    ],
)
def test_checksums_are_over_json_as_go_writes_it(data: dict[str, str], encoded: str) -> None:
    """Keys by their bytes, `<`, `>`, `&` and two separators escaped, everything else outside ASCII raw."""
    assert config_checksum(data) == hashlib.sha256(encoded.encode()).hexdigest()[:16]


@given(data=st.dictionaries(st.text(st.characters(), max_size=3), st.text(st.characters(), max_size=3)))
def test_every_text_has_a_checksum(data: dict[str, str]) -> None:
    """Also one with half a character, which no API server lets through."""
    assert len(config_checksum(data)) == 16


@pytest.mark.parametrize(
    ("now", "tracked", "changed", "why"),
    [
        (None, None, False, "nothing is tracked, nothing was"),
        (None, {"configmap/a": "1"}, False, "tracking was switched off"),
        ({}, None, False, "tracking was switched on, and there is nothing to track"),
        ({}, {}, False, "still nothing to track"),
        ({"configmap/a": "1"}, None, True, "a config came into sight"),
        ({"configmap/a": "1"}, {}, True, "a reference was added"),
        ({}, {"configmap/a": "1"}, True, "a reference was dropped"),
        ({"configmap/a": "1"}, {"configmap/a": "1"}, False, "all is as it was"),
        ({"configmap/a": "1"}, {"configmap/a": "2"}, True, "the content differs"),
        ({"configmap/a": "1"}, {"secret/a": "1"}, True, "another object"),
    ],
)
def test_when_configs_have_changed(
    now: dict[str, str] | None, tracked: dict[str, str] | None, changed: bool, why: str
) -> None:
    assert config_changed(now, tracked) is changed, why
