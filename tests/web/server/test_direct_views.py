"""Handshakes that the server decides without Quart's dispatch end as they do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, strategies
from quart import Blueprint, Response, signals, websocket
from quart.sessions import SecureCookieSessionInterface
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioWebsocket
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Conflict

from tasktree_rt.errors import Refused
from tasktree_rt.web.server.direct_views import direct_view
from tasktree_rt.web.socket_request import SocketRequest
from tests.web.realhub import RealHub, auth, real_hub, token
from tests.wsclient import Answer, WsClient, request_head

PATHS = ("/ws/updates", "/ws/orchestrator", "/ws/aiecs", "/ws")
Edit = Callable[[QuartTrio], None]


async def answered(real: RealHub, path: str, *headers: tuple[str, str], host: str = "") -> Answer:
    client = await WsClient.dial(int(real.url.rpartition(":")[2]))
    await client.raw(request_head(path, headers, host=host or real.url.removeprefix("http://")))
    return await client.answer()


@asynccontextmanager
async def both(**chosen: Any) -> AsyncIterator[tuple[RealHub, RealHub]]:
    """Two equal hubs; the second one's app has a hook, so that Quart dispatches there."""
    async with real_hub(**chosen) as direct, real_hub(**chosen) as quarts:

        @quarts.app.before_websocket
        async def hook() -> None:
            assert websocket.path

        assert direct_view(direct.app, "/ws/updates") is not None
        assert direct_view(quarts.app, "/ws/updates") is None
        yield direct, quarts


def hook(app: QuartTrio) -> None:
    @app.before_websocket
    async def teapot() -> Response | None:
        return Response("no coffee", 418) if websocket.args.get("coffee") else None


def hook_of_the_blueprint(app: QuartTrio) -> None:
    async def teapot() -> Response | None:
        return Response("no coffee", 418) if websocket.args.get("coffee") else None

    for name in ("sockets", "aiecs_sockets", "autogpt_sockets"):
        app.before_websocket_funcs[name].append(teapot)


def other_view(app: QuartTrio) -> None:
    async def teapot() -> Response:
        return Response("no coffee", 418)

    for name in ("sockets.updates", "sockets.orchestrator", "aiecs_sockets.aiecs", "autogpt_sockets.autogpt"):
        app.view_functions[name] = teapot


def own_dispatch(app: QuartTrio) -> None:
    async def teapot(*_: Any) -> Response:
        return Response("no coffee", 418)

    app.handle_websocket = teapot  # type: ignore[assignment,method-assign]


def signal(app: QuartTrio) -> None:
    def teapot(_: object, **__: object) -> None:
        app.extensions["seen"] = True

    app.extensions["receiver"] = teapot  # blinker holds receivers weakly
    signals.websocket_started.connect(teapot, app)


def value_preprocessor(app: QuartTrio) -> None:
    app.url_value_preprocessors[None].append(lambda endpoint, values: None)


def after(app: QuartTrio) -> None:
    app.after_websocket_funcs[None].append(lambda response: response)


def teardown(app: QuartTrio) -> None:
    @app.teardown_websocket
    async def over(_: BaseException | None) -> None:
        app.extensions["seen"] = True


def teardown_of_the_app(app: QuartTrio) -> None:
    @app.teardown_appcontext
    async def over(_: BaseException | None) -> None:
        app.extensions["seen"] = True


def secret(app: QuartTrio) -> None:
    app.secret_key = "for sessions"


def session_interface(app: QuartTrio) -> None:
    class Own(SecureCookieSessionInterface):
        async def open_session(self, app: Any, request: Any) -> Any:
            app.extensions["seen"] = True

    app.session_interface = Own()


def websocket_class(app: QuartTrio) -> None:
    class Own(TrioWebsocket):
        pass

    app.websocket_class = Own


REFUSING = (hook, hook_of_the_blueprint, other_view, own_dispatch)
SEEING = (signal, teardown, teardown_of_the_app, session_interface)
OTHER = (value_preprocessor, after, secret, websocket_class)


@pytest.mark.parametrize("edit", [*REFUSING, *SEEING, *OTHER])
async def test_quart_dispatches_once_the_app_takes_part_in_handshakes(edit: Edit) -> None:
    async with real_hub() as real:
        for path in PATHS:
            assert direct_view(real.app, path) is not None
        edit(real.app)
        for path in PATHS:
            assert direct_view(real.app, path) is None


@pytest.mark.parametrize("edit", REFUSING)
@pytest.mark.parametrize("path", PATHS)
async def test_a_hook_added_to_a_running_hub_decides_the_next_handshake(edit: Edit, path: str) -> None:
    async with real_hub() as real:
        assert (await answered(real, path)).status in (101, 403)
        edit(real.app)
        assert (await answered(real, f"{path}?coffee=1")).status == 418


@pytest.mark.parametrize("edit", SEEING)
async def test_what_looks_at_handshakes_sees_them(edit: Edit) -> None:
    async with real_hub() as real:
        edit(real.app)
        await answered(real, "/ws/updates")
        assert real.app.extensions["seen"]


async def test_a_hook_of_another_blueprint_leaves_the_views_direct() -> None:
    async with real_hub() as real:
        other = Blueprint("other", __name__)

        @other.before_websocket
        async def never() -> None:
            raise AssertionError

        real.app.register_blueprint(other)
        assert direct_view(real.app, "/ws/updates") is not None
        assert (await answered(real, "/ws/updates")).status == 101


async def test_paths_with_variables_and_unknown_ones_are_quarts() -> None:
    async with real_hub() as real:
        variables = "/api/v1/ws/executions"
        for path in (f"{variables}/one", f"{variables}/<execution>", "/ws/none", "/ws/updates/"):
            assert direct_view(real.app, path) is None
        assert (await answered(real, "/api/v1/ws/executions/one")).status == 101
        assert (await answered(real, "/ws/none")).status == 404


async def test_an_error_of_a_view_is_answered_by_the_apps_error_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with both() as pair:
        for error, status in ((KeyError("a fault"), 500), (Refused("not you"), 403), (Conflict(), 409)):

            async def fails(*_: object, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr("tasktree_rt.web.sockets.admitted", fails)
            found = [await answered(real, "/ws/updates") for real in pair]
            assert found[0] == found[1]
            assert found[0].status == status
            assert found[0].headers["content-type"] == "application/problem+json"


REQUESTS: list[tuple[str, list[tuple[str, str]], str]] = [
    ("/ws/updates", [], ""),
    ("/ws/updates", [], "evil.example"),
    ("/ws/updates", [], "a b"),
    ("/ws/updates", [("Origin", "http://evil.example")], ""),
    ("/ws/updates", [("Sec-Fetch-Site", "cross-site")], ""),
    ("/ws/updates?project_id=a&project_id=a&project_id=b", [], ""),
    ("/ws/updates?project_id=", [], ""),
    ("/ws/updates?project_id=%ff", [], ""),
    ("/ws/updates?project_id=a&since=", [], ""),
    ("/ws/updates?project_id=a&since=nonsense", [], ""),
    ("/ws/updates?state=2", [], ""),
    ("/ws/updates?state=1", [], ""),
    ("/ws/updates?state=1", [("Sec-WebSocket-Protocol", "tasktree.v1")], ""),
    ("/ws/updates?policy=nonsense", [("Sec-WebSocket-Protocol", "other, tasktree.v1")], ""),
    ("/ws/updates?token=x", [("Sec-WebSocket-Protocol", "bearer.y")], ""),
    ("/ws/updates", [("Sec-WebSocket-Protocol", "bearer.y, other")], ""),
    ("/ws/updates", [("Authorization", "Bearer z"), ("Authorization", "Bearer y")], ""),
    ("/ws/updates", [("Remote-Addr", "10.0.0.1")], ""),
    ("/ws%2Fupdates", [], ""),
    ("/ws/%75pdates", [], ""),
    ("//ws/updates", [], ""),
    ("/ws/updates/", [], ""),
    ("/ws/orchestrator?producer_id=p&commands=a&commands=b", [], ""),
    (f"/ws/orchestrator?producer_id={'p' * 129}", [], ""),
    ("/ws/orchestrator?commands=", [], ""),
    ("/ws/aiecs", [], ""),
    ("/ws", [], ""),
    ("/ws?token=nonsense", [], ""),
]


@pytest.mark.parametrize("secured", [False, True])
async def test_the_answers_are_the_same_as_quarts(secured: bool) -> None:
    chosen = {"auth": auth()} if secured else {}
    good = token(watch=["*"], push=["*"])
    async with both(**chosen) as pair:
        for path, headers, host in (*REQUESTS, (f"/ws/updates?token={good}", [], "")):
            found = [await answered(real, path, *headers, host=host) for real in pair]
            assert found[0] == found[1], (path, headers, host)


def quoted(raw: bytes) -> bytes:
    """The bytes as a target may have them."""
    return b"".join(bytes([one]) if 32 < one < 127 else b"%%%02x" % one for one in raw)


@given(raw=strategies.binary(max_size=30).map(quoted))
def test_a_query_is_read_as_quart_reads_it(raw: bytes) -> None:
    scope: Any = {"path": "/", "client": None, "subprotocols": [], "headers": [], "query_string": raw}

    async def accept(_: str | None) -> None:
        raise AssertionError

    asked = SocketRequest(QuartTrio("tests"), scope, accept)
    quarts = TrioWebsocket("/", raw, "ws", Headers(), "", "1.1", [], accept, accept, accept, accept, scope)
    assert asked.query == dict(quarts.args.lists())
    for name in quarts.args:
        assert asked.parameter(name) == quarts.args.get(name)
        assert asked.parameters(name) == list(dict.fromkeys(quarts.args.getlist(name)))
