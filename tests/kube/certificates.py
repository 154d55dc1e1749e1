"""A certificate authority for tests: servers and clients it vouches for."""

from __future__ import annotations

import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Pem = tuple[bytes, bytes]
"""Certificate and key."""

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Signs certificates; `pem` is its own."""

    def __init__(self, name: str = "test") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"{name} authority")
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = (
            self._builder(self._name, self._key).add_extension(constraint, True).sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, *names: str) -> Pem:
        """A certificate for these host names and addresses."""
        alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        return self._issue(names[0], x509.SubjectAlternativeName(alternatives))

    def client(self, name: str) -> Pem:
        """A certificate for a user."""
        return self._issue(name, x509.SubjectAlternativeName([x509.DNSName(name)]))

    def _issue(self, name: str, extension: x509.SubjectAlternativeName) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(_name(name), key).add_extension(extension, False).sign(self._key, hashes.SHA256())
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, pkcs8, plain
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
