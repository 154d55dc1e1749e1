"""Everything that is there before an operator is started: the real API server, and scripted ones beside it."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.hooks import Hooks
from cluster.operator import Account
from cluster.prometheus import Prometheus


@dataclass(frozen=True)
class Servers:
    """The servers that all stories share."""

    plane: ControlPlane
    admin: Client
    prometheus: Prometheus
    hooks: Hooks

    def flags(self) -> dict[str, str]:
        """Those of an operator with short times."""
        return {
            "metrics-server": self.prometheus.url,
            "mesh-provider": "nginx",
            "minimum-interval": "1s",
            "settle-time": "300ms",
        }

    def candidate(self, account: Account) -> dict[str, str]:
        """Those of one that has nothing to do but to lead; the Lease is where the account may use it."""
        return {**self.flags(), "namespace": account.namespace, "enable-leader-election": "true"}
