"""RFC 6455, 5.4 and 5.5: messages in several frames, and control frames, alone and between them."""

from __future__ import annotations

import pytest

from tests.rawws import MAX_MESSAGE, PROTOCOL_ERROR, RawSocket, ask, fragments, pieces
from tests.wsclient import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, masked

LENGTHS = [0, 1, 2, 124, 125]
MESSAGE = ask("it")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("cut", range(len(MESSAGE) + 1))
def test_a_message_may_be_cut_in_two_anywhere(peer: RawSocket, cut: int, opcode: int) -> None:
    peer.send(*fragments(opcode, MESSAGE[:cut], MESSAGE[cut:]))
    peer.expect_echo("it")
    peer.expect_alive()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "between",
    [b"", masked(PONG, b"unasked"), masked(CONT, b"", fin=False)],
    ids=["nothing", "a pong", "an empty fragment"],
)
def test_a_message_may_be_cut_into_many(peer: RawSocket, size: int, between: bytes) -> None:
    for frame in fragments(TEXT, *pieces(MESSAGE, size)):
        peer.send(frame)
        if not frame[0] & 0x80:
            peer.send(between)
    peer.expect_echo("it")


@pytest.mark.parametrize("size", [16, 64, 1024, 1300, 32_768])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_largest_message_may_come_in_pieces_of_any_size(peer: RawSocket, size: int, opcode: int) -> None:
    peer.send(*fragments(opcode, *pieces(ask("it", MAX_MESSAGE), size)))
    peer.expect_echo("it")


def test_fragments_that_are_empty_add_nothing(peer: RawSocket) -> None:
    peer.send(*fragments(TEXT, b"", b"", b""))
    peer.expect_error("invalid_json")
    peer.send(*fragments(TEXT, b"", MESSAGE, b""))
    peer.expect_echo("it")
    peer.send(*fragments(TEXT, *[b""] * 5_000, MESSAGE))
    peer.expect_echo("it")


def test_messages_in_fragments_follow_each_other(peer: RawSocket) -> None:
    for number in range(20):
        request = str(number)
        peer.send(*fragments(TEXT, *pieces(ask(request), 5)), masked(TEXT, ask("whole")))
        peer.expect_echo(request)
        peer.expect_echo("whole")


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "data"])
@pytest.mark.parametrize("fin", [True, False], ids=["final", "more"])
def test_a_continuation_of_nothing_is_an_error(peer: RawSocket, fin: bool, data: bytes) -> None:
    peer.send(masked(CONT, data, fin=fin), masked(TEXT, MESSAGE))
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("fin", [True, False], ids=["final", "more"])
def test_a_continuation_after_a_whole_message_is_an_error(peer: RawSocket, fin: bool) -> None:
    peer.send(*fragments(TEXT, MESSAGE[:4], MESSAGE[4:]), masked(CONT, b"", fin=fin))
    peer.expect_echo("it")
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("fin", [True, False], ids=["final", "more"])
@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
def test_a_new_message_inside_another_is_an_error(
    peer: RawSocket, first: int, second: int, fin: bool
) -> None:
    peer.send(masked(first, b"{", fin=False), masked(second, MESSAGE, fin=fin))
    peer.expect_closed(PROTOCOL_ERROR)


# --- pings and pongs ------------------------------------------------------------------------------


@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
@pytest.mark.parametrize("size", LENGTHS)
def test_a_ping_is_answered_with_its_data(peer: RawSocket, size: int, dribbled: bool) -> None:
    data = bytes(at % 256 for at in range(size))
    if dribbled:
        peer.dribble(masked(PING, data))
    else:
        peer.send(masked(PING, data))
    peer.expect_pong(data)
    peer.expect_alive()


def test_ping_data_need_not_be_text(peer: RawSocket) -> None:
    peer.send(masked(PING, b"\x00\xff\xfe\xfd"))
    peer.expect_pong(b"\x00\xff\xfe\xfd")


def test_each_of_many_pings_is_answered_if_its_answer_is_awaited(peer: RawSocket) -> None:
    for number in range(20):
        peer.send(masked(PING, b"%d" % number))
        peer.expect_pong(b"%d" % number)


def test_of_pings_in_one_segment_the_last_is_answered(peer: RawSocket) -> None:
    peer.send(*(masked(PING, b"%d" % number) for number in range(10)))
    heard: list[bytes] = []
    while not heard or heard[-1] != b"9":
        frame = peer.recv()
        assert frame.opcode == PONG
        heard.append(frame.data)
    assert heard == sorted(set(heard))
    peer.expect_alive()


@pytest.mark.parametrize("size", LENGTHS)
def test_a_pong_nobody_asked_for_is_ignored(peer: RawSocket, size: int) -> None:
    peer.send(masked(PONG, b"p" * size))
    peer.expect_alive()
    peer.send(masked(PONG, b"p" * size), masked(PING, b"and a ping"))
    peer.expect_pong(b"and a ping")


@pytest.mark.parametrize("size", [126, 127, 65_536])
@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_of_more_than_125_bytes_is_an_error(peer: RawSocket, opcode: int, size: int) -> None:
    peer.send(masked(opcode, b"\x03\xe8".ljust(size, b".")))
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("data", [b"", b"\x03\xe8"], ids=["empty", "data"])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside a message"])
def test_a_control_frame_in_fragments_is_an_error(
    peer: RawSocket, opcode: int, data: bytes, inside: bool
) -> None:
    before = [masked(TEXT, b"{", fin=False)] if inside else []
    peer.send(*before, masked(opcode, data, fin=False), masked(CONT, b""))
    peer.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("cut", range(1, len(MESSAGE), 3))
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "one segment"])
def test_a_ping_between_fragments_is_answered_at_once(peer: RawSocket, cut: int, together: bool) -> None:
    first, second = fragments(TEXT, MESSAGE[:cut], MESSAGE[cut:])
    ping = masked(PING, b"between")
    if together:
        peer.send(first, ping, second)
    else:
        peer.send(first, ping)
    peer.expect_pong(b"between")
    if not together:
        peer.send(second)
    peer.expect_echo("it")


def test_pings_between_many_fragments_are_all_answered(peer: RawSocket) -> None:
    for number, frame in enumerate(fragments(TEXT, *pieces(MESSAGE, 4))):
        peer.send(masked(PING, b"%d" % number))
        peer.expect_pong(b"%d" % number)
        peer.send(frame)
    peer.expect_echo("it")


@pytest.mark.parametrize("code", [None, 1000])
def test_a_close_between_fragments_ends_the_connection_without_the_message(
    peer: RawSocket, code: int | None
) -> None:
    first, second = fragments(TEXT, MESSAGE[:4], MESSAGE[4:])
    peer.send(first, closing(code), second)
    peer.expect_closed(code)
