"""RFC 6455, 8.1: a text that is not UTF-8 fails the connection wherever it is cut; UTF-8 comes through."""

from __future__ import annotations

import pytest

from tests.rawws import INVALID_DATA, RawSocket, ask, fragments, pieces
from tests.wsclient import BINARY, CLOSE, CONT, PING, TEXT, masked

VALID = [
    "κόσμε",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "日本語テキスト",
    "\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff",
    "\ud7ff\ue000\ufffd\ufeff",
    "\ufffe\uffff\U0001fffe\U0010fffe",
    "e\u0301\u200d👩\u200d👩\u200d👧",
]
# Table 3-7 of the Unicode Standard says which bytes may follow which; each of these breaks a line of it.
INVALID = {
    "lone continuation": b"\x80",
    "last continuation": b"\xbf",
    "continuations": b"\x80\xbf\x80\xbf",
    "c0": b"\xc0\x80",
    "overlong slash": b"\xc0\xaf",
    "c1": b"\xc1\xbf",
    "overlong three": b"\xe0\x80\xaf",
    "largest overlong three": b"\xe0\x9f\xbf",
    "overlong four": b"\xf0\x80\x80\xaf",
    "largest overlong four": b"\xf0\x8f\xbf\xbf",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond unicode": b"\xf4\x90\x80\x80",
    "f5": b"\xf5\x80\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "fe ff": b"\xfe\xff",
    "two without its second": b"\xc3",
    "three without its third": b"\xe2\x82",
    "four without its fourth": b"\xf0\x9f\x98",
    "two, then a letter": b"\xc3(",
    "three, then a letter": b"\xe2\x82(",
    "three, a letter second": b"\xe2(\xa1",
    "four, then a letter": b"\xf0\x9f\x98(",
    "four, a lead second": b"\xf0\xc3\xa9\x80",
}


def around(bad: bytes) -> bytes:
    """A request that would be echoed but for what is in it."""
    return ask("[]").replace(b"[]", b"\xce\xba" + bad + b"z")


CUTS = [
    pytest.param(bad, cut, id=f"{name} at {cut}")
    for name, bad in INVALID.items()
    for cut in range(len(bad) + 1)
]


@pytest.mark.parametrize("text", VALID, ids=ascii)
@pytest.mark.parametrize("size", [None, 1, 2, 5])
def test_valid_text_comes_through_in_fragments_of_any_size(
    peer: RawSocket, text: str, size: int | None
) -> None:
    data = ask(text)
    peer.send(*fragments(TEXT, *pieces(data, size or len(data))))
    peer.expect_echo(text)


@pytest.mark.parametrize("text", VALID, ids=ascii)
def test_valid_text_comes_through_however_the_segments_are_cut(peer: RawSocket, text: str) -> None:
    peer.dribble(masked(TEXT, ask(text)))
    peer.expect_echo(text)


EURO, FACE = "€".encode(), "😀".encode()


@pytest.mark.parametrize("cut", range(1, len(EURO + FACE)))
def test_a_ping_may_come_inside_a_character(peer: RawSocket, cut: int) -> None:
    data = ask("€😀")
    at = data.index(EURO) + cut
    first, second = fragments(TEXT, data[:at], data[at:])
    peer.send(first, masked(PING, b"\xff"), second)
    peer.expect_pong(b"\xff")
    peer.expect_echo("€😀")


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID.keys())
def test_invalid_text_fails_the_connection(peer: RawSocket, bad: bytes) -> None:
    peer.send(masked(TEXT, ask("before")), masked(TEXT, around(bad)), masked(TEXT, ask("after")))
    peer.expect_echo("before")
    peer.expect_closed(INVALID_DATA)


@pytest.mark.parametrize(("bad", "cut"), CUTS)
def test_invalid_text_fails_the_connection_wherever_it_is_cut(peer: RawSocket, bad: bytes, cut: int) -> None:
    data = around(bad)
    at = data.index(bad) + cut
    peer.send(*fragments(TEXT, data[:at], data[at:]))
    peer.expect_closed(INVALID_DATA)


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID.keys())
@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
def test_invalid_text_in_fragments_of_one_byte_fails_the_connection(
    peer: RawSocket, bad: bytes, dribbled: bool
) -> None:
    data = b"".join(fragments(TEXT, *pieces(around(bad), 1)))
    if dribbled:
        peer.dribble(data, 3)
    else:
        peer.send(data)
    peer.expect_closed(INVALID_DATA)


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID.keys())
def test_bytes_need_not_be_text(peer: RawSocket, bad: bytes) -> None:
    peer.send(masked(BINARY, bad))
    peer.expect_error("invalid_json")
    peer.expect_alive()


@pytest.mark.parametrize("text", ["é", "€", "😀"])
def test_a_text_that_ends_inside_a_character_fails_the_connection(hub_port: int, text: str) -> None:
    data = text.encode()
    for cut in range(1, len(data)):
        for parts in ([data[:cut]], [data[:cut], b""], [b"", data[:cut]], [b"ok", *pieces(data[:cut], 1)]):
            with RawSocket(hub_port) as raw:
                raw.shake_hands()
                raw.send(*fragments(TEXT, *parts))
                raw.expect_closed(INVALID_DATA)


def test_the_rest_of_a_character_does_not_mend_a_text_that_has_ended(peer: RawSocket) -> None:
    peer.send(masked(TEXT, EURO[:1]), masked(TEXT, EURO[1:]))
    peer.expect_closed(INVALID_DATA)


def test_a_fragment_of_the_next_message_does_not_mend_it_either(peer: RawSocket) -> None:
    peer.send(masked(BINARY, EURO[:1], fin=False), masked(CONT, b"\xff"))
    peer.expect_error("invalid_json")
    peer.send(*fragments(TEXT, b"\xff", b""))
    peer.expect_closed(INVALID_DATA)


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID.keys())
def test_the_reason_of_a_close_is_text_too(peer: RawSocket, bad: bytes) -> None:
    peer.send(masked(CLOSE, b"\x03\xe8reason: " + bad))
    peer.expect_closed(INVALID_DATA)
