"""RFC 6455, 5.2 and 5.3: lengths, masks, reserved bits, opcodes."""

from __future__ import annotations

import struct

import pytest

from tests.rawws import MAX_MESSAGE, PROTOCOL_ERROR, TOO_LARGE, RawSocket, ask, fragments
from tests.wsclient import BINARY, CLOSE, CONT, PING, PONG, TEXT, masked

SIZES = [64, 125, 126, 127, 128, 255, 256, 1000, 4096, 65_534, 65_535, MAX_MESSAGE]
PIECES = [None, 1000, 997, 3]
CONTROL = [CLOSE, PING, PONG]
RESERVED = [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF]
KEYS = [
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x00\xff\x00\xff",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x01",
    b"\x37\xfa\x21\x3d",
]


def with_key(opcode: int, data: bytes, key: bytes) -> bytes:
    hidden = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    return bytes([0x80 | opcode, 0x80 | len(data)]) + key + hidden


def with_length(form: int, data: bytes) -> bytes:
    """A text frame whose length stands in the form 126 or 127, needed or not."""
    length = struct.pack("!BH" if form == 126 else "!BQ", 0x80 | form, len(data))
    return b"\x81" + length + b"\x00\x00\x00\x00" + data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("piece", PIECES)
def test_a_message_of_any_size_comes_through(
    peer: RawSocket, opcode: int, size: int, piece: int | None
) -> None:
    data = masked(opcode, ask("it", size))
    if piece is None:
        peer.send(data)
    else:
        peer.dribble(data, max(piece, size // 2000))
    peer.expect_echo("it")
    peer.expect_alive()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_an_empty_message_is_a_message(peer: RawSocket, opcode: int) -> None:
    peer.send(masked(opcode))
    peer.expect_error("invalid_json")
    peer.expect_alive()


@pytest.mark.parametrize("count", [2, 50])
def test_messages_in_one_segment_are_answered_in_order(peer: RawSocket, count: int) -> None:
    peer.send(*(masked(TEXT, ask(str(number))) for number in range(count)))
    for number in range(count):
        peer.expect_echo(str(number))


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_frames_head_may_be_cut_anywhere(peer: RawSocket, cut: int) -> None:
    data = masked(TEXT, ask("it", 65_536))
    peer.send(data[:cut])
    peer.send(data[cut:])
    peer.expect_echo("it")


def test_what_is_sent_with_the_handshake_is_read(hub_port: int) -> None:
    with RawSocket(hub_port) as raw:
        raw.shake_hands(then=masked(TEXT, ask("early")))
        raw.expect_echo("early")


@pytest.mark.parametrize(("form", "size"), [(126, 40), (126, 125), (127, 40), (127, 125), (127, 60_000)])
def test_a_length_longer_than_it_need_be_never_shifts_what_follows(
    peer: RawSocket, form: int, size: int
) -> None:
    peer.send(with_length(form, ask("it", size)))
    peer.expect_echo("it")
    peer.expect_alive()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, 1 << 62, MAX_MESSAGE + 126])
def test_a_length_beyond_all_bounds_closes_before_anything_of_it_came(
    peer: RawSocket, size: int, opcode: int
) -> None:
    peer.send(masked(opcode, b"", size=size))
    peer.expect_closed(TOO_LARGE)


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS, ids=bytes.hex)
@pytest.mark.parametrize("extra", range(5))
def test_every_mask_is_taken_off(peer: RawSocket, key: bytes, extra: int) -> None:
    request = "x" * extra
    peer.send(with_key(PING, b"data" + b"." * extra, key), with_key(TEXT, ask(request), key))
    peer.expect_pong(b"data" + b"." * extra)
    peer.expect_echo(request)


@pytest.mark.parametrize("data", [b"", b"\x03\xe8"], ids=["empty", "data"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONT, *CONTROL])
def test_a_frame_without_a_mask_is_an_error(peer: RawSocket, opcode: int, data: bytes) -> None:
    before = [masked(TEXT, b"", fin=False)] if opcode == CONT else []
    peer.send(*before, masked(opcode, data, mask=False))
    peer.expect_closed(PROTOCOL_ERROR)


# --- reserved bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, *CONTROL])
@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_reserved_bit_is_an_error(peer: RawSocket, rsv: int, opcode: int, dribbled: bool) -> None:
    peer.send(masked(TEXT, ask("before")))
    data = masked(opcode, b"\x03\xe8", rsv=rsv)
    if dribbled:
        peer.dribble(data)
    else:
        peer.send(data)
    peer.expect_echo("before")
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_reserved_bit_of_a_continuation_is_an_error(peer: RawSocket, rsv: int) -> None:
    first, second = fragments(TEXT, b"{", b"}")
    peer.send(first, bytes([second[0] | rsv << 4]) + second[1:])
    peer.expect_closed(PROTOCOL_ERROR)


# --- opcodes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
@pytest.mark.parametrize("data", [b"", b"data", b"x" * 126], ids=["empty", "data", "long"])
@pytest.mark.parametrize("opcode", RESERVED)
def test_a_reserved_opcode_is_an_error(peer: RawSocket, opcode: int, data: bytes, dribbled: bool) -> None:
    frame = masked(opcode, data)
    if dribbled:
        peer.dribble(frame)
    else:
        peer.send(masked(TEXT, ask("before")), frame, masked(TEXT, ask("after")))
        peer.expect_echo("before")
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", RESERVED)
def test_a_reserved_opcode_between_fragments_is_an_error(peer: RawSocket, opcode: int) -> None:
    first, second = fragments(TEXT, b"{", b"}")
    peer.send(first, masked(opcode), second)
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("path", ["/ws/updates?project_id=quiet", "/ws/orchestrator?producer_id=p"])
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(masked(TEXT, b"{}", rsv=4), PROTOCOL_ERROR, id="reserved bit"),
        pytest.param(masked(3), PROTOCOL_ERROR, id="reserved opcode"),
        pytest.param(masked(TEXT, b"{}", mask=False), PROTOCOL_ERROR, id="no mask"),
        pytest.param(masked(CONT, b"{}"), PROTOCOL_ERROR, id="continues nothing"),
        pytest.param(masked(TEXT, b"\xff"), 1007, id="not utf-8"),
        pytest.param(masked(BINARY, size=1 << 40), TOO_LARGE, id="too large"),
        pytest.param(masked(CLOSE, b"\x0f\xa0"), 4000, id="close"),
    ],
)
@pytest.mark.parametrize("subprotocol", [False, True], ids=["plain", "native"])
def test_every_route_keeps_the_same_rules(
    hub_port: int, path: str, subprotocol: bool, sent: bytes, code: int
) -> None:
    headers = [("Sec-WebSocket-Protocol", "tasktree.v1")] if subprotocol else []
    with RawSocket(hub_port) as raw:
        raw.shake_hands(path, headers)
        if subprotocol and "updates" in path:
            assert raw.hear()["type"] == "welcome"
            assert raw.hear()["type"] == "subscribed"
        raw.send(sent)
        raw.expect_closed(code)
