"""The operator under test: a process of its own, a service account of its own, and only the rights that we ship.

Its requests are counted by the API server's audit log, whatever its own metrics say.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import aiohttp
import yaml

from cluster.audit import Audit
from cluster.client import NAMESPACE, Client, Refused, path
from cluster.control_plane import ControlPlane, Credentials
from cluster.namespaces import SERVICE_ACCOUNT, make_namespace, until
from cluster.processes import Process, free_port
from gradatim.ports.objects import CANARY, Manifest

COMMAND = (sys.executable, "-m", "gradatim.apps.cli")
START_LIMIT = 30.0
LEAVING_LIMIT = 120.0
"""Seconds for namespaces to go: the garbage of many tests is collected at once."""
_HOME = "gradatim-system"
_CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}
_ROLES = {"ClusterRole", "Role"}

Grant: TypeAlias = tuple[str, str, str]
"""Group, resource with its subresource, and verb."""


def shipped_manifests(*arguments: str) -> list[Manifest]:
    """What `gradatim manifests` prints for an installation, without the definitions."""
    command = [*COMMAND, "manifests", "--no-crds", f"--namespace={_HOME}", *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(told.stdout))


def _unchanged(role: Manifest) -> Manifest:
    return role


class Account:
    """A service account with the shipped rights, in a namespace of its own."""

    def __init__(self, plane: ControlPlane, namespace: str, name: str, roles: Sequence[Manifest]) -> None:
        self.namespace, self.name, self.roles = namespace, name, roles
        self.user = f"system:serviceaccount:{namespace}:{name}"
        self._plane = plane

    @classmethod
    async def install(
        cls, plane: ControlPlane, client: Client, *arguments: str, change: Callable[[Manifest], Manifest] = _unchanged
    ) -> Account:
        """Create everything that an installation has, but for the program itself; `change` may spoil the roles."""
        namespace = await make_namespace(client, f"{_HOME}-{secrets.token_hex(3)}")
        shipped = [change(one) if one["kind"] in _ROLES else one for one in shipped_manifests(*arguments)]
        manifests = [_moved(one, namespace) for one in shipped]
        wanted = [one for one in manifests if one["kind"] not in {"Namespace", "Deployment", "Service"}]
        for manifest in wanted:
            await client.apply(manifest, namespace)
        (account,) = [one for one in wanted if one["kind"] == "ServiceAccount"]
        return cls(plane, namespace, account["metadata"]["name"], [one for one in wanted if one["kind"] in _ROLES])

    def granted(self) -> set[Grant]:
        """Group, resource and verb of everything that its roles allow: in all namespaces, and in its own."""
        return {
            (group, resource, verb)
            for role in self.roles
            for rule in role["rules"]
            for group in rule.get("apiGroups", ())
            for resource in rule.get("resources", ())
            for verb in rule["verbs"]
        }

    async def credentials(self, client: Client) -> Credentials:
        """A token that the API server issues for a day, as it does for pods."""
        where = path(SERVICE_ACCOUNT, self.namespace, self.name, "token")
        answer = await client.must("POST", where, {"spec": {"expirationSeconds": 86400}})
        return self._plane.bearer(self.user, answer["status"]["token"])


class Operator:
    """One running operator; `stop` or `kill` it in the end."""

    def __init__(self, account: Account, process: Process, port: int, audit: Audit) -> None:
        self.account, self.process, self.audit = account, process, audit
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    async def start(
        cls,
        plane: ControlPlane,
        client: Client,
        account: Account,
        flags: Mapping[str, str],
        *,
        server: str | None = None,
        log: Path | None = None,
        program: Sequence[str] = COMMAND,
        environ: Mapping[str, str] | None = None,
    ) -> Operator:
        """Start it with these flags (names without dashes) and wait until it is ready; `server` may be a proxy.

        One that watches everything would want to tell of the Canaries of earlier tests while they go with their
        namespaces, which take no events any more: they are waited for.
        """
        if "namespace" not in flags:
            await until(lambda: _undisturbed(client), "the end of the Canaries of earlier tests", LEAVING_LIMIT)
        label, port = f"operator-{secrets.token_hex(3)}", free_port()
        credentials = await account.credentials(client)
        config = credentials.kubeconfig(plane.home / f"{label}.kubeconfig", server)
        given = {"kubeconfig": str(config), "port": str(port), **flags}
        audit = Audit(plane.audit, account.user)
        command = [*program, "operator", *(f"-{name}={value}" for name, value in given.items())]
        operator = cls(account, Process(command, log or plane.home / f"{label}.log", environ), port, audit)
        try:
            await until(operator.ready, f"{label} ready", START_LIMIT)
        except BaseException:
            operator.process.kill()
            raise
        return operator

    async def ready(self) -> bool:
        """Whether it says so; raises with its last words if it has ended."""
        self.process.check()
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as got:
                return got.status == 200
        except aiohttp.ClientError:
            return False

    async def metrics(self) -> str:
        """Its own Prometheus page."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as got:
            return await got.text()

    def log(self) -> str:
        """Everything it has logged."""
        return self.process.log.read_text(errors="replace")

    def stop(self, grace: float = 10.0) -> int | None:
        """End it politely, as a cluster does; its exit code, or None if it had to be killed."""
        self.process.signal(signal.SIGTERM)
        code = self.process.wait(grace)
        if code is None:
            self.process.kill()
        return code

    def kill(self) -> None:
        """End it at once, as a lost machine does."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it where it stands, as a machine that hangs does."""
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.process.signal(signal.SIGCONT)


async def _undisturbed(client: Client) -> bool:
    """Whether no Canary is left in a namespace that is on its way out."""
    try:
        homes = {canary["metadata"]["namespace"] for canary in await client.items(CANARY)}
    except Refused:  # nobody has installed the kind yet
        return True
    leaving = {
        one["metadata"]["name"] for one in await client.items(NAMESPACE) if one["metadata"].get("deletionTimestamp")
    }
    return not homes & leaving


def _moved(manifest: Manifest, namespace: str) -> Manifest:
    """The same in another namespace; what is cluster-wide gets the namespace's name, so that several can be there."""
    moved: Manifest = yaml.safe_load(yaml.safe_dump(manifest).replace(_HOME, namespace))
    if moved["kind"] in _CLUSTER_WIDE:
        moved["metadata"]["name"] = namespace
    if moved.get("roleRef", {}).get("kind") == "ClusterRole":
        moved["roleRef"]["name"] = namespace
    return moved
