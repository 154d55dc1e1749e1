"""etcd, kube-apiserver and kube-controller-manager as local processes, up in seconds and gone in three.

Everything lives in one temporary folder. There is no scheduler and no kubelet; `nodes` stands in for both. Access rules
are enforced (RBAC) and the requests of audited users are written down one by one, which `audit` reads.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

from cluster.pki import Authority, Pair
from cluster.processes import Died, Process, free_port, stop_all
from gradatim.ports.objects import Manifest

AUDITED = "system:serviceaccounts"
"""The group whose requests the audit log lists: service accounts, which here are the operators under test."""

SERVICES = "10.96.0.0/16"
START_LIMIT = 90.0
STOP_GRACE = 3.0
_LOOPBACK = "127.0.0.1"

# What needs real machines or a cloud, and what would only add noise to the states that the tests compare.
CONTROLLERS_OFF = (
    "node-lifecycle-controller",
    "node-ipam-controller",
    "ttl-controller",
    "root-ca-certificate-publisher-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "ephemeral-volume-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
)


@dataclass(frozen=True)
class Credentials:
    """How one user reaches the API server: a client certificate, or a bearer token."""

    user: str
    server: str
    authority: Path
    pair: Pair | None = None
    token: str = ""

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the API server and shows the certificate, if there is one."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if self.pair:
            context.load_cert_chain(self.pair.certificate, self.pair.key)
        return context

    def kubeconfig(self, path: Path, server: str | None = None) -> Path:
        """Write a kubeconfig file; `server` overrides the address, for proxies in between."""
        user: Manifest = {"token": self.token}
        if self.pair:
            user = {"client-certificate": str(self.pair.certificate), "client-key": str(self.pair.key)}
        address = {"server": server or self.server, "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": address}],
            "users": [{"name": self.user, "user": user}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": self.user}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))
        return path


class ControlPlane:
    """A running control plane; `stop` it, or use it in a `with`."""

    def __init__(
        self, programs: Path, advertise: str = _LOOPBACK, verbosity: int = 0, endpoints_after: str = "0s"
    ) -> None:
        self.programs = programs
        self.home = Path(tempfile.mkdtemp(prefix="gradatim-control-plane-"))
        self.audit = self.home / "audit.log"
        self._advertise = advertise
        self._verbosity = verbosity
        self._endpoints_after = endpoints_after
        self._authority = Authority(self.home)
        self._serving = self._authority.server("localhost", _LOOPBACK, advertise, "10.96.0.1", "kubernetes.default.svc")
        self._tokens = self._authority.signing_key("service-accounts")
        self._etcd_port, self._etcd_peers, self._port = free_port(), free_port(), free_port()
        self.url = f"https://{_LOOPBACK}:{self._port}"
        self.admin = self.user("admin", "system:masters")
        self.etcd = self._start_etcd()
        self.api_server = self._start_api_server()
        self.controllers = self._start_controllers()

    @classmethod
    def start(cls, programs: Path, advertise: str = _LOOPBACK, endpoints_after: str = "0s") -> ControlPlane:
        """Start everything and wait until it is ready; once more if another process took a port meanwhile.

        `endpoints_after` is how long EndpointSlices lag behind their pods, as where there are many of both.
        """
        for last in (False, False, True):
            plane = cls(programs, advertise, endpoints_after=endpoints_after)
            try:
                plane.wait_ready()
            except Died as error:
                plane.stop()
                if last or "address already in use" not in str(error):
                    raise
            except BaseException:
                plane.stop()
                raise
            else:
                return plane
        raise AssertionError("the last round returns or raises")

    def __enter__(self) -> ControlPlane:
        """Nothing to do: it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """End all three within seconds and remove what they wrote."""
        stop_all([self.controllers, self.api_server, self.etcd], STOP_GRACE)
        shutil.rmtree(self.home, ignore_errors=True)

    def user(self, name: str, *groups: str) -> Credentials:
        """Credentials by client certificate for a user in these groups; what it may do is up to RBAC."""
        return Credentials(name, self.url, self._authority.certificate, pair=self._authority.client(name, groups))

    def bearer(self, name: str, token: str) -> Credentials:
        """Credentials by a token that the API server issued."""
        return Credentials(name, self.url, self._authority.certificate, token=token)

    def wait_ready(self, seconds: float = START_LIMIT) -> None:
        """Return when the API server calls itself ready; raise if it or etcd has ended.

        The controllers wait for it ten seconds and then end, which on a busy machine may be too early.
        """
        tls, deadline = self.admin.tls(), time.monotonic() + seconds
        while not _answers_ok(self._port, tls):
            for process in (self.etcd, self.api_server):
                process.check()
            if time.monotonic() > deadline:
                raise Died(f"kube-apiserver is not ready after {seconds:.0f} s:\n{self.api_server.last_words()}")
            time.sleep(0.05)
        if not self.controllers.running:
            self.controllers = self._start_controllers()

    def kill_api_server(self) -> None:
        """End the API server as a crash would; etcd keeps everything."""
        self.api_server.kill()

    def restart_api_server(self) -> None:
        """Start the API server again at the same address and wait until it is ready.

        The controllers are started anew, too: by themselves they come back up to a minute later.
        """
        self.api_server.kill()
        self.controllers.kill()
        self.api_server = self._start_api_server()
        self.controllers = self._start_controllers()
        self.wait_ready()

    def restart_controllers(self) -> None:
        """Start the controllers again. They look for new kinds every half minute, and at once when they start."""
        self.controllers.kill()
        self.controllers = self._start_controllers()

    def forget_history(self) -> int:
        """Compact etcd up to now, as it happens by itself every five minutes elsewhere; the revision kept."""
        revision = int(self._ask_etcd("kv/range", {"key": "AA=="})["header"]["revision"])
        self._ask_etcd("kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def _ask_etcd(self, call: str, body: Manifest) -> Manifest:
        request = urllib.request.Request(
            f"http://{_LOOPBACK}:{self._etcd_port}/v3/{call}", data=json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            decoded: Manifest = json.load(answer)
        return decoded

    def _start_etcd(self) -> Process:
        clients, peers = f"http://{_LOOPBACK}:{self._etcd_port}", f"http://{_LOOPBACK}:{self._etcd_peers}"
        flags = {
            "name": "default",
            "data-dir": self.home / "etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",
            "log-level": "error",
        }
        return self._run("etcd", flags)

    def _start_api_server(self) -> Process:
        policy = self.home / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        flags = {
            "etcd-servers": f"http://{_LOOPBACK}:{self._etcd_port}",
            "etcd-compaction-interval": "0",  # history is forgotten when a test says so
            "bind-address": "0.0.0.0" if self._advertise != _LOOPBACK else _LOOPBACK,
            "advertise-address": self._advertise,
            "secure-port": self._port,
            "endpoint-reconciler-type": "none",  # EndpointSlices refuse loopback addresses
            "tls-cert-file": self._serving.certificate,
            "tls-private-key-file": self._serving.key,
            "client-ca-file": self._authority.certificate,
            "authorization-mode": "RBAC",
            # As on OpenShift: blocking an owner's deletion needs the right to update its finalizers.
            "enable-admission-plugins": "OwnerReferencesPermissionEnforcement",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self._tokens,
            "service-account-signing-key-file": self._tokens,
            "service-cluster-ip-range": SERVICES,
            "audit-policy-file": policy,
            "audit-log-path": self.audit,
            "audit-log-maxsize": 4000,
            "profiling": "false",
            "v": self._verbosity,
        }
        return self._run("kube-apiserver", flags)

    def _start_controllers(self) -> Process:
        config = self.user("system:kube-controller-manager", "system:masters").kubeconfig(
            self.home / "controllers.yaml"
        )
        flags = {
            "kubeconfig": config,
            "secure-port": 0,
            "leader-elect": "false",
            "controllers": ",".join(["*", *(f"-{name}" for name in CONTROLLERS_OFF)]),
            "service-account-private-key-file": self._tokens,
            # Left alone it limits itself to 20 requests a second, and every test would wait for it.
            "kube-api-qps": 2000,
            "kube-api-burst": 4000,
            "concurrent-gc-syncs": 10,
            "endpointslice-updates-batch-period": self._endpoints_after,
            "v": self._verbosity,
        }
        return self._run("kube-controller-manager", flags)

    def _run(self, program: str, flags: Manifest) -> Process:
        command: list[str | Path] = [self.programs / program, *(f"--{name}={value}" for name, value in flags.items())]
        return Process(command, self.home / f"{program}.log", {"GOGC": _GARBAGE})


_GARBAGE = "400"
"""Memory is cheaper than time here: at Go's default of 100 garbage takes a sixth of the API server's time."""

_AUDIT_POLICY: Manifest = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [AUDITED]}, {"level": "None"}],
}


def _answers_ok(port: int, tls: ssl.SSLContext) -> bool:
    connection = http.client.HTTPSConnection(_LOOPBACK, port, timeout=2, context=tls)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
