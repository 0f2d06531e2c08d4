"""Certificates for tests: an authority, and what it issues."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1", "::1")
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""What the key of an authority is for."""
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@frozen
class Pair:
    """The files of a certificate and its private key."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority with a key of its own, whose files are in `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._count = 0
        certificate = self._sign(_builder(self._name, self._key, 3650), is_authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str = "hub",
        names: Iterable[str] = NAMES,
        *,
        days: float = 90.0,
        begins: float = -1.0,
        password: str = "",
        key: Key | None = None,
    ) -> Pair:
        """Make a certificate that is valid from `begins` to `days` days from now."""
        made = key or ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), made, days, begins).add_extension(
            x509.SubjectAlternativeName([_alternative(one) for one in names] or [x509.DNSName("none")]), False
        )
        self._count += 1
        pair = Pair(self._folder / f"{name}-{self._count}.pem", self._folder / f"{name}-{self._count}.key")
        pair.cert.write_bytes(self._sign(builder).public_bytes(Encoding.PEM))
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pair.key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
        return pair

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """A client's context that trusts this authority, with the client's own certificate if given."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context

    def _sign(self, builder: x509.CertificateBuilder, *, is_authority: bool = False) -> x509.Certificate:
        # Python 3.13 refuses certificates that lack one of these (VERIFY_X509_STRICT).
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = builder.issuer_name(self._name).add_extension(x509.BasicConstraints(is_authority, None), True)
        if is_authority:
            made = made.add_extension(x509.SubjectKeyIdentifier(issuer.key_identifier or b""), False)
            made = made.add_extension(_SIGNS, True)
        return made.add_extension(issuer, False).sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(name: x509.Name, key: Key, days: float, begins: float = -1.0) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=min(begins, days - 1)))
        .not_valid_after(now + timedelta(days=days))
    )
