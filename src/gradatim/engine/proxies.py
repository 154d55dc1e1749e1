"""Which proxy the environment names for an address: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, read as Go reads them.

Clusters list address ranges and domains of their own in `NO_PROXY`; Python's own reading of it knows no ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Proxies:
    """The proxies of one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._proxies = {
            scheme: _either(environment, f"{scheme.upper()}_PROXY", f"{scheme}_proxy") for scheme in _PORTS
        }
        self._direct = [entry.strip().lower() for entry in _either(environment, "NO_PROXY", "no_proxy").split(",")]

    def of(self, url: str) -> str:
        """The proxy's URL; empty where none is to be used."""
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme, "")
        host = (parts.hostname or "").rstrip(".")
        if not proxy or _is_local(host) or self._is_direct(host, parts.port or _PORTS[parts.scheme]):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_direct(self, host: str, port: int) -> bool:
        return any(_covers(entry, host, port) for entry in self._direct if entry)


def _either(environment: Mapping[str, str], upper: str, lower: str) -> str:
    return environment.get(upper) or environment.get(lower) or ""


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` means this host: `*`, an address, a range, or a domain; the latter with a port."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, _, own_port = entry.rpartition(":") if _ends_in_port(entry) else (entry, "", "")
    if own_port and int(own_port) != port:
        return False
    name = name.strip("[]").removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _ends_in_port(entry: str) -> bool:
    name, colon, port = entry.rpartition(":")
    return bool(colon) and port.isdecimal() and (":" not in name or name.endswith("]"))
