from __future__ import annotations

import random
import time

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasktree_rt.web.head import MAX_HEAD, end_of_head, fault, lenient, strict, websocket_head
from tests.wsclient import KEY, request_head

BROWSER = (
    b"GET /ws/updates?project_id=a&since=e:1 HTTP/1.1\r\n"
    b"Host: localhost:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n"
    b"Accept:*/*\r\n"
    b"Origin: http://localhost:8000\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Sec-WebSocket-Protocol: tasktree.v1, other\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Cookie: a=1; b=2\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\n"
    b"\r\n"
)


def by_h11(data: bytes) -> tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]], bytes] | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    return event.method, event.target, event.http_version, list(event.headers), connection.trailing_data[0]


def agrees_with_h11(data: bytes) -> bool:
    """Whether the strict parser took it; if so, h11 must say the same."""
    head = strict(data)
    if head is not None:
        assert (head.method, head.target, head.http_version, head.headers, data[head.size :]) == by_h11(data)
        assert end_of_head(data) == head.size
    return head is not None


TRICKY = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b": ",
        b"\x00",
        b"\x01",
        b"\x0b",
        b"\x7f",
        b"\x80",
        b"\xff",
        b",",
        b'"',
    ),
    *(
        b"Host: a",
        b"host:b",
        b"HOST:",
        b"Content-Length: 1",
        b"Content-Length: 1, 1",
        b"transfer-encoding: chunked",
    ),
    *(
        b"Transfer-Encoding: gzip",
        b"GET",
        b"POST",
        b"get",
        b"/",
        b"*",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"X-Y_z: v",
    ),
    *(
        b"a:b",
        b"Upgrade: websocket",
        b"Connection: upgrade",
        b"\r\n\r\n",
        b"\n\n",
        b" folded",
        b"na me: v",
        b"name : v",
    ),
]


@given(st.lists(st.sampled_from(TRICKY), max_size=14).map(b"".join))
@example(BROWSER)
@example(BROWSER + b"\x81\x80")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost:\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a  b \r\n\r\n")
@example(b"GET / HTTP/1.1\nHost: a\n\n")
def test_what_the_strict_parser_takes_h11_takes_alike(data: bytes) -> None:
    agrees_with_h11(data)


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_browsers_head_with_a_few_bytes_changed_is_read_alike(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    taken = 0
    for _ in range(50):
        data = bytearray(BROWSER)
        for _ in range(changes):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(3)] = chance.choice([*TRICKY, bytes([chance.randrange(256)])])
        taken += agrees_with_h11(bytes(data))


def test_the_strict_parser_takes_what_clients_really_send() -> None:
    assert agrees_with_h11(BROWSER)
    assert agrees_with_h11(request_head("/ws?token=a.b-c_d~e%20f"))


@pytest.mark.parametrize("line", [b"X:" + b" " * 40, b"X: " + b"a " * 3000, b"X:" + b" " * 3000 + b"\x01"])
def test_no_head_takes_long(line: bytes) -> None:
    data = (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + (line + b"\r\n") * (MAX_HEAD // len(line)) + b"bad\x00line\r\n\r\n"
    )
    began = time.process_time()
    assert strict(data) is None
    assert time.process_time() - began < 0.5, "the regular expression tries many ways to fail"


def test_the_end_of_a_head_is_found_wherever_it_is_cut() -> None:
    for cut in range(len(BROWSER)):
        assert end_of_head(BROWSER[:cut]) == -1
        assert end_of_head(BROWSER + b"more", cut) == len(BROWSER)
    assert end_of_head(b"\r\nGET") == 2
    assert end_of_head(b"GET / HTTP/1.1\nHost: a\n\nrest") == len(b"GET / HTTP/1.1\nHost: a\n\n")


def test_what_only_h11_understands_is_understood() -> None:
    data = b"GET /x HTTP/1.1\nHost: h\xe9\nUPGRADE:\tWebSocket \nConnection: a\n ,upgrade\nOdd: \x01\n\n\x81"
    assert strict(data) is None
    head = websocket_head(data)
    assert head is not None
    assert head == lenient(data)
    assert data[head.size :] == b"\x81"
    assert head.values(b"host") == [b"h\xe9"]
    assert head.tokens(b"connection") == [b"a", b"upgrade"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", id="plain"),
        pytest.param(request_head(without=["Upgrade"]), id="no upgrade"),
        pytest.param(request_head(without=["Connection"]), id="no connection"),
        pytest.param(request_head().replace(b"GET", b"POST"), id="post"),
        pytest.param(request_head().replace(b"HTTP/1.1", b"HTTP/1.0"), id="http/1.0"),
        pytest.param(request_head().replace(b": websocket", b": websockets"), id="another protocol"),
        pytest.param(request_head().replace(b": Upgrade", b": Upgrades"), id="another option"),
        pytest.param(request_head(without=["Host"]), id="no host"),
        pytest.param(request_head(headers=[("Host", "b")]), id="two hosts"),
        pytest.param(request_head().replace(b"Host:", b"Ho st:"), id="refused by h11"),
    ],
)
def test_everything_else_is_left_to_hypercorn(data: bytes) -> None:
    assert websocket_head(data) is None


@pytest.mark.parametrize(
    ("without", "headers", "status"),
    [
        ([], [], None),
        ([], [("Content-Length", "0")], None),
        (["Sec-WebSocket-Version"], [], 426),
        (["Sec-WebSocket-Version"], [("Sec-WebSocket-Version", "8")], 426),
        ([], [("Sec-WebSocket-Version", "8")], 426),
        (["Sec-WebSocket-Key"], [], 400),
        ([], [("Sec-WebSocket-Key", KEY)], 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "c2hvcnQ=")], 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "!" * 24)], 400),
        ([], [("Content-Length", "5")], 400),
        ([], [("Transfer-Encoding", "chunked")], 400),
    ],
)
def test_a_request_for_a_websocket_must_be_sound(
    without: list[str], headers: list[tuple[str, str]], status: int | None
) -> None:
    head = websocket_head(request_head("/", headers, without=without))
    assert head is not None
    wrong = fault(head)
    assert (wrong and wrong[0]) == status
