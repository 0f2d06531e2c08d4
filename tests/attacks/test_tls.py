"""Attacks on TLS: versions, broken and half handshakes, plain HTTP, other protocols, foreign certificates."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.settings import Tls
from tests.attacks.attacker import Attacker
from tests.attacks.table import attack
from tests.certificates import Authority, Pair
from tests.secure import new_client_context, server_pair

KIND = "tls"
CLIENTS = Authority(Path(tempfile.mkdtemp(prefix="tasktree-rt-attacks-")), "clients")
FOREIGN = Authority(Path(tempfile.mkdtemp(prefix="tasktree-rt-attacks-")), "foreign")
SETTINGS: dict[str, Any] = {
    "tls": Tls(
        certfile=str(server_pair().cert),
        keyfile=str(server_pair().key),
        client_ca=str(CLIENTS.file),
        client_auth="optional",
    )
}
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"


def client(pair: Pair | None = None) -> ssl.SSLContext:
    """The context of a client of this hub, with a certificate if one is given."""
    context = new_client_context()
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def asked(attacker: Attacker, context: ssl.SSLContext) -> bytes:
    """Ask for ``/healthz`` over TLS; the answer."""
    with context.wrap_socket(attacker.socket()._socket, server_hostname="127.0.0.1") as one:
        one.sendall(REQUEST.replace(b"HOST", attacker.host.encode()))
        found = b""
        while data := one.recv(65536):
            found += data
        return found


@attack(
    KIND, "a request without TLS, a WebSocket without TLS", "400 `This port speaks TLS`; the connection ends"
)
def test_plain_requests(attacker: Attacker) -> None:
    assert asked(attacker, client()).startswith(b"HTTP/1.1 200")  # so that the rest is refused for what it is
    for data in (
        REQUEST,
        b"POST /api/v1/projects/p/events HTTP/1.1\r\n",
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket",
    ):
        answer = attacker.raw(data)
        answer.refused(400, "This port speaks TLS")
        assert answer.ended


@attack(KIND, "TLS 1.1 and older, SSL 3, a cipher without encryption", "an alert; the connection ends")
def test_old_versions(attacker: Attacker) -> None:
    for name in ("TLSv1", "TLSv1_1"):
        context = client()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLS"):
            context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, name)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            asked(attacker, context)
    weak = client()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("NULL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(attacker, weak)
    for version in (b"\3\0", b"\2\0"):
        one = attacker.socket()
        one.send(b"\x16" + version + b"\0\x2e\1\0\0\x2a" + version + b"\0" * 40)
        assert b"HTTP" not in one.ended()


@attack(
    KIND,
    "records that are no handshake: random bytes, a huge length, a record within a record, an alert first",
    "the connection ends; nothing of it is kept",
)
def test_broken_records(attacker: Attacker) -> None:
    for data in (
        b"\x16\3\1\xff\xff" + b"\1" * 70_000,
        b"\x16\3\3\0\4\1\0\0\0",
        b"\x15\3\3\0\2\2\x28",
        b"\x17\3\3\0\x20" + b"\0" * 32,
        b"\x16\3\1\0\5\1\xff\xff\xff\0" + b"\x16\3\1\0\5\1\xff\xff\xff\0" * 100,
        bytes(range(0x80, 0x100)) * 50,
    ):
        one = attacker.socket()
        try:
            one.send(data)
            one.half_close()
        except OSError:
            continue  # the hub was quicker
        one.ended()


@attack(
    KIND,
    "a hundred handshakes that stop in the middle, or go on by one byte at a time",
    "closed after `limits.handshake_timeout`",
)
def test_half_handshakes(attacker: Attacker) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = client().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    data = outgoing.read()
    found = [attacker.socket() for _ in range(100)]
    for number, one in enumerate(found):
        one.send(data[: number * len(data) // 99])
    attacker.arena.deliver()
    attacker.later(0.5)
    for one in found[:50]:
        one.send(data[:1])
    attacker.later(0.7)
    for one in found:
        one.ended()


@attack(
    KIND,
    "an offer of HTTP/2 or another protocol only (ALPN), another server's name (SNI)",
    "an alert or HTTP/1.1; never HTTP/2",
)
def test_other_protocols(attacker: Attacker) -> None:
    for offered in (["h2"], ["h2", "h3"], ["spdy/3"], ["http/1.1", "h2"]):
        context = client()
        context.set_alpn_protocols(offered)
        try:
            with context.wrap_socket(attacker.socket()._socket, server_hostname="127.0.0.1") as one:
                assert one.selected_alpn_protocol() in (None, "http/1.1"), offered
        except (ssl.SSLError, ConnectionError):
            assert "http/1.1" not in offered
    context = client()
    context.check_hostname = False
    one = context.wrap_socket(attacker.socket()._socket, server_hostname="evil.example")
    one.sendall(REQUEST.replace(b"HOST", b"evil.example"))
    assert one.recv(100).startswith(b"HTTP/1.1 4")
    one.close()


@attack(
    KIND,
    "a client's certificate of a foreign authority, or one that has expired",
    "an alert; the connection ends. With `tls.client_auth` one is demanded",
)
def test_foreign_certificates(attacker: Attacker) -> None:
    assert asked(attacker, client(CLIENTS.issue("client"))).startswith(b"HTTP/1.1 200")
    for pair in (FOREIGN.issue("client"), CLIENTS.issue("old", days=-1)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            asked(attacker, client(pair))
