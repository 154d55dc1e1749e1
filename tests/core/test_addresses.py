"""Addresses are shown without passwords, and answers only by their beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.core.addresses import is_web_address, split_credentials, without_password
from gradatim.core.excerpts import excerpt


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/path", "http://host/path"),
        ("http://me:secret@host/path?x=1", "http://me:xxxxx@host/path?x=1"),
        ("https://me@host", "https://me@host"),
        ("http://:secret@host", "http://:xxxxx@host"),
        ("http://me:a:b@c@host/", "http://me:xxxxx@host/"),
        ("http://host/path@with:at", "http://host/path@with:at"),
        ("http://host?to=me:secret@x", "http://host?to=me:secret@x"),
        ("no address at all", "no address at all"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "rest", "login"),
    [
        ("http://host/path", "http://host/path", None),
        ("http://me:s%40cret%3A@host:81/path", "http://host:81/path", ("me", "s@cret:")),
        ("https://token@host", "https://host", ("token", "")),
    ],
)
def test_user_and_password_leave_an_address(url: str, rest: str, login: tuple[str, str] | None) -> None:
    assert split_credentials(url) == (rest, login)


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("http://host", True),
        ("https://me:x@host:8443/path?q=1", True),
        ("http://[::1]:9090", True),
        ("host:9090", False),
        ("", False),
        ("ftp://host", False),
        ("http://", False),
        ("http://host:0", False),
        ("http://host:99999", False),
        ("http://host/a b", False),
        ("http://[::1", False),
        ("http://host\n", False),
    ],
)
def test_only_addresses_of_the_web_are_usable(url: str, usable: bool) -> None:
    assert is_web_address(url) is usable


@given(st.text(alphabet="ab:@/?#.[]% \n", max_size=20))
def test_no_text_upsets_these(text: str) -> None:
    is_web_address("http://" + text)
    assert "S3CRET" not in without_password(f"http://me:S3CRET@{text}")


def test_an_excerpt_says_that_it_is_one() -> None:
    assert excerpt("a" * 200) == "a" * 200
    assert excerpt("a" * 201) == "a" * 200 + "…"
    assert excerpt("abc", 2) == "ab…"
