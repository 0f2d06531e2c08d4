"""The listener against a real Redis: it comes back from every loss, tells of each, and loses nothing else."""

from __future__ import annotations

import signal
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from tasktree_rt.brokers.redis.connection import KEPT_READ, Connection, Patience, read_address
from tasktree_rt.brokers.redis.pubsub import Listener, jittered
from tests.brokers.redis.redisserver import NEEDED, RedisServer, Waiter, encoded, redis_server

CALM = Patience(connect=20.0, first=0.02, longest=0.1)
"""Soon back, but never in doubt of a Redis that is there, however busy the machine is."""
QUICK = evolve(CALM, connect=1.0, ping_interval=0.2, ping_timeout=1.0)


class Heard:
    """A listener, and what it told."""

    def __init__(self, url: str, patience: Patience = CALM, password: str = "") -> None:
        self.at_first: Callable[[], None] = lambda: None
        self.changes = Waiter()
        self.messages: list[tuple[str, bytes]] = []
        self.told: list[str] = []
        self.reasons: list[str] = []
        self.listener = Listener(
            url,
            ("a/*", "b/*"),
            self._received,
            on_up=self._up,
            on_down=self._down,
            password=password,
            patience=patience,
        )

    def _received(self, channel: bytes, body: bytes) -> None:
        self.messages.append((channel.decode(), body))
        self.changes.change()
        first, self.at_first = self.at_first, lambda: None
        first()

    def _up(self) -> None:
        self.told.append("up")
        self.changes.change()

    def _down(self, reason: str) -> None:
        self.reasons.append(reason)
        if self.told[-1:] != ["down"]:
            self.told.append("down")
        self.changes.change()

    async def until_told(self, *told: str) -> None:
        await self.changes.until(lambda: self.told == list(told))

    async def until_heard(self, count: int) -> None:
        await self.changes.until(lambda: len(self.messages) >= count)


@asynccontextmanager
async def listening(server: RedisServer, patience: Patience = CALM) -> AsyncIterator[Heard]:
    heard = Heard(server.url, patience)
    async with trio.open_nursery() as nursery:
        await nursery.start(heard.listener.run)
        yield heard
        nursery.cancel_scope.cancel()


@NEEDED
async def test_what_is_published_under_the_patterns_comes_in_order_and_nothing_else(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, listening(server) as heard:
        assert heard.told == ["up"]
        for channel, body in (("a/1", b"one"), ("c/1", b"no"), ("b/x/y", b"\xff\x00\r\n"), ("a/1", b"")):
            await server.publish(channel, body)
        await heard.until_heard(3)
        assert heard.messages == [("a/1", b"one"), ("b/x/y", b"\xff\x00\r\n"), ("a/1", b"")]


@NEEDED
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_it_comes_back_when_redis_does_and_tells_of_both(tmp_path: Path, how: signal.Signals) -> None:
    async with redis_server(tmp_path) as server, listening(server) as heard:
        for count in (1, 2):
            await server.end(how)
            await heard.changes.until(lambda: heard.told[-1] == "down")
            await server.start()
            await heard.changes.until(lambda: heard.told[-1] == "up")
            await server.publish("a/1", b"again")
            await heard.until_heard(count)  # a Redis that is killed at once may not have sent it
        assert heard.told == ["up", "down", "up", "down", "up"]


@NEEDED
async def test_a_redis_that_is_not_there_at_the_start_is_told_and_waited_for(tmp_path: Path) -> None:
    async with redis_server(tmp_path, running=False) as server, listening(server) as heard:
        assert heard.told == ["down"]
        assert "Connection refused" in heard.reasons[0]
        await server.start()
        await heard.until_told("down", "up")


@NEEDED
async def test_a_redis_that_is_frozen_is_given_up_and_found_again(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, listening(server, QUICK) as heard:
        server.send(signal.SIGSTOP)
        await heard.until_told("up", "down")
        server.send(signal.SIGCONT)
        await heard.until_told("up", "down", "up")
        await server.publish("a/1", b"x")
        await heard.until_heard(1)


@NEEDED
async def test_a_redis_that_is_slow_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, listening(server, evolve(CALM, ping_interval=0.1)) as heard:
        server.send(signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                server.ask_all, [encoded("PUBLISH", "a/1", str(number)) for number in range(500)]
            )
            await trio.sleep(0.5)  # a question of the listener's stands open
            server.send(signal.SIGCONT)
        await heard.until_heard(500)
        assert [int(said) for _, said in heard.messages] == list(range(500))
        assert heard.told == ["up"]


@NEEDED
async def test_a_silent_redis_is_asked_and_kept(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, listening(server, evolve(CALM, ping_interval=0.2)) as heard:
        await trio.sleep(1.5)  # some pings
        assert heard.told == ["up"]
        assert b"cmdstat_ping" in await stats(server)


async def stats(server: RedisServer) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    async with stream:
        await stream.send_all(encoded("INFO", "commandstats") + encoded("QUIT"))
        return b"".join([chunk async for chunk in stream])


@NEEDED
async def test_a_connection_that_redis_kills_is_made_anew(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, listening(server) as heard:
        assert await server.ask("CLIENT", "KILL", "TYPE", "pubsub") == b":1"
        await heard.until_told("up", "down", "up")


def flood(port: int, total: int) -> None:
    """Publish numbered messages of 100 kB while nothing else of this process runs."""
    with socket.create_connection(("127.0.0.1", port)) as publisher, publisher.makefile("rb") as answers:
        for number in range(1, total):
            publisher.sendall(encoded("PUBLISH", "a/1", b"%d " % number + b"x" * 100_000))
            assert answers.readline().startswith(b":")


@NEEDED
async def test_who_is_disconnected_for_reading_too_slowly_knows_it_and_has_heard_all_that_was_read(
    tmp_path: Path,
) -> None:
    """Redis drops whoever lets its output grow; the listener holds no more than one read itself."""
    limit, total = ("--client-output-buffer-limit", "pubsub 1mb 1mb 1"), 400
    async with redis_server(tmp_path, *limit) as server, listening(server) as heard:
        heard.at_first = partial(flood, server.port, total)
        with traced() as grown:
            await server.publish("a/1", b"0 ")
            await heard.until_told("up", "down", "up")
            held = sum(len(body) for _, body in heard.messages)
            assert grown() - held < 4 * KEPT_READ, grown()
        numbers = [int(body.split()[0]) for _, body in heard.messages]
        assert numbers == list(range(len(numbers)))
        assert 0 < len(numbers) < total


async def test_what_came_before_redis_hung_up_is_all_handed_over(nursery: trio.Nursery) -> None:
    """Hundreds of messages and the end of the connection, all in one go."""
    total = 500

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"%1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n")
        await stream.receive_some()
        confirmed = [b">3\r\n$10\r\npsubscribe\r\n$1\r\n%c\r\n:1\r\n" % one for one in b"ab"]
        message = b">4\r\n$8\r\npmessage\r\n$1\r\na\r\n$3\r\na/1\r\n$%d\r\n%d\r\n"
        said = [message % (len(str(number)), number) for number in range(total)]
        await stream.send_all(b"".join([*confirmed, *said]))
        await stream.aclose()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    heard = Heard(f"redis://127.0.0.1:{port}", evolve(CALM, first=1e9, longest=1e9))
    await nursery.start(heard.listener.run)
    await heard.until_told("up", "down")
    assert [int(body) for _, body in heard.messages] == list(range(total))
    nursery.cancel_scope.cancel()


async def test_a_sentinel_is_down_for_nothing_arrives_there(nursery: trio.Nursery) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"%1\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n")
        await stream.receive_some()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    heard = Heard(f"redis://127.0.0.1:{port}", evolve(CALM, first=1e9, longest=1e9))
    await nursery.start(heard.listener.run)
    assert heard.told == ["down"]
    assert "Sentinel" in heard.reasons[0]
    nursery.cancel_scope.cancel()


@NEEDED
async def test_who_may_not_subscribe_is_down_with_redis_own_words(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server:
        assert await server.ask("ACL", "SETUSER", "default", "-psubscribe") == b"+OK"
        async with listening(server) as heard:
            assert heard.told == ["down"]
            assert "psubscribe" in heard.reasons[0]


async def test_what_was_parsed_is_not_held_while_replies_and_reads_never_end_together() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    connection = Connection(ours, CALM)
    whole = b"$70000\r\n" + b"x" * 70_000 + b"\r\n"
    with traced() as grown:
        await theirs.send_all(whole[:1])
        for _ in range(200):
            await theirs.send_all(whole[1:] + whole[:1])
            assert [len(one.value) for one in await connection.read()] == [70_000]
        assert grown() < 6 * KEPT_READ


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Gives how many bytes are held that were not before. (Resident memory tells of other tests too.)"""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@NEEDED
async def test_ten_thousand_messages_a_second_come_without_a_lost_one(tmp_path: Path) -> None:
    total, chunk = 30_000, 200
    async with redis_server(tmp_path) as server, listening(server) as heard:
        began, spent = time.monotonic(), time.process_time()
        for begin in range(0, total, chunk):
            await server.ask_all(
                [
                    encoded("PUBLISH", "a/1", b"%d " % number + b"x" * 500)
                    for number in range(begin, begin + chunk)
                ]
            )
            ahead = began + begin / 15_000 - time.monotonic()
            if ahead > 0:
                await trio.sleep(ahead)
        await heard.until_heard(total)
        # Of this process, which also publishes them: what else the machine does is no matter.
        assert total / (time.process_time() - spent) > 10_000
        assert heard.told == ["up"]
        assert [int(body.split()[0]) for _, body in heard.messages] == list(range(total))


@NEEDED
async def test_waiting_for_a_redis_that_is_gone_costs_next_to_nothing(tmp_path: Path) -> None:
    slow = evolve(CALM, first=0.1, longest=0.5)
    async with redis_server(tmp_path, running=False) as server, listening(server, slow) as heard:
        before = time.process_time()
        await trio.sleep(2.0)
        assert time.process_time() - before < 0.4
        assert len(heard.reasons) < 30


@NEEDED
@pytest.mark.parametrize(("password", "first"), [("pass word", "up"), ("wrong", "down"), ("", "down")])
async def test_a_password_is_shown_to_redis_and_to_nobody_else(
    tmp_path: Path, password: str, first: str
) -> None:
    async with redis_server(tmp_path) as server:
        assert await server.ask("CONFIG", "SET", "requirepass", "pass word") == b"+OK"
        heard = Heard(server.url, password=password)
        async with trio.open_nursery() as nursery:
            await nursery.start(heard.listener.run)
            assert heard.told == [first]
            nursery.cancel_scope.cancel()
        assert not any("wrong" in reason for reason in heard.reasons)
        assert "pass word" not in heard.listener.address


def test_waits_double_up_to_the_longest_and_differ() -> None:
    patience = Patience()
    for tries in range(40):
        waits = {jittered(tries, patience) for _ in range(50)}
        bound = min(60.0, 0.25 * 2**tries)
        assert all(bound / 2 <= one <= bound for one in waits)
        assert len(waits) > 40
    assert jittered(10_000, patience) <= 60.0


@pytest.mark.parametrize("url", ["", "http://x", "redis://", "localhost:6379", "unix://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected redis://"):
        read_address(url)
