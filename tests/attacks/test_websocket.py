"""Attacks on the handshake and the frames of WebSockets (RFC 6455)."""

from __future__ import annotations

import json

from tests.attacks.arena import MESSAGE
from tests.attacks.attacker import NATIVE, OWN, Attacker, Raw
from tests.attacks.table import attack
from tests.rawws import ask, fragments, pieces
from tests.wsclient import (
    BINARY,
    CLOSE,
    CONT,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    bomb,
    closing,
    deflated,
    masked,
    request_head,
)

RSV1 = 4
KIND = "websocket"
UPDATES = f"/ws/updates?project_id={OWN}"


def broken(attacker: Attacker, code: int, *data: bytes) -> None:
    """A watcher that sends these bytes is closed with this code."""
    one = attacker.watcher()
    one.send(*data)
    one.closed(code)
    assert one.rest() == b""


# --- handshake --------------------------------------------------------------------------------------


@attack(KIND, "a handshake without a key, with two, or with one that is no 16 bytes", "400")
def test_a_key_that_is_none(attacker: Attacker) -> None:
    attacker.handshake(UPDATES, [], without=["Sec-WebSocket-Key"]).refused(400, "Key")
    attacker.handshake(UPDATES, [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]).refused(400, "Key")
    short = [("Sec-WebSocket-Key", "c2hvcnQ=")]
    attacker.handshake(UPDATES, short, without=["Sec-WebSocket-Key"]).refused(400, "Key")


@attack(KIND, "another version of the protocol", "426, with the version that the hub speaks")
def test_another_version(attacker: Attacker) -> None:
    for version in ("8", "0", "14", "13, 8", ""):
        given = [("Sec-WebSocket-Version", version)]
        answer = attacker.handshake(UPDATES, given, without=["Sec-WebSocket-Version"])
        answer.refused(426, "13")
        assert answer.headers["sec-websocket-version"] == "13"


@attack(KIND, "a handshake with a body, whose bytes could be frames", "400; nothing behind it is read")
def test_a_handshake_with_a_body(attacker: Attacker) -> None:
    attacker.handshake(UPDATES, [("Content-Length", "5")]).refused(400, "no body")
    attacker.handshake(UPDATES, [("Transfer-Encoding", "chunked")]).refused(400, "no body")


@attack(KIND, "a handshake as POST, or in HTTP/1.0", "400, 404 or 405: no WebSocket")
def test_a_handshake_in_another_way(attacker: Attacker) -> None:
    head = request_head(UPDATES, [("Authorization", f"Bearer {attacker.token}")], host=attacker.host)
    for data in (head.replace(b"GET", b"POST", 1), head.replace(b"HTTP/1.1", b"HTTP/1.0", 1)):
        assert attacker.raw(data).status in (400, 404, 405), data


@attack(
    KIND,
    "subprotocols: unknown, thousands, with a line break, with a token of another",
    "an unknown one is not agreed to; 431 beyond 16 KiB",
)
def test_odd_subprotocols(attacker: Attacker) -> None:
    name = "Sec-WebSocket-Protocol"
    for offer in ("evil.v9", "tasktree.v1x", "TASKTREE.V1", ", ,", "tasktree.v1;x"):
        answer = attacker.handshake(UPDATES, [(name, offer)])
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers, offer
    assert attacker.handshake(UPDATES, [(name, ", ".join(["x"] * 9000))]).status == 431


@attack(
    KIND,
    "offers of compression: malformed, with unknown or repeated parameters, thousands",
    "400 if malformed, else declined; 431 beyond 16 KiB",
)
def test_odd_offers_of_compression(attacker: Attacker) -> None:
    name = "Sec-WebSocket-Extensions"
    for offer in ("permessage-deflate; =", 'permessage-deflate; x="', "permessage-deflate x", ";"):
        attacker.handshake(UPDATES, [(name, offer)]).refused(400, name)
    twice = "permessage-deflate; client_max_window_bits; client_max_window_bits"
    for offer in (twice, "permessage-deflate; x", "permessage-deflate; server_max_window_bits=8", "evil"):
        answer = attacker.handshake(UPDATES, [(name, offer)])
        assert answer.status == 101
        assert name.lower() not in answer.headers, offer
    assert attacker.handshake(UPDATES, [(name, ", ".join(["evil"] * 4_000))]).status == 431


@attack(
    KIND,
    "a compressed message that inflates to a thousand times its size (a bomb); many in one read",
    "1009; at most the limit is inflated, one message at a time",
)
def test_bombs(attacker: Attacker) -> None:
    packed = bomb(30_000_000)
    one = attacker.websocket(headers=[NATIVE, *DEFLATE])
    one.send(masked(TEXT, packed, rsv=RSV1) * 30)
    one.closed(1009)
    one = attacker.websocket(headers=[NATIVE, *DEFLATE])
    one.send(masked(TEXT, packed[:9], fin=False, rsv=RSV1), masked(CONT, packed[9:]))
    one.closed(1009)


@attack(
    KIND,
    "compressed frames that were not agreed to, or with the bit on a later frame or a control frame",
    "1002",
)
def test_compressed_out_of_place(attacker: Attacker) -> None:
    broken(attacker, 1002, masked(TEXT, deflated(ask("x")), rsv=RSV1))
    for sent in (
        masked(PING, b"x", rsv=RSV1),
        masked(CLOSE, b"", rsv=RSV1),
        masked(TEXT, b"x", fin=False) + masked(CONT, b"x", rsv=RSV1),
        masked(TEXT, deflated(ask("x")), rsv=RSV1 | 2),
    ):
        one = attacker.websocket(headers=[NATIVE, *DEFLATE])
        one.send(sent)
        one.closed(1002)


@attack(
    KIND, "a compressed message that is no deflate data, is cut short, or has more behind its end", "1007"
)
def test_damaged_compression(attacker: Attacker) -> None:
    for payload in (b"\xff\xff\xff", b"", deflated(ask("x", 5_000))[:20], b"\x03\x00" * 3_000):
        one = attacker.websocket(headers=[NATIVE, *DEFLATE])
        one.send(masked(TEXT, payload, rsv=RSV1))
        one.closed(1007)


# --- frames -----------------------------------------------------------------------------------------


@attack(KIND, "a frame without a mask", "1002")
def test_no_mask(attacker: Attacker) -> None:
    broken(attacker, 1002, masked(TEXT, ask("x"), mask=False))
    broken(attacker, 1002, masked(PING, b"", mask=False))


@attack(KIND, "a reserved bit or an unknown opcode", "1002")
def test_reserved_bits(attacker: Attacker) -> None:
    for rsv in (1, 2, 4, 7):
        broken(attacker, 1002, masked(TEXT, ask("x"), rsv=rsv))
    for opcode in (3, 7, 0xB, 0xF):
        broken(attacker, 1002, masked(opcode, b"x"))


@attack(KIND, "a control frame in fragments, or longer than 125 bytes", "1002")
def test_odd_control_frames(attacker: Attacker) -> None:
    broken(attacker, 1002, masked(PING, b"x", fin=False))
    broken(attacker, 1002, masked(CLOSE, b"", fin=False))
    broken(attacker, 1002, masked(PING, b"x" * 126))


@attack(KIND, "a length of 64 bits: 2^40, 2^63, 2^64 - 1", "1002 or 1009 before a byte of it is buffered")
def test_lengths_of_64_bits(attacker: Attacker) -> None:
    for size in (1 << 63, (1 << 64) - 1, (1 << 63) - 1, 1 << 40):
        one = attacker.watcher()
        one.send(masked(TEXT, b"", size=size))
        assert one.until_close().code in (1002, 1009), size


@attack(KIND, "a message above the limit, in one frame, in fragments, or grown by the last", "1009")
def test_a_message_above_the_limit(attacker: Attacker) -> None:
    broken(attacker, 1009, masked(TEXT, b" ", size=MESSAGE + 126))
    broken(attacker, 1009, masked(TEXT, b" " * (MESSAGE + 1)))
    broken(attacker, 1009, *fragments(TEXT, *pieces(b" " * (MESSAGE + 1), 4096)))
    broken(attacker, 1009, masked(TEXT, b" " * MESSAGE, fin=False), masked(CONT, b" "))


@attack(KIND, "a continuation without a beginning, a new message within another", "1002")
def test_a_continuation_of_nothing(attacker: Attacker) -> None:
    broken(attacker, 1002, masked(CONT, b"x"))
    broken(attacker, 1002, masked(TEXT, b"x", fin=False), masked(TEXT, b"x"))
    broken(attacker, 1002, masked(TEXT, b"x", fin=False), masked(BINARY, b"x"))


@attack(KIND, "text that is no UTF-8: overlong, surrogates, beyond U+10FFFF, cut between fragments", "1007")
def test_no_utf_8(attacker: Attacker) -> None:
    for text in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xe2\x82"):
        broken(attacker, 1007, masked(TEXT, text))
    broken(attacker, 1007, masked(TEXT, b"\xe2", fin=False), masked(CONT, b"\x28\xa1"))


@attack(KIND, "a close frame with half a code, a reserved code, or a reason that is no UTF-8", "1002 or 1007")
def test_odd_close_frames(attacker: Attacker) -> None:
    for data in (b"\x03", b"\x03\xed", b"\x03\xec", b"\x00\x00", b"\xff\xff", b"\x03\xee"):
        broken(attacker, 1002, masked(CLOSE, data))
    broken(attacker, 1007, masked(CLOSE, b"\x03\xe8\xff"))


@attack(KIND, "data behind a close frame", "not read; the connection ends")
def test_data_behind_a_close(attacker: Attacker) -> None:
    one = attacker.watcher()
    one.send(closing(1000), masked(TEXT, json.dumps({"type": "ping", "id": 1}).encode()) * 50)
    one.closed(1000)
    assert one.ended() == b""


@attack(
    KIND,
    "a close that is never answered: the attacker reads nothing and keeps the socket",
    "the connection ends after `delivery.close_timeout`",
)
def test_a_close_without_an_answer(attacker: Attacker) -> None:
    one = attacker.watcher()
    one.send(masked(CONT, b"x"))  # an error: the hub closes, and the attacker stays
    attacker.later()
    attacker.outlasted()


# --- floods of frames -------------------------------------------------------------------------------


def flooded(attacker: Attacker, one: Raw, data: bytes) -> None:
    """A flood is closed with 4029 while healthy peers are served as ever."""
    with attacker.flooding(one, data):
        attacker.arena.held()
    one.closed(4029)


@attack(KIND, "pings without end", "each counts as a message; 4029")
def test_a_flood_of_pings(attacker: Attacker) -> None:
    flooded(attacker, attacker.watcher(), masked(PING, b"x" * 125) * 500)
    flooded(attacker, attacker.producer(), masked(PING) * 2000)


@attack(KIND, "pongs without end", "each counts as a message; 4029")
def test_a_flood_of_pongs(attacker: Attacker) -> None:
    flooded(attacker, attacker.watcher(), masked(PONG) * 5000)


@attack(KIND, "empty fragments without end, and fragments of one byte", "each counts as a message; 4029")
def test_a_flood_of_fragments(attacker: Attacker) -> None:
    begun = masked(TEXT, b"{", fin=False)
    for data in (masked(CONT, b"", fin=False), masked(CONT, b" ", fin=False)):
        one = attacker.watcher()
        one.send(begun)
        flooded(attacker, one, data * 5000)


@attack(KIND, "frames that arrive a byte at a time", "each read counts as a message; 4029")
def test_dribbled_frames(attacker: Attacker) -> None:
    one = attacker.watcher()
    for byte in masked(PING, b"x" * 100) * 2:
        one.send(bytes([byte]))
        attacker.arena.held()  # the hub has read it
    one.closed(4029)


@attack(KIND, "small messages without end", "`rate_limited`, then 4029")
def test_a_flood_of_messages(attacker: Attacker) -> None:
    flooded(attacker, attacker.watcher(), masked(TEXT, b'{"type":"ping"}') * 2000)
    flooded(attacker, attacker.watcher(), masked(TEXT, b"nonsense") * 2000)


@attack(KIND, "binary messages, empty messages, no JSON", "`invalid_json`; the connection goes on")
def test_no_json(attacker: Attacker) -> None:
    one = attacker.watcher()
    for data in (b"", b"x", b"\x00", b"{", b"[" * 60):
        one.send(masked(TEXT, data))
        one.expect_error("invalid_json")
    one.send(masked(TEXT, b'{"type":"ping","id":1}'))
    assert one.hear()["type"] == "pong"


@attack(KIND, "a socket that is reset in the middle of a frame", "its place is free at once")
def test_a_reset_within_a_frame(attacker: Attacker) -> None:
    for _ in range(10):
        one = attacker.watcher()
        one.send(masked(TEXT, b"x" * 100, size=1000))
        one.reset()
