"""Proxies of the environment, read as Go programs read them."""

from __future__ import annotations

import pytest

from gradatim.engine.proxies import Proxies


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "http://host", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://host", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "http://host", "http://p:1"),
        ({"HTTP_PROXY": "http://upper", "http_proxy": "http://lower"}, "http://host", "http://upper"),
        ({"HTTP_PROXY": "p:3128"}, "http://host", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:1"}, "https://host", ""),
        ({"HTTPS_PROXY": "http://p:2"}, "https://host", "http://p:2"),
        ({"HTTP_PROXY": "http://p"}, "http://localhost:9090", ""),
        ({"HTTP_PROXY": "http://p"}, "http://127.0.0.5", ""),
        ({"HTTP_PROXY": "http://p"}, "http://[::1]:9090", ""),
    ],
)
def test_which_proxy(environment: dict[str, str], url: str, proxy: str) -> None:
    assert Proxies(environment).of(url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "http://anything", True),
        ("", "http://anything", False),
        ("example.com", "http://example.com", True),
        ("example.com", "http://a.example.com", True),
        ("example.com", "http://EXAMPLE.com.", True),
        ("example.com", "http://notexample.com", False),
        (".example.com", "http://a.example.com", True),
        (".example.com", "http://example.com", False),
        ("*.example.com", "http://a.example.com", True),
        ("a, .svc , b", "http://prometheus.monitoring.svc:9090", True),
        (".cluster.local", "http://prometheus.monitoring.svc.cluster.local", True),
        ("10.0.0.0/8", "http://10.96.1.2:9090", True),
        ("10.0.0.0/8", "http://11.0.0.1", False),
        ("10.1.2.3", "http://10.1.2.3", True),
        ("10.1.2.3:9090", "http://10.1.2.3:9090", True),
        ("10.1.2.3:9090", "http://10.1.2.3:80", False),
        ("example.com:8080", "http://example.com:8080", True),
        ("example.com:80", "http://example.com", True),
        ("example.com:8080", "http://example.com", False),
        ("fd00::/8", "http://[fd00::1]", True),
        ("fd00::1", "http://[fd00::1]", True),
        ("[fd00::1]:80", "http://[fd00::1]", True),
        ("nonsense/xx", "http://host", False),
    ],
)
def test_what_goes_without_one(no_proxy: str, url: str, direct: bool) -> None:
    """Names with their subdomains, addresses and ranges, each with a port if wanted."""
    assert (Proxies({"HTTP_PROXY": "http://p", "NO_PROXY": no_proxy}).of(url) == "") is direct
