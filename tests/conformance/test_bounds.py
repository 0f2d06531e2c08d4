"""RFC 6455, 10.4 and 9: the limit on messages, however they are cut, and extensions that are refused.

What is agreed to of permessage-deflate: ``tests/web/server/test_extension_offers.py``.
"""

from __future__ import annotations

import pytest

from tests.rawws import (
    MAX_MESSAGE,
    PROTOCOL_ERROR,
    TOO_LARGE,
    RawSocket,
    ask,
    fragments,
    pieces,
)
from tests.wsclient import BINARY, CONT, PING, TEXT, closing, masked

OFFERS = [
    "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
    "permessage-deflate; unknown=1",
    "x-webkit-deflate-frame",
    "permessage-bzip2, permessage-snappy, x-nobody-knows; a=b",
]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("beyond", [1, 2, 1000, 1 << 20])
def test_a_message_beyond_the_limit_closes(peer: RawSocket, opcode: int, beyond: int) -> None:
    peer.send(masked(TEXT, ask("before")), masked(opcode, ask("it", MAX_MESSAGE + beyond)))
    peer.expect_echo("before")
    peer.expect_closed(TOO_LARGE)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [64, 1000, 16_384, MAX_MESSAGE])
def test_a_message_beyond_the_limit_in_sum_closes(peer: RawSocket, opcode: int, size: int) -> None:
    peer.send(*fragments(opcode, *pieces(ask("it", MAX_MESSAGE + 1), size)))
    peer.expect_closed(TOO_LARGE)


@pytest.mark.parametrize("size", [127, 65_535, 1 << 40])
def test_the_last_fragment_is_refused_by_what_it_announces(peer: RawSocket, size: int) -> None:
    peer.send(masked(TEXT, b" " * (MAX_MESSAGE - 1), fin=False))
    peer.send(masked(CONT, b"", size=size))
    peer.expect_closed(TOO_LARGE)


@pytest.mark.parametrize("left", [0, 1, 10, 124, 125, 126])
def test_a_control_frame_between_fragments_does_not_count(peer: RawSocket, left: int) -> None:
    data = ask("it", MAX_MESSAGE)
    cut = MAX_MESSAGE - left
    first, second = fragments(TEXT, data[:cut], data[cut:])
    peer.send(first, masked(PING, b"p" * 125))
    peer.expect_pong(b"p" * 125)
    peer.send(second)
    peer.expect_echo("it")
    peer.send(first, masked(PING, b"p" * 125), masked(CONT, b" " * (left + 1)))
    peer.expect_pong(b"p" * 125)
    peer.expect_closed(TOO_LARGE)


@pytest.mark.parametrize("beyond", [1, 2, 125, 126])
def test_a_message_that_grows_beyond_the_limit_closes_also_before_a_close(
    peer: RawSocket, beyond: int
) -> None:
    peer.send(masked(TEXT, b" " * (MAX_MESSAGE + beyond)), closing(1000))
    peer.expect_closed(TOO_LARGE)


def test_the_limit_is_each_messages_own(peer: RawSocket) -> None:
    for number in range(5):
        request = str(number)
        half = MAX_MESSAGE // 2
        first, second = fragments(TEXT, *pieces(ask(request, MAX_MESSAGE), half))
        peer.send(first, masked(PING, b"p" * 125), second)
        peer.expect_pong(b"p" * 125)
        peer.expect_echo(request)


@pytest.mark.parametrize("count", [1000])
def test_many_small_messages_are_all_answered_in_order(peer: RawSocket, count: int) -> None:
    for start in range(0, count, 50):
        peer.send(*(masked(TEXT, ask(str(number))) for number in range(start, start + 50)))
        for number in range(start, start + 50):
            peer.expect_echo(str(number))


# --- extensions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", OFFERS)
def test_an_extension_that_the_hub_does_not_know_is_not_agreed_to(hub_port: int, offer: str) -> None:
    with RawSocket(hub_port) as raw:
        answer = raw.shake_hands(headers=[("Sec-WebSocket-Extensions", offer)])
        assert "sec-websocket-extensions" not in answer
        raw.expect_alive()
        raw.send(masked(TEXT, b"\xaa\x56\x2a\x00\x00", rsv=4))
        raw.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_compressed_message_that_was_not_agreed_to_is_an_error(peer: RawSocket, opcode: int) -> None:
    peer.send(masked(opcode, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4))
    peer.expect_closed(PROTOCOL_ERROR)
