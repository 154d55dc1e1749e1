"""Which proxy, if any, leads to a server: Go's reading of HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

Go's and not Python's, because NO_PROXY of a cluster usually holds address ranges such as `10.0.0.0/8`, and the API
server's address inside the cluster is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from gradatim.kube.errors import ConfigError

PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for a server's URL, from environment variables in either case."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = _variable(environ, f"{parts.scheme}_proxy")
    if not proxy or _bypassed(host, parts.port or PORTS.get(parts.scheme, 0), _variable(environ, "no_proxy")):
        return None
    return checked(proxy if "://" in proxy else f"http://{proxy}", f"{parts.scheme.upper()}_PROXY")


def checked(proxy: str, field: str) -> str:
    """The proxy's URL, or an error that names the field it comes from."""
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{field}: {proxy!r} cannot be used; write http://host:port or https://host:port")
    return proxy


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    host = host.lower().rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for rule in filter(None, (part.strip().lower() for part in no_proxy.split(","))):
        if rule == "*":
            return True
        if address is not None and "/" in rule:
            try:
                if address in ip_network(rule, strict=False):
                    return True
            except ValueError:
                pass
            continue
        name, only = _split(rule)
        if only and only != port:
            continue
        if name == host or (address is None and _below(host, name)):
            return True
    return False


def _split(rule: str) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address; port 0 stands for any."""
    if rule.startswith("["):
        name, _, rest = rule[1:].partition("]")
        return name, int(rest[1:]) if rest[1:].isdigit() else 0
    name, colon, port = rule.rpartition(":")
    if colon and port.isdigit() and ":" not in name:
        return name, int(port)
    return rule, 0


def _below(host: str, name: str) -> bool:
    """`example.com` covers itself and what is below, `.example.com` and `*.example.com` only what is below."""
    return host.endswith("." + name.removeprefix("*").lstrip("."))
