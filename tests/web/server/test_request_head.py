from __future__ import annotations

import random
import time

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasktree_rt.web.server.request_head import (
    MAX_HEAD,
    end_of_head,
    fault,
    flaw,
    lenient,
    path_and_query,
    strict,
    websocket_head,
)
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
    data = (
        b"GET /x HTTP/1.1\r\nHost:\th \r\nUPGRADE:\tWebSocket \r\nConnection: a\r\n"
        b"Connection:  b ,upgrade\r\nOdd: h\xe9\r\n\r\n\x81"
    )
    assert strict(data) is None
    assert flaw(data) is None
    head = websocket_head(data)
    assert head is not None
    assert head == lenient(data)
    assert data[head.size :] == b"\x81"
    assert head.values(b"host") == [b"h"]
    assert head.tokens(b"connection") == [b"a", b"b", b"upgrade"]


PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"


def post(*lines: bytes) -> bytes:
    return POST.replace(b"X\r\n", b"".join(line + b"\r\n" for line in lines))


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        BROWSER,
        PLAIN.replace(b"GET", b"PURGE"),
        PLAIN.replace(b"1.1", b"1.0"),
        b"GET / HTTP/1.0\r\n\r\n",
        post(b"Content-Length: 3"),
        post(b"Content-Length:3 "),
        post(b"transfer-encoding: chunked"),
        post(b"Transfer-Encoding:Chunked"),
        post(b"X: h\xe9\t\xff", b"Y:", b"Z: "),
        PLAIN.replace(b"GET /", b"OPTIONS *"),
        PLAIN.replace(b"GET /", b"GET http://A/x?y"),
        *(
            PLAIN.replace(b"Host: a", b"Host: " + host)
            for host in (b"a:80", b"[::1]:8000", b"a_b.c-d", b"1.2.3.4", b"a:", b"A.")
        ),
    ],
)
def test_what_clients_send_has_no_flaw(data: bytes) -> None:
    assert flaw(data + b"GET what comes after does not matter") is None


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (PLAIN.replace(b"\r\n", b"\n"), 400, "CR LF"),
        (PLAIN.replace(b"a\r\n", b"a\n"), 400, "CR LF"),
        (PLAIN.replace(b"\r\n\r\n", b"\r\n\n"), 400, "CR LF"),
        (PLAIN.replace(b"Host", b"X: b\rc\r\nHost"), 400, "CR LF"),
        (PLAIN.replace(b"Host: a", b"Host: a\r\n b"), 400, "continue on the next line"),
        (PLAIN.replace(b"Host: a", b"Host: a\r\n\tb"), 400, "continue on the next line"),
        (post(b" Transfer-Encoding: chunked"), 400, "continue on the next line"),
        (PLAIN.replace(b"Host", b" X: y\r\nHost"), 400, "continue on the next line"),
        (post(b"Transfer-Encoding : chunked"), 400, "not the head"),
        (post(b"X: a\x00b"), 400, "not the head"),
        (post(b"X: a\x0bb"), 400, "not the head"),
        (post(b"X"), 400, "not the head"),
        (PLAIN.replace(b"GET ", b"GET  "), 400, "not the head"),
        (b"\r\n", 400, "not the head"),
        (b"GET /\r\n\r\n", 400, "not the head"),
        (post(b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400, "exclude each other"),
        (post(b"Transfer-Encoding: chunked", b"Content-Length: 0"), 400, "exclude each other"),
        *(
            (post(b"Content-Length: " + value), 400, "in digits")
            for value in (b"3, 3", b"+3", b"-3", b"0x3", b"3_0", b"", b"9" * 19)
        ),
        (post(b"Content-Length: 3", b"Content-Length: 3"), 400, "in digits"),
        *(
            (post(b"Transfer-Encoding:" + value), 501, "chunked")
            for value in (
                *(
                    b"  chunked",
                    b"\tchunked",
                    b" chunked ",
                    b" xchunked",
                    b" chunked, chunked",
                    b" gzip, chunked",
                ),
                *(b" identity", b" chunked;q=1", b' "chunked"', b""),
            )
        ),
        (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501, "chunked"),
        (post(b"Transfer-Encoding: chunked").replace(b"1.1", b"1.0"), 400, "needs HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/1.1"),
        (PLAIN.replace(b"1.1", b"2.0"), 505, "HTTP/1.1"),
        (PLAIN.replace(b"1.1", b"1.2"), 505, "HTTP/1.1"),
        *(
            (PLAIN.replace(b"Host: a", b"Host: " + host), 400, "Host")
            for host in (
                *(
                    b"u@a",
                    b"u:p@a",
                    b"a/",
                    b"a/b",
                    b"a#b",
                    b"a?b",
                    b"a b",
                    b"a,b",
                    b"",
                    b":80",
                    b"a:b",
                    b"a:1:2",
                ),
                *(b"a:123456", b"[::1", b"::1", b"[a]b", b"h\xe9", b"a%2f", b"http://a"),
            )
        ),
        (PLAIN.replace(b"Host: a", b"Host: a\r\nHost: a"), 400, "Host"),
        (PLAIN.replace(b"Host: a", b"X: a"), 400, "Host"),
        (PLAIN.replace(b"GET /", b"GET http://b/"), 400, "target"),
        (PLAIN.replace(b"GET /", b"GET http://u@a/"), 400, "target"),
        (PLAIN.replace(b"GET /", b"GET ftp://a/"), 400, "target"),
        (PLAIN.replace(b"GET /", b"GET *"), 400, "target"),
        (PLAIN.replace(b"GET /", b"CONNECT a:443"), 400, "target"),
    ],
)
def test_what_two_servers_could_read_differently_is_refused_in_words(
    data: bytes, status: int, said: str
) -> None:
    found = flaw(data)
    assert found is not None, data
    assert found.status == status
    assert said in found.sentence, found


@given(st.integers(0, 2**32), st.integers(0, 3))
def test_what_is_taken_h11_takes_too(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        data = bytearray(chance.choice([BROWSER, PLAIN, post(b"Transfer-Encoding: chunked")]))
        for _ in range(changes):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(3)] = chance.choice([*TRICKY, bytes([chance.randrange(256)])])
        if end_of_head(data) > 0 and flaw(bytes(data)) is None:
            assert by_h11(bytes(data)) is not None, bytes(data)


def test_a_head_with_a_flaw_is_no_request_for_a_websocket() -> None:
    for data in (
        request_head().replace(b"\r\n", b"\n"),
        request_head(host="u@a"),
        request_head("http://other/ws", host="a"),
        request_head(headers=[("X", "a\x01b")]),
    ):
        assert websocket_head(data) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a?b", b"/a?b"),
        (b"http://h:1/a?b", b"/a?b"),
        (b"HTTPS://h", b"/"),
        (b"http://h?b", b"/?b"),
        (b"*", b"*"),
        (b"/http://h/", b"/http://h/"),
    ],
)
def test_an_absolute_target_is_read_as_its_path(target: bytes, path: bytes) -> None:
    assert path_and_query(target) == path


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
