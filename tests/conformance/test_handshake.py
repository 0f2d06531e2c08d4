"""RFC 6455, 4.2: what is a request for a WebSocket, and how others are answered."""

from __future__ import annotations

import base64

import pytest
from websockets.utils import accept_key

from tests.rawws import PATH, RawSocket
from tests.wsclient import request_head

KEYS = [base64.b64encode(bytes([fill]) * 16).decode() for fill in (0, 7, 0xFF)]


def head_with(port: int, **changes: str | None) -> bytes:
    """A request with headers changed (``Sec_WebSocket_Key="…"``) or left out (None)."""
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    given = [(name, value) for name, value in names.items() if value is not None]
    without = [
        name
        for name in ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
        if name in names
    ]
    return request_head(PATH, given, without=without, host=f"127.0.0.1:{port}")


def status_of(port: int, head: bytes) -> int:
    with RawSocket(port) as raw:
        raw.send(head)
        return raw.answer()[0]


@pytest.mark.parametrize("key", KEYS)
def test_the_answer_proves_that_the_key_was_read(hub_port: int, key: str) -> None:
    with RawSocket(hub_port) as raw:
        raw.send(head_with(hub_port, Sec_WebSocket_Key=key))
        status, headers = raw.answer()
        assert status == 101
        assert headers["sec-websocket-accept"] == accept_key(key)
        assert headers["upgrade"].lower() == "websocket"
        assert headers["connection"].lower() == "upgrade"


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, upgrade"},
        {"Connection": "UPGRADE"},
        {"Sec_WebSocket_Protocol": "other, tasktree.v1"},
        {"Sec_WebSocket_Protocol": "nobody.knows"},
    ],
    ids=str,
)
def test_values_are_lists_in_any_case(hub_port: int, changes: dict[str, str]) -> None:
    assert status_of(hub_port, head_with(hub_port, **changes)) == 101


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Version": "13, 8"}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
        ({"Sec_WebSocket_Key": "?" * 24}, 400),
    ],
    ids=str,
)
def test_a_request_that_is_wrong_is_refused_with_the_reason(
    hub_port: int, changes: dict[str, str | None], status: int
) -> None:
    assert status_of(hub_port, head_with(hub_port, **changes)) == status


def test_the_version_that_would_do_is_told(hub_port: int) -> None:
    with RawSocket(hub_port) as raw:
        raw.send(head_with(hub_port, Sec_WebSocket_Version="8"))
        status, headers = raw.answer()
        assert status == 426
        assert headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1/ws/orchestrator", 101),
        ("http://127.0.0.1/ws/orchestrator?producer_id=p", 101),
        ("http://127.0.0.1/no/where", 404),
        ("http://127.0.0.1", 400),
        ("http://other.example.org/ws/orchestrator", 400),
        ("http://[/ws/orchestrator", 400),
        ("http://[", 400),
        ("//[/ws", 404),
        ("*", 400),
        ("nonsense", 400),
    ],
)
def test_a_target_may_be_absolute_and_is_answered_whatever_it_is(
    hub_port: int, target: str, status: int
) -> None:
    assert status_of(hub_port, request_head(target, host=f"127.0.0.1:{hub_port}")) == status


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "localhost" * 10])
def test_a_host_that_can_be_none_is_refused(hub_port: int, host: str) -> None:
    assert 400 <= status_of(hub_port, request_head(PATH, host=host)) < 500
