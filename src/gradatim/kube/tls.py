"""TLS as one cluster wants it: whom we trust, and what we show.

Certificates and keys from kubeconfigs and plug-ins exist in memory only, while OpenSSL loads them from files; on Linux
they pass through an anonymous memory file, so that a read-only root file system is no obstacle and nothing is left.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradatim.kube.credentials import Certificate
from gradatim.kube.errors import ConfigError


def context(ca: bytes, insecure: bool, certificate: Certificate | None) -> ssl.SSLContext:
    """Trust `ca` (PEM; empty means what the system trusts), and show `certificate` if there is one."""
    try:
        made = ssl.create_default_context(cadata=ca.decode("ascii") if ca else None)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the certificate authority is not PEM ({error}); give the file of the CA that signed the API server's"
        ) from error
    # Cluster CAs of many tools lack the key usage extension that newer Pythons insist on.
    made.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    made.set_alpn_protocols(["http/1.1"])
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _show(made, certificate)
    return made


def _show(made: ssl.SSLContext, certificate: Certificate) -> None:
    with _as_file(certificate.chain + b"\n" + certificate.key) as path:
        try:
            made.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"the client certificate and its key cannot be used together: {error}; "
                "both must be PEM, belong to each other and have no password"
            ) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        number = os.memfd_create("client-certificate")
        try:
            os.write(number, content)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    number, name = tempfile.mkstemp()
    try:
        os.write(number, content)
        os.close(number)
        yield name
    finally:
        os.unlink(name)
