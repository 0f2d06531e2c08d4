from __future__ import annotations

import json

import pytest
import trio
from quart import websocket
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from tests.secure import assert_cut_off, secure
from tests.web.server.test_extension_offers import AGREED
from tests.web.serving import Started
from tests.wsclient import ACCEPT, Answer, WsClient, request_head

pytestmark = pytest.mark.usefixtures("wire")


async def ask(port: int, data: bytes) -> Answer:
    """Send a request and read the answer, after which the server must close in order."""
    client = await WsClient.dial(port)
    await client.raw(data)
    answer = await client.answer()
    assert answer.headers["connection"].lower() == "close"
    assert await client.rest() == b""
    return answer


async def test_an_accepted_handshake_says_what_the_view_agreed_to_and_the_extension(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    headers = [
        ("Sec-WebSocket-Protocol", "a, b"),
        ("Sec-WebSocket-Protocol", "c"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ]
    await client.raw(request_head("/echo?x=1", headers))
    answer = await client.answer()
    assert answer.status == 101
    assert answer.headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": ACCEPT,
        "sec-websocket-protocol": "c",
        "sec-websocket-extensions": AGREED,
        "x-path": "/echo",
    }
    assert served.edge.counts == {"handshakes accepted": 1}


async def test_a_head_may_come_a_byte_at_a_time(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    for byte in request_head():
        await client.raw(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked()
    assert (await client.answer()).status == 101


async def test_the_view_sees_the_scope_as_hypercorn_would_give_it(started: Started) -> None:
    served = await started()
    answer = await ask(served.port, request_head("/see?a=%20b", [("Sec-WebSocket-Protocol", "p1,p2")]))
    assert answer.status == 418
    assert json.loads(answer.body) == {
        "path": "/see",
        "scheme": "wss" if secure.on else "ws",
        "http_version": "1.1",
        "subprotocols": ["p1", "p2"],
        "extensions": {"websocket.http.response": {}},
        "client": "127.0.0.1",
        "server": served.port,
        "args": {"a": " b"},
    }
    same = await ask(served.port, request_head(f"http://hub:{served.port}/see?a=%20b"))
    assert json.loads(same.body)["args"] == {"a": " b"}


async def test_a_refusal_of_the_view_is_its_response(started: Started) -> None:
    served = await started()
    answer = await ask(served.port, request_head("/no"))
    assert (answer.status, answer.body) == (401, b"not you")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await ask(served.port, request_head("/nowhere"))).status == 404
    assert (await ask(served.port, request_head("http://hub"))).status == 404
    assert (await ask(served.port, request_head("/shut"))).status == 403
    assert (await ask(served.port, request_head("/thinks-better"))).status == 403
    assert (await served.session()).endings == [(None, "")]
    assert served.edge.counts == {"handshakes rejected": 5}


async def test_a_refusal_is_not_lost_to_a_reset_though_the_peer_said_more(started: Started) -> None:
    served = await started()
    answer = await ask(served.port, request_head("/no") + b"x" * 200_000)
    assert (answer.status, answer.body) == (401, b"not you")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request_head(without=["Sec-WebSocket-Version"]), 426),
        (request_head(without=["Sec-WebSocket-Key"]), 400),
        (request_head(headers=[("Content-Length", "3")]) + b"abc", 400),
    ],
)
async def test_an_unsound_request_never_reaches_a_view(started: Started, head: bytes, status: int) -> None:
    served = await started()
    answer = await ask(served.port, head)
    assert answer.status == status
    assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
    assert served.edge.counts == {"handshakes invalid": 1}


async def test_what_is_not_http_is_answered_400(started: Started) -> None:
    served = await started()
    for head in (
        request_head(without=["Host"]),
        request_head(headers=[("Host", "b")]),
        b"\r\n",
        b"nonsense\r\n\r\n",
    ):
        assert (await ask(served.port, head)).status == 400


async def test_a_head_that_is_too_long_is_answered_431(started: Started) -> None:
    served = await started()
    long = ("X-Long", "x" * 17_000)
    assert (await ask(served.port, request_head(headers=[long]))).status == 431
    assert (await ask(served.port, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000)).status == 431
    assert (await ask(served.port, b"x" * 20_000)).status == 431


@pytest.mark.parametrize("path", ["/crash", "/crash-later"])
@pytest.mark.parametrize("propagates", [False, True])
async def test_a_view_that_raises_is_answered_500(
    started: Started, structlog_records: list[dict[str, object]], path: str, propagates: bool
) -> None:
    served = await started(edit=lambda app: app.config.update(PROPAGATE_EXCEPTIONS=propagates))
    served.app.logger.disabled = True
    assert (await ask(served.port, request_head(path))).status == 500
    assert served.edge.counts == {"handshakes failed": 1}
    assert [record["event"] for record in structlog_records] == ["websocket view failed"] * propagates
    if path == "/crash-later":
        assert served.hub.sessions[0].endings == [(None, "")]


@pytest.mark.parametrize(
    "path",
    [
        *("/sessionless", "/receives", "/other-protocol", "/bad-header/Upgrade", "/bad-header/Connection"),
        *(
            "/bad-header/Sec-WebSocket-Extensions",
            "/bad-header/Sec-WebSocket-Protocol",
            "/bad-header/bad%20name",
        ),
        *("/bad-header/X%0D%0AEvil", "/bad-header/Content-Length"),
    ],
)
async def test_what_a_view_cannot_mean_is_a_logged_500(
    started: Started, structlog_records: list[dict[str, object]], path: str
) -> None:
    served = await started(edit=lambda app: app.config.update(PROPAGATE_EXCEPTIONS=True))
    answer = await ask(served.port, request_head(path, [("Sec-WebSocket-Protocol", "offered")]))
    assert answer.status == 500
    assert b"Evil" not in answer.body
    assert [record["event"] for record in structlog_records] == ["websocket view failed"]


async def test_line_breaks_in_accept_headers_are_refused(started: Started) -> None:
    def edit(app: QuartTrio) -> None:
        @app.websocket("/split")
        async def split() -> None:
            headers = Headers()  # which refuses line breaks itself, unless they are smuggled in
            headers._list.append(("X", "a\r\nSet-Cookie: evil"))
            await websocket._accept(headers, None)

    served = await started(edit=edit)
    served.app.logger.disabled = True
    answer = await ask(served.port, request_head("/split"))
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


async def test_a_half_open_handshake_is_ended_in_time(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(limits={"handshake_timeout": 4.0})
    silent, slow = await WsClient.dial(served.port), await WsClient.dial(served.port)
    await slow.raw(b"GET /echo HTTP/1.1\r\n")
    await assert_cut_off(silent)
    assert (await slow.answer()).status == 408
    assert trio.current_time() == pytest.approx(4.0, abs=0.1)
    assert served.edge.counts == {"handshakes timeout": 2}


async def test_a_view_that_hangs_is_ended_in_time(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(limits={"handshake_timeout": 4.0})
    client = await WsClient.dial(served.port)
    await client.raw(request_head("/hang"))
    await assert_cut_off(client)
    assert trio.current_time() == pytest.approx(4.0, abs=0.1)
    assert served.edge.counts == {"handshakes timeout": 1}
    assert (await served.session()).endings == [(None, "")]


async def test_a_peer_that_goes_before_its_head_is_whole_costs_nothing(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /echo HTT")
    client.reset()
    client = await WsClient.dial(served.port)
    await client.eof()
    await assert_cut_off(client)
    await WsClient.open(served.port)
