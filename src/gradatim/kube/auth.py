"""Where the cluster is and who we are there: in the cluster, from a kubeconfig, or at a URL.

How a kubeconfig is written is `kubeconfig.py`'s business, what it means `kubeconfig_access.py`'s, plug-ins are
`exec_auth.py`'s, and how identities stay fresh is `credentials.py`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gradatim.kube.credentials import Access, Files, Fixed, Identity
from gradatim.kube.errors import ConfigError
from gradatim.kube.kubeconfig import Kubeconfig
from gradatim.kube.kubeconfig_access import access, server_url
from gradatim.kube.tls import context as tls_context

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load(
    kubeconfig: str = "",
    *,
    context: str = "",
    master: str = "",
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """The Access that `-kubeconfig` and `-master` mean.

    `kubeconfig` is one path or, as in the variable KUBECONFIG, several. Without it, `master` is asked without
    credentials, and without either we are in a cluster.
    """
    if kubeconfig:
        paths = [Path(part).expanduser() for part in kubeconfig.split(os.pathsep) if part]
        return access(Kubeconfig.load(paths).choose(context, master), master, clock, wall)
    if master:
        return Access(server_url("-master", master, secure=False), Fixed(Identity()))
    return in_cluster(clock=clock, environ=environ, folder=service_account)


def default_kubeconfig(environ: Mapping[str, str] = os.environ) -> str:
    """What programs for people use when no path is given: KUBECONFIG, else ~/.kube/config. Not for the operator."""
    return environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def in_cluster(
    *,
    clock: Callable[[], float] = time.monotonic,
    environ: Mapping[str, str] = os.environ,
    folder: Path = SERVICE_ACCOUNT,
) -> Access:
    """The Access of a pod: its service account's token, read again every minute and when it is refused."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigError(
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; "
            "outside a cluster, give a file with -kubeconfig"
        )
    token, ca = _content(folder / "token"), _content(folder / "ca.crt")
    if not token.strip():
        raise ConfigError(f"{folder / 'token'} is empty; recreate the pod")
    try:
        tls_context(ca, insecure=False, certificate=None)
    except ConfigError as error:
        raise ConfigError(f"{folder / 'ca.crt'}: {error.message}") from error
    namespace = folder / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        credentials=Files(clock, token=folder / "token"),
        ca=ca,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; the pod needs its service account: set automountServiceAccountToken to true"
        ) from error
