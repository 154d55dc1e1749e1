"""Cookies as text: the table of the specification, and the attributes on the way out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.api.canary import SessionAffinity
from gradatim.providers import cookies

FULL = SessionAffinity(
    cookie_name="tier",
    max_age=600,
    domain="shop.example",
    http_only=True,
    partitioned=True,
    path="/cart",
    same_site="Lax",
    secure=True,
)


@pytest.mark.parametrize(
    ("affinity", "text"),
    [
        (SessionAffinity(cookie_name="tier"), "tier=QmZtRkLpWx; Max-Age=86400"),
        (
            SessionAffinity(cookie_name="tier", max_age=0, secure=True, path="/"),
            "tier=QmZtRkLpWx; Max-Age=86400; Path=/; Secure",
        ),
        (
            FULL,
            "tier=QmZtRkLpWx; Max-Age=600; Domain=shop.example; HttpOnly; Partitioned; Path=/cart; "
            "SameSite=Lax; Secure",
        ),
    ],
)
def test_attributes_come_in_a_fixed_order(affinity: SessionAffinity, text: str) -> None:
    """As Flagger writes them, so that a run can be taken over without a write."""
    assert cookies.handed_to_canary("tier=QmZtRkLpWx", affinity) == text


def test_a_cookie_is_withdrawn_with_its_attributes() -> None:
    """A browser keeps a cookie whose Domain, Path or Partitioned differ (E-18); alone, it is Flagger's text."""
    assert cookies.withdrawn("tier=a", SessionAffinity(cookie_name="tier")) == "tier=a; Max-Age=-1"
    assert cookies.withdrawn("tier=a", FULL) == cookies.handed_to_canary("tier=a", FULL).replace("=600", "=-1")


@pytest.mark.parametrize("name", ["tier", "shop-affinity", "a_b"])
def test_patterns_of_ordinary_names_are_flaggers(name: str) -> None:
    """Another spelling would drop the users of a run that Flagger began."""
    assert cookies.pattern(f"{name}=QmZtRkLpWx") == f".*{name}.*QmZtRkLpWx.*"


_name = st.text("abz019!#$%&'*+-.^_`|~", min_size=1)
_value = st.text("abcXYZ", min_size=10, max_size=10)


@given(name=_name, value=_value, other=_value)
def test_a_pattern_finds_its_cookie_and_no_other_value(name: str, value: str, other: str) -> None:
    """Whatever characters a cookie's name may have (E-16)."""
    pattern = re.compile(cookies.pattern(f"{name}={value}"))
    assert pattern.fullmatch(f"a=b; {name}={value}; c=d")
    assert other == value or not pattern.fullmatch(f"a=b; {name}={other}; c=d")
