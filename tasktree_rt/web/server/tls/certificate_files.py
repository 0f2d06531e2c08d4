"""Read a certificate, its private key and the clients' authorities from files, and check them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Tls

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

ALPN: Final = ("http/1.1",)
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""The suites of TLS 1.2 with forward secrecy and authenticated encryption; all of TLS 1.3 have both."""


@frozen
class Certificate:
    """A certificate that passed all checks, ready for connections.

    Attributes:
        expires: seconds since 1970.
    """

    context: ssl.SSLContext
    subject: str
    expires: float


def load(settings: Tls, now: float) -> Certificate:
    """Read and check all files of `settings`. `now`: seconds since 1970.

    Raises:
        SettingsError: a file is missing, malformed, encrypted without a password or does not fit the others,
            or the certificate is not valid now. Names the setting and the file.
    """
    certificate = _certificate(settings.certfile)
    password = _password(settings.keyfile_password_file)
    name, path = "tls.keyfile", settings.keyfile
    if not path:
        name, path = "tls.certfile", settings.certfile
    key = _private_key(name, path, password)
    if _encoded(key.public_key()) != _encoded(certificate.public_key()):
        raise SettingsError(f"{name}: {path}: the private key of another certificate than tls.certfile")
    expires = certificate.not_valid_after_utc
    at = datetime.fromtimestamp(now, UTC)
    if expires < at:
        raise SettingsError(f"tls.certfile: {settings.certfile}: expired on {expires:%Y-%m-%d %H:%M} UTC")
    if certificate.not_valid_before_utc > at:
        begins = certificate.not_valid_before_utc
        raise SettingsError(
            f"tls.certfile: {settings.certfile}: not valid before {begins:%Y-%m-%d %H:%M} UTC"
        )
    return Certificate(
        _context(settings, password), certificate.subject.rfc4514_string(), expires.timestamp()
    )


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: {path}: {error.strerror or error}") from None


def _certificate(path: str) -> x509.Certificate:
    """Return the first certificate of a file: the hub's own."""
    try:
        return x509.load_pem_x509_certificates(_read("tls.certfile", path))[0]
    except ValueError:
        raise SettingsError(f"tls.certfile: {path}: holds no certificate in PEM form") from None


def _password(path: str) -> bytes | None:
    if not path:
        return None
    lines = _read("tls.keyfile_password_file", path).splitlines()
    if not (lines and lines[0]):
        raise SettingsError(f"tls.keyfile_password_file: {path}: expected the password in the first line")
    return lines[0]


def _private_key(name: str, path: str, password: bytes | None) -> PrivateKeyTypes:
    data = _read(name, path)
    encrypted = b"ENCRYPTED" in data
    if encrypted and password is None:
        raise SettingsError(f"{name}: {path}: the private key is encrypted; set tls.keyfile_password_file")
    try:
        return load_pem_private_key(
            data, password if encrypted else None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            problem = "the password of tls.keyfile_password_file does not decrypt the private key"
        else:
            problem = "holds no private key in PEM form"
        raise SettingsError(f"{name}: {path}: {problem}") from None


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _context(settings: Tls, password: bytes | None) -> ssl.SSLContext:
    """Make OpenSSL's context: TLS 1.2 and 1.3, no compression, no renegotiation, only HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Python sets this one by default: with it, a connection that is cut off would look like one that ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(ALPN)
    certfile, keyfile = (
        Path(one).expanduser() for one in (settings.certfile, settings.keyfile or settings.certfile)
    )
    try:
        context.load_cert_chain(certfile, keyfile, lambda: password or b"")
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls.certfile: {settings.certfile}: {_reason(error)}") from None
    if settings.client_ca:
        _trust(context, settings.client_ca)
        required = settings.client_auth == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def _trust(context: ssl.SSLContext, path: str) -> None:
    _read("tls.client_ca", path)
    try:
        context.load_verify_locations(Path(path).expanduser())
    except (OSError, ValueError):
        raise SettingsError(f"tls.client_ca: {path}: holds no certificate in PEM form") from None


def _reason(error: Exception) -> str:
    """Return OpenSSL's reason in words: ``ee key too small``."""
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if isinstance(reason, str) else str(error)
