"""Listening sockets and their options, what they refuse, and how accepting goes on."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.listeners import (
    ConnectionLimits,
    FixedPath,
    Listener,
    accept_from,
    close_listener,
    open_all,
    open_sockets,
    url_of,
)
from tests.web.serving import Started
from tests.wsclient import WsClient, request_head

# --- listening ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "url"), [("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")]
)
def test_sockets_are_opened_on_any_free_port(bind: str, url: str) -> None:
    if ":1" in bind and not socket.has_ipv6:
        pytest.skip("no IPv6")
    (sock,) = open_sockets(bind)
    with sock:
        assert url_of(sock).startswith(url)
        assert sock.getsockname()[1] > 0


def test_a_name_is_bound_at_every_address_this_machine_has() -> None:
    sockets = open_sockets("localhost:0")
    assert {sock.getsockname()[0] for sock in sockets} <= {"127.0.0.1", "::1"}
    assert sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("8000", "expected HOST:PORT"),
        (":8000", "expected HOST:PORT"),
        ("", "expected HOST:PORT"),
        ("127.0.0.1:x", "'x' is not a port"),
        ("127.0.0.1:65536", "'65536' is not a port"),
        ("127.0.0.1:-1", "'-1' is not a port"),
        ("127.0.0.1:٣", "is not a port"),
        ("::1:8000", "in brackets"),
        ("203.0.113.7:0", "no such address"),
        ("unix:", "expected unix:/PATH"),
        ("unix:/no/such/folder/x", "no such folder"),
        ("unix:/" + "x" * 200, "too long"),
    ],
)
def test_a_bind_that_cannot_be_had_is_one_clear_sentence(bind: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        open_sockets(bind)
    assert repr(bind) in str(caught.value)


def test_a_port_that_is_taken_is_said_so() -> None:
    (sock,) = open_sockets("127.0.0.1:0")
    with sock, pytest.raises(SettingsError, match="in use by another program"):
        open_sockets(f"127.0.0.1:{sock.getsockname()[1]}")


async def test_a_unix_socket_is_taken_over_from_the_dead_but_not_from_the_living(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    bind = f"unix:{path}"
    (living,) = open_sockets(bind)
    assert url_of(living) == bind
    with pytest.raises(SettingsError, match="in use"):
        open_sockets(bind)
    living.close()  # as after kill -9: the name stays
    assert stat.S_ISSOCK(path.stat().st_mode)
    (heir,) = open_sockets(bind)
    close_listener(heir)
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(SettingsError, match="no socket"):
        open_sockets(bind)
    assert path.read_text() == "precious"


async def test_accepted_sockets_inherit_the_options_of_their_listener() -> None:
    (listener,) = open_sockets("127.0.0.1:0")
    arrived: list[socket.socket] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_from, Listener(listener), lambda sock, *_: arrived.append(sock))
        async with await WsClient.dial(listener.getsockname()[1]):
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    listener.close()
    (sock,) = arrived
    with sock:
        tcp = socket.IPPROTO_TCP
        assert sock.getsockopt(tcp, socket.TCP_NODELAY)
        assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 30_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(tcp, socket.TCP_KEEPIDLE) == 60
        assert sock.getsockopt(tcp, socket.TCP_KEEPINTVL) == 10
        assert sock.getsockopt(tcp, socket.TCP_KEEPCNT) == 3
        assert not sock.getblocking()


async def test_an_address_that_is_taken_leaves_none_of_the_others_open(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    (taken,) = open_sockets("127.0.0.1:0")
    wanted = FixedPath(f"127.0.0.1:{taken.getsockname()[1]}", "/elsewhere")
    with pytest.raises(SettingsError, match="in use"):
        open_all(Settings(bind=f"unix:{path}"), [wanted])
    assert not path.exists()
    taken.close()


async def test_a_listener_is_closed_any_number_of_times() -> None:
    listener, other = open_all(Settings(bind="127.0.0.1:0"), [FixedPath("127.0.0.1:0", "/elsewhere")])
    assert (listener.path, other.path) == (None, "/elsewhere")
    for one in (listener, listener, other):
        one.close()
    assert {listener.sock.fileno(), other.sock.fileno()} == {-1}


# --- accepting ----------------------------------------------------------------------------------------------


class FailingListener(socket.socket):
    """A real listener that fails with the given errors first."""

    failures: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


async def test_running_out_of_descriptors_pauses_and_is_told_once(
    autojump_clock: trio.testing.MockClock, structlog_records: list[dict[str, object]]
) -> None:
    (plain,) = open_sockets("127.0.0.1:0")
    listener = FailingListener(fileno=plain.detach())
    listener.setblocking(False)
    listener.failures = [errno.EMFILE, errno.ENFILE, errno.EMFILE, errno.ECONNABORTED, errno.EPROTO]
    arrived: list[socket.socket] = []
    at: list[float] = []

    def note(sock: socket.socket, client: object, path: object) -> None:
        arrived.append(sock)
        at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_from, Listener(listener), note)
        async with await WsClient.dial(listener.getsockname()[1]):
            await trio.sleep(5)
        nursery.cancel_scope.cancel()
    listener.close()
    assert not listener.failures
    assert at == [pytest.approx(0.3)], "three pauses of 0.1 s, then the connection"
    arrived[0].close()
    assert [record["event"] for record in structlog_records] == ["cannot accept connections"]


def test_the_gate_counts_in_all_and_by_address() -> None:
    limits = ConnectionLimits(3, 2)
    a, b = ("10.0.0.1", 1), ("10.0.0.2", 1)
    assert [limits.add(a), limits.add(a), limits.add(a)] == [None, None, "max_connections_per_address"]
    assert [limits.add(b), limits.add(b)] == [None, "max_connections"]
    limits.remove(a)
    assert limits.add(None) is None
    assert limits.add(None) == "max_connections"
    for client in (a, b, None):
        limits.remove(client)
    assert limits.count == 0
    assert not limits._by_address, "an address that left must not be kept"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("max_connections", "max_connections"), ("max_connections_per_address", "max_connections_per_address")],
)
async def test_a_connection_over_the_limit_gets_503_and_a_place_once_one_is_free(
    started: Started, limit: str, reason: str
) -> None:
    served = await started(limits={limit: 2})
    first, _ = [await WsClient.open(served.port) for _ in range(2)]
    refused = await WsClient.dial(served.port)
    await refused.raw(request_head())
    answer = await refused.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    await refused.eof()
    assert await refused.rest() == b""
    assert served.edge.counts[f"connections_refused {reason}"] == 1
    await first.stream.aclose()
    await served.hub.sessions[0].done.wait()
    await trio.testing.wait_all_tasks_blocked()
    await WsClient.open(served.port)


async def test_a_flood_over_the_limit_is_bounded_too(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(limits={"max_connections": 1})
    kept = await WsClient.open(served.port)
    tasks = trio.lowlevel.current_statistics().tasks_living
    flood = [await WsClient.dial(served.port) for _ in range(200)]
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living <= tasks + 128
    assert served.edge.counts["connections_refused max_connections"] == len(flood)
    await trio.sleep(2)
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    refused = await WsClient.dial(served.port)
    assert (await refused.answer()).status == 503
    await kept.text("still served")
    assert (await kept.recv()).data == b"still served"
