"""A refused page sees nothing of why; the hub's log says it, with the setting that lets the page in."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tasktree_rt.hub.access.line_limit import EVERY, REMEMBERED
from tasktree_rt.settings import Aiecs, Settings
from tasktree_rt.web.auth.origin_refusal_log import Refusals
from tests.web.realhub import real_hub
from tests.wsclient import WsClient, request_head

LISTED = "https://board.example.org"
FOREIGN = "https://app.example.com:8443"
REMEDY = f'to allow it set cors_origins = ["{LISTED}", "{FOREIGN}"]'
SETTINGS = Settings(cors_origins=(LISTED,), server_names=("hub.example.org",))


class Clock:
    """A time that stands still until it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_refused_origin_is_logged_once_a_minute_with_how_often_and_the_exact_setting() -> None:
    clock = Clock()
    refusals = Refusals(SETTINGS, clock)
    with capture_logs() as lines:
        for _ in range(50):
            refusals.origin(FOREIGN.upper(), "hub.example.org", "/ws/updates")
        clock.now += EVERY - 1
        refusals.origin(FOREIGN, "hub.example.org", "/ws/updates")
        clock.now += 1
        refusals.origin(FOREIGN, "hub.example.org", "/ws/updates")
    assert [(line["origin"], line["times"], line["remedy"]) for line in lines] == [
        (FOREIGN, 1, REMEDY),
        (FOREIGN, 51, REMEDY),
    ]
    assert lines[0]["log_level"] == "warning"


@pytest.mark.parametrize("origin", ["null", "file://", "https://a.b/path", "https://" + "x" * 5_000])
def test_an_origin_that_no_setting_can_name_is_logged_as_that(origin: str) -> None:
    with capture_logs() as lines:
        Refusals(SETTINGS, Clock()).origin(origin, "localhost", "/")
    assert [line["remedy"] for line in lines] == ["none: it is no valid entry of cors_origins"]
    assert len(lines[0]["origin"]) <= 300


def test_a_refused_host_is_logged_with_its_setting() -> None:
    with capture_logs() as lines:
        refusals = Refusals(SETTINGS, Clock())
        refusals.host("Board.example.org:80", "/")
        refusals.host(None, "/")
    assert [line["remedy"] for line in lines] == [
        'to allow it set server_names = ["hub.example.org", "board.example.org:80"]',
        "none: it is no valid entry of server_names",
    ]


def test_many_different_origins_cost_neither_memory_nor_a_line_each() -> None:
    clock = Clock()
    refusals = Refusals(SETTINGS, clock)
    with capture_logs() as lines:
        for number in range(10_000):
            refusals.origin(f"https://o{number}.example.com", "localhost", "/")
    assert len(lines) == REMEMBERED + 1
    assert lines[-1]["event"] == "many different origins or hosts refused"
    clock.now += EVERY
    with capture_logs() as lines:
        for number in range(10_000, 20_000):
            refusals.origin(f"https://o{number}.example.com", "localhost", "/")
    assert len(lines) == REMEMBERED + 1
    assert lines[-1]["times"] == 10_000 - REMEMBERED


# --- through the hub's own doors ---------------------------------------------------------------------


def _request(method: str, path: str, host: str, origin: str) -> bytes:
    lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Length: 0\r\n"
    return f"{lines}Connection: close\r\n\r\n".encode()


async def _asked(stream: trio.SocketStream, data: bytes) -> int:
    client = WsClient(stream)
    await client.raw(data)
    return (await client.answer()).status


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SOCKETS = ("/ws/updates", "/ws/orchestrator", "/ws/aiecs", "/ws", "/api/v1/ws/executions/e")


@pytest.mark.parametrize("listener", ["tcp", "unix", "aiecs"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("socket", path, 403) for path in SOCKETS),
        ("POST", "/api/v1/projects/p/events", 403),
        ("DELETE", "/api/v1/projects/p", 403),
        ("GET", "/healthz", 200),
        ("GET", "/api/v1/projects/p/state", 403),
        ("OPTIONS", "/api/v1/projects/p/events", 403),
    ],
)
async def test_every_listener_logs_a_page_that_it_keeps_out(
    tmp_path: Path, listener: str, method: str, path: str, status: int
) -> None:
    port = _free_port() if listener == "aiecs" else 0
    others: dict[str, Any] = {"bind": f"unix:{tmp_path}/hub.sock"} if listener == "unix" else {}
    async with real_hub(cors_origins=(LISTED,), aiecs=Aiecs(port=port), **others) as running:
        with capture_logs() as lines:
            for _ in range(3):
                if listener == "unix":
                    stream = await trio.open_unix_socket(tmp_path / "hub.sock")
                else:
                    at = port or int(running.url.rsplit(":", 1)[1])
                    stream = await trio.open_tcp_stream("127.0.0.1", at)
                async with stream:
                    if method == "socket":
                        data = request_head(path, [("Origin", FOREIGN)], host="localhost")
                    else:
                        data = _request(method, path, "localhost", FOREIGN)
                    assert await _asked(stream, data) == status
        refused = [line for line in lines if line["event"] == "origin refused"]
        assert [(line["origin"], line["host"], line["remedy"]) for line in refused] == [
            (FOREIGN, "localhost", REMEDY)
        ]


async def test_routes_share_their_lines_and_a_page_of_the_hubs_own_has_none() -> None:
    async with real_hub(cors_origins=(LISTED,)) as running:
        port = int(running.url.rsplit(":", 1)[1])
        with capture_logs() as lines:
            for origin in (FOREIGN, LISTED, f"http://localhost:{port}"):
                for path in SOCKETS:
                    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                        head = request_head(path, [("Origin", origin)], host=f"localhost:{port}")
                        assert await _asked(stream, head) == (403 if origin == FOREIGN else 101)
        assert [line["origin"] for line in lines if line["event"] == "origin refused"] == [FOREIGN]


def test_every_page_about_moving_here_names_the_setting() -> None:
    pages = sorted((Path(__file__).parents[3] / "docs" / "migrate").glob("*.md"))
    assert len(pages) >= 4
    assert [page.name for page in pages if "cors_origins" not in page.read_text()] == []
