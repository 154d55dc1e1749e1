"""What a kubeconfig means: how to reach the cluster, and as whom.

Every mistake is an error that names the file, the field and the way out, and it is found here, at the start, rather
than in the middle of a request.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gradatim.kube.credentials import (
    Access,
    Certificate,
    Credentials,
    Files,
    Fixed,
    Identity,
    basic,
    bearer,
    impersonation,
)
from gradatim.kube.errors import ConfigError
from gradatim.kube.exec_auth import GROUP, VERSIONS, Exec, Plugin, cluster_info, located
from gradatim.kube.kubeconfig import Chosen, Cluster, ExecConfig, Place, User
from gradatim.kube.proxies import checked
from gradatim.kube.tls import context as tls_context


def access(chosen: Chosen, master: str, clock: Callable[[], float], wall: Callable[[], float]) -> Access:
    """How to reach the chosen cluster as the chosen user; `master` takes the place of the cluster's URL."""
    cluster = _cluster_access(chosen.cluster_place, chosen.cluster, master)
    credentials = _credentials(chosen, cluster, clock, wall)
    return msgspec.structs.replace(cluster, credentials=credentials, namespace=chosen.namespace)


def _cluster_access(at: Place, cluster: Cluster, master: str) -> Access:
    ca = _data(at, "certificate-authority", cluster.certificate_authority_data, cluster.certificate_authority)
    if ca and cluster.insecure_skip_tls_verify:
        raise at.wrong(
            "insecure-skip-tls-verify", "cannot be used together with a certificate authority; remove one of the two"
        )
    if ca:
        try:
            tls_context(ca, insecure=False, certificate=None)
        except ConfigError as error:
            raise at.wrong("certificate-authority", error.message) from error
    secure = bool(ca or cluster.insecure_skip_tls_verify)
    server = server_url("-master" if master else f"{at.words}.server", master or cluster.server, secure)
    if cluster.proxy_url:
        checked(cluster.proxy_url, f"{at.words}.proxy-url")
    return Access(
        server,
        Fixed(Identity()),
        ca,
        cluster.insecure_skip_tls_verify,
        cluster.tls_server_name,
        cluster.proxy_url,
    )


def server_url(field: str, server: str, secure: bool) -> str:
    """The API server's URL as written in `field`; without a scheme, `secure` says which one is meant."""
    if not server:
        raise ConfigError(f"{field}: is not set; write the API server's URL, such as https://10.0.0.1:6443")
    if "://" not in server:
        server = f"{'https' if secure else 'http'}://{server}"
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{field}: {server!r} is no URL of an API server; write https://host:port")
    return server.rstrip("/")


def _credentials(chosen: Chosen, access: Access, clock: Callable[[], float], wall: Callable[[], float]) -> Credentials:
    at, user = chosen.user_place, chosen.user
    if user.auth_provider is not None:
        raise at.wrong("auth-provider", "is not supported; use an exec plug-in or a token")
    if (user.token or user.token_file) and (user.username or user.password):
        raise at.wrong("token", "and username/password are both given; keep one of them")
    if not user.as_user and (user.as_uid or user.as_groups or user.as_user_extra):
        raise at.wrong("as", "is needed when as-uid, as-groups or as-user-extra are given; name the user")
    headers = impersonation(user.as_user, user.as_uid, user.as_groups, user.as_user_extra)
    certificate = _certificate(at, user)
    if user.token_file:
        _content(at, "tokenFile", user.token_file)
        return Files(clock, token=at.path(user.token_file), certificate=certificate, headers=headers)
    if user.token:
        return Files(clock, certificate=certificate, headers=(bearer(user.token), *headers))
    if user.exec is not None:
        return Exec(_plugin(at, user.exec, chosen.cluster, access), wall, headers=headers)
    if user.username or user.password:
        headers = (basic(user.username, user.password), *headers)
    return Files(clock, certificate=certificate, headers=headers)


def _certificate(at: Place, user: User) -> tuple[bytes | Path, bytes | Path] | None:
    """Certificate and key; files stay paths, because they are rotated."""
    chain = _data(at, "client-certificate", user.client_certificate_data, user.client_certificate)
    key = _data(at, "client-key", user.client_key_data, user.client_key)
    if not chain and not key:
        return None
    if not chain or not key:
        missing = "client-key" if chain else "client-certificate"
        raise at.wrong(missing, f"is missing; a certificate needs its key: set {missing} or {missing}-data")
    try:
        tls_context(b"", insecure=True, certificate=Certificate(chain, key))
    except ConfigError as error:
        raise at.wrong("client-certificate", error.message) from error
    return (
        chain if user.client_certificate_data else at.path(user.client_certificate),
        key if user.client_key_data else at.path(user.client_key),
    )


def _plugin(at: Place, config: ExecConfig, cluster: Cluster, access: Access) -> Plugin:
    if not config.command:
        raise at.wrong("exec.command", "is not set; name the program that prints the credentials")
    if config.api_version not in VERSIONS:
        raise at.wrong(
            "exec.apiVersion",
            f"is {config.api_version!r}; update the plug-in and write {VERSIONS[0]} or {VERSIONS[1]}",
        )
    if config.interactive_mode not in ("Never", "IfAvailable", "Always", ""):
        raise at.wrong("exec.interactiveMode", f"is {config.interactive_mode!r}; write Never or IfAvailable")
    if config.interactive_mode == "Always":
        raise at.wrong(
            "exec.interactiveMode", "is Always, but there is nobody to ask; use credentials without a prompt"
        )
    if config.api_version == VERSIONS[0] and not config.interactive_mode:
        raise at.wrong("exec.interactiveMode", f"is required by {VERSIONS[0]}; write Never or IfAvailable")
    told = None
    if config.provide_cluster_info:
        extra = next((each.extension for each in cluster.extensions if each.name == f"{GROUP}/exec"), None)
        told = cluster_info(access, extra)
    return Plugin(
        source=f"{at.words}.exec",
        api_version=config.api_version,
        command=located(config.command, at.file.parent),
        args=config.args,
        env=tuple((each.name, each.value) for each in config.env),
        install_hint=config.install_hint,
        cluster=told,
    )


def _data(at: Place, field: str, encoded: str, name: str) -> bytes:
    """`<field>-data` decoded if it is given, else the content of the file that `<field>` names, else nothing."""
    if encoded:
        try:
            return b64decode(re.sub(r"\s", "", encoded), validate=True)
        except NotBase64 as error:
            raise at.wrong(f"{field}-data", f"is not base64 ({error}); encode the PEM file with `base64`") from error
    return _content(at, field, name) if name else b""


def _content(at: Place, field: str, name: str) -> bytes:
    try:
        return at.path(name).read_bytes()
    except OSError as error:
        raise at.wrong(field, f"cannot read {at.path(name)}: {error.strerror}; correct the path") from error
