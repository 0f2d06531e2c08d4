"""TLS of the client: the context of its connections, and what a failed handshake means."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import trio

Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""True: the hub's certificate must come from an authority of the system. A path: from one in this PEM file,
or folder. False: any certificate will do. Or a context, used as it is."""
Cert = str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]]
"""The client's own certificate: a PEM file with the key in it, or the file of each."""

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
_WRONG_CLIENT: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "ALERT_UNKNOWN_CA", "BAD_CERTIFICATE")


def tls_context(url: str, verify: Verify, cert: Cert | None) -> ssl.SSLContext | None:
    """Return the context for a hub at `url`; None for an address without TLS.

    Raises:
        ValueError: a file cannot be used, or `verify` is a context and `cert` is given too.
    """
    if urlsplit(url).scheme not in ("https", "wss"):
        return None
    if isinstance(verify, ssl.SSLContext):
        if cert is not None:
            raise ValueError("cert: expected no certificate beside a context: load it into the context")
        return verify
    if verify is True and cert is None:
        return _usual()
    context = _trusting(verify)
    if cert is not None:
        _show(context, cert)
    return context


@cache
def _usual() -> ssl.SSLContext:
    """Return the context with the system's authorities; reading them takes 20 ms."""
    return ssl.create_default_context()


def _trusting(verify: bool | str | os.PathLike[str]) -> ssl.SSLContext:
    if verify is True:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = os.fspath(verify)
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"verify: {path}: holds no certificate in PEM form") from None
    except OSError as error:
        raise ValueError(f"verify: {path}: {error.strerror or error}") from None
    return context


def _show(context: ssl.SSLContext, cert: Cert) -> None:
    """Load the client's own certificate."""
    certfile, keyfile = cert if isinstance(cert, tuple) else (cert, None)
    for path in (certfile, keyfile):
        if path is not None and not os.path.isfile(path):
            raise ValueError(f"cert: {os.fspath(path)}: no such file")
    try:
        # A password would be asked for at the terminal.
        context.load_cert_chain(certfile, keyfile, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise ValueError(f"cert: {os.fspath(certfile)}: not a certificate with its key ({reason})") from None


def tls_problem(error: BaseException | None) -> str | None:
    """Return what is wrong with TLS, if that is what `error` comes from: trying again would not help."""
    seen = 0
    while error is not None and seen < 16:
        if isinstance(error, ssl.SSLCertVerificationError):
            return _refused(error)
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return _failed(error.reason or "")
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def _refused(error: ssl.SSLCertVerificationError) -> str:
    """Name what this program does not accept of the hub's certificate."""
    code, message = error.verify_code, error.verify_message.rstrip(".")
    if code == _EXPIRED:
        return "the hub's certificate has expired"
    if code == _NOT_YET:
        return "the hub's certificate is not valid yet (is the clock right?)"
    if code in _UNTRUSTED:
        return (
            "the hub's certificate is from an authority that is not trusted here: name its PEM file "
            f"with verify=PATH or --cafile PATH ({message})"
        )
    if code in _OTHER_NAME:
        return f"the hub's certificate is for another name: {message}"
    return f"the hub's certificate was refused: {message}"


def _failed(reason: str) -> str | None:
    if reason == "WRONG_VERSION_NUMBER":
        return "the hub speaks no TLS at this address: use http:// or ws://"
    if any(one in reason for one in _WRONG_CLIENT):
        return (
            "the hub refused the handshake; it may demand a client certificate: cert=(CERT, KEY), or "
            f"--client-cert and --client-key ({reason.lower().replace('_', ' ')})"
        )
    return None


class TlsStream(trio.abc.Stream):
    """A stream that remembers what was wrong with TLS: a hub refuses a client's certificate only after the
    handshake, within the first read.

    Attributes:
        problem: see `tls_problem`; None if nothing was.
    """

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.problem: str | None = None
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            self.problem = self.problem or tls_problem(error)
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` may go on."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive bytes; b"" at the end."""
        try:
            return await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError as error:
            self.problem = self.problem or tls_problem(error)
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()
