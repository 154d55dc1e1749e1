"""A network namespace of its own: every address of 10.1.0.0/16 is local there, and no packet comes in or out."""

from __future__ import annotations

import subprocess

ADVERTISED = "10.0.0.1"
"""The API server's address; EndpointSlices refuse those of the loopback network, which pods therefore cannot have."""

_KINDS = (("--net",), ("--map-root-user", "--net"))
"""Root may make one where users may not, and users may where there are user namespaces."""

_SET_UP = f"""
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
ip route add local 10.1.0.0/16 dev lo
ip address add {ADVERTISED}/32 dev lo
exec "$@"
"""


class NoSpace(Exception):
    """This machine allows no namespaces; the message says what it said."""


def entrance() -> list[str]:
    """The words to put before a command that is to run in such a namespace.

    The command is also the first process of a process namespace, so that all it started ends with it, and it ends when
    its parent does.
    """
    said = []
    for kind in _KINDS:
        words = ["unshare", *kind, "--pid", "--fork", "--kill-child", "sh", "-euc", _SET_UP, "sh"]
        try:
            tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NoSpace("there is no program unshare (util-linux)") from None
        if tried.returncode == 0:
            return words
        said.append(tried.stderr.strip())
    raise NoSpace(f"network namespaces cannot be made here: {'; '.join(said)}")
