"""The smallest patch turns the live object into the wanted one; an empty one means that there is nothing to write."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gradatim.engine.differences import fields_of, merge_patch

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
SPECS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def patched(target: Any, patch: Any) -> Any:
    """RFC 7386, as its pseudo code says."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


def without_nothing(value: Any) -> Any:
    """The same without nulls and empty containers in mappings, which mean the same as no key at all."""
    if isinstance(value, dict):
        found = {key: without_nothing(inner) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner not in (None, {}, [])}
    return value


@given(SPECS, SPECS)
def test_the_patch_applied_to_the_live_object_gives_the_wanted_one(live: Any, wanted: Any) -> None:
    before = copy.deepcopy(live)
    patch = merge_patch({"spec": live}, {"spec": wanted})
    assert without_nothing(patched({"spec": live}, patch)) == without_nothing({"spec": wanted})
    assert live == before


@given(SPECS)
def test_equal_objects_need_no_patch(spec: Any) -> None:
    assert merge_patch({"spec": spec}, {"spec": copy.deepcopy(spec)}) == {}


def test_what_the_server_makes_is_never_sent() -> None:
    live = {
        "metadata": {"name": "x", "uid": "1", "resourceVersion": "5", "labels": {"a": "b"}, "managedFields": []},
        "status": {"ready": 1},
    }
    wanted = {"metadata": {"name": "x", "labels": {"a": "c"}}, "status": {"ready": 2}}
    assert merge_patch(live, wanted) == {"metadata": {"labels": {"a": "c"}}}


def test_paths_name_the_changed_fields() -> None:
    fields = fields_of({"spec": {"selector": {"app": "x"}, "ports": [1], "type": None}})
    assert fields == {"spec.selector.app": "x", "spec.ports": [1], "spec.type": None}
