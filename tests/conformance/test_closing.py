"""RFC 6455, 5.5.1 and 7: the closing handshake and its codes."""

from __future__ import annotations

import pytest

from tests.rawws import INVALID_DATA, PROTOCOL_ERROR, RawSocket, ask
from tests.wsclient import CLOSE, PING, PONG, TEXT, closing, masked

# RFC 6455, 7.4, and the registry that it founds: 1012 to 1014 were added there.
GOOD = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3500, 3999, 4000, 4001, 4999]
BAD = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 32_768, 65_535]
AFTER = [
    pytest.param(masked(TEXT, ask("after")), id="text"),
    pytest.param(masked(PING, b"after"), id="ping"),
    pytest.param(masked(PONG, b"after"), id="pong"),
    pytest.param(closing(1001, "again"), id="close"),
    pytest.param(masked(TEXT, b"\xff"), id="invalid text"),
    pytest.param(masked(3), id="reserved opcode"),
    pytest.param(b"\xff" * 100, id="garbage"),
]


def test_a_close_without_a_code_is_echoed_without_one(peer: RawSocket) -> None:
    peer.send(closing(None))
    peer.expect_closed(None)


@pytest.mark.parametrize("code", GOOD)
@pytest.mark.parametrize("reason", ["", "because", "weil … ü", "r" * 123])
def test_a_close_is_echoed_with_its_code(peer: RawSocket, code: int, reason: str) -> None:
    peer.send(closing(code, reason))
    assert peer.expect_closed(code).reason == reason


@pytest.mark.parametrize("code", BAD)
@pytest.mark.parametrize("reason", ["", "because"])
def test_a_code_that_must_not_be_sent_is_an_error(peer: RawSocket, code: int, reason: str) -> None:
    peer.send(closing(code, reason))
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("byte", [b"\x00", b"\x03", b"\xff"], ids=bytes.hex)
def test_half_a_code_is_an_error(peer: RawSocket, byte: bytes) -> None:
    peer.send(masked(CLOSE, byte))
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("cut", range(1, 3))
def test_a_reason_cut_inside_a_character_is_an_error(peer: RawSocket, cut: int) -> None:
    peer.send(masked(CLOSE, b"\x03\xe8" + "€".encode()[:cut]))
    peer.expect_closed(INVALID_DATA)


@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
def test_what_was_said_before_a_close_is_answered_before_its_echo(peer: RawSocket, dribbled: bool) -> None:
    data = masked(TEXT, ask("one")) + masked(TEXT, ask("two")) + closing(1000, "bye")
    if dribbled:
        peer.dribble(data)
    else:
        peer.send(data)
    peer.expect_echo("one")
    peer.expect_echo("two")
    peer.expect_closed(1000)


@pytest.mark.parametrize("together", [True, False], ids=["one segment", "later"])
@pytest.mark.parametrize("after", AFTER)
def test_nothing_after_a_close_is_answered(peer: RawSocket, after: bytes, together: bool) -> None:
    if together:
        peer.send(closing(1000), after)
    else:
        peer.send(closing(1000))
        peer.send(after)
    peer.expect_closed(1000)


@pytest.mark.parametrize("after", AFTER)
def test_nothing_after_a_fault_is_answered(peer: RawSocket, after: bytes) -> None:
    peer.send(masked(3), after)
    peer.expect_closed(PROTOCOL_ERROR)


def test_the_answer_to_a_close_of_the_hubs_is_not_answered(peer: RawSocket) -> None:
    peer.send(masked(3))
    frame = peer.recv()
    assert (frame.opcode, frame.code) == (CLOSE, PROTOCOL_ERROR)
    peer.send(closing(PROTOCOL_ERROR))
    assert peer.rest() == b""


def test_the_end_of_the_stream_without_a_close_ends_it_from_this_side_too(peer: RawSocket) -> None:
    peer.send(masked(TEXT, ask("last")))
    peer.half_close()
    peer.expect_echo("last")
    assert peer.rest() == b""


@pytest.mark.parametrize("cut", range(1, 12))
def test_the_end_of_the_stream_inside_a_frame_ends_it(peer: RawSocket, cut: int) -> None:
    peer.send(masked(TEXT, ask("never", 300))[:cut])
    peer.half_close()
    # A close frame may come of it (the stream broke a frame off), a message must not.
    assert peer.rest()[:1] in (b"", b"\x88")
