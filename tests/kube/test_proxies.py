"""Which proxy leads to a server, as Go reads the environment."""

from __future__ import annotations

import pytest

from gradatim.kube.errors import ConfigError
from gradatim.kube.proxies import proxy_for

PROXY = {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://plain:3128"}


@pytest.mark.parametrize(
    ("server", "no_proxy", "expected"),
    [
        ("https://10.0.0.1:6443", "", "http://proxy:3128"),
        ("http://10.0.0.1:8080", "", "http://plain:3128"),
        ("https://10.96.0.1:443", "10.0.0.0/8,.svc", None),
        ("https://11.96.0.1:443", "10.0.0.0/8,.svc", "http://proxy:3128"),
        ("https://[fd00::1]:443", "fd00::/8", None),
        ("https://[fd00::1]:443", "fd00::1", None),
        ("https://[fd00::1]:443", "[fd00::1]:443", None),
        ("https://[fd00::1]:443", "[fd00::1]:6443", "http://proxy:3128"),
        ("https://10.0.0.1", "10.0.0.1", None),
        ("https://10.0.0.11", "10.0.0.1", "http://proxy:3128"),
        ("https://kubernetes.default.svc", ".svc", None),
        ("https://kubernetes.default.svc", "*.svc", None),
        ("https://svc", ".svc", "http://proxy:3128"),
        ("https://api.example.com", "example.com", None),
        ("https://example.com", "example.com", None),
        ("https://badexample.com", "example.com", "http://proxy:3128"),
        ("https://API.Example.com", " EXAMPLE.COM ", None),
        ("https://example.com:6443", "example.com:6443", None),
        ("https://example.com", "example.com:443", None),
        ("https://example.com:6443", "example.com:443", "http://proxy:3128"),
        ("https://anything", "*", None),
        ("https://localhost:6443", "", None),
        ("https://127.0.0.1:6443", "", None),
        ("https://[::1]:6443", "", None),
        ("https://10.0.0.1", "10.0.0.0/99,x/y", "http://proxy:3128"),
    ],
)
def test_what_no_proxy_means(server: str, no_proxy: str, expected: str | None) -> None:
    assert proxy_for(server, {**PROXY, "NO_PROXY": no_proxy}) == expected


def test_small_letters_count_too_and_a_bare_host_is_http() -> None:
    assert proxy_for("https://a", {"https_proxy": "p:1", "no_proxy": "b"}) == "http://p:1"
    assert proxy_for("https://b", {"https_proxy": "p:1", "no_proxy": "b"}) is None
    assert proxy_for("https://b", {}) is None


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://", "http://p:99999"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str) -> None:
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY: .* cannot be used; write http://host:port"):
        proxy_for("https://a", {"HTTPS_PROXY": proxy})
