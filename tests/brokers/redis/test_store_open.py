"""What a Redis must be to hold a store, and that one hub has it at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktree_rt.brokers.base import Appended
from tasktree_rt.brokers.redis.store import RedisBroker
from tasktree_rt.errors import StoreUnavailable, StoreUnusable
from tests.brokers.making import NOW, append_one, entry, events
from tests.brokers.redis.redisserver import NEEDED, redis_server

pytestmark = NEEDED


def _broker(where: Path | str, prefix: str, **more: float) -> RedisBroker:
    return RedisBroker(f"unix://{where}" if isinstance(where, Path) else where, prefix=prefix, **more)  # type: ignore[arg-type]


async def test_two_hubs_append_to_one_log(redis_socket: Path) -> None:
    first, second = _broker(redis_socket, "shared"), _broker(redis_socket, "shared")
    await first.open()
    await second.open()
    assert await append_one(first, entry("p")) == Appended("e1", 1, NOW)
    assert await append_one(second, entry("p", epoch="e2")) == Appended("e1", 2, NOW)
    assert len(await events(first)) == 2
    await first.aclose()
    assert await append_one(second, entry("p")) == Appended("e1", 3, NOW)
    await second.aclose()


async def test_a_store_that_a_hub_of_an_earlier_version_uses_is_refused(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis:
        await redis.ask("MSET", "tt:format", "1", "tt:hub:alive", "another")
        broker = _broker(redis.url, "tt")
        with pytest.raises(StoreUnusable, match="is open in a hub of an earlier version"):
            await broker.open()
        await redis.ask("DEL", "tt:hub:alive")
        await broker.open()
        assert await redis.ask("GET", "tt:format") == b"2"
        await broker.aclose()


async def test_hubs_with_different_prefixes_share_a_redis(redis_socket: Path) -> None:
    one, other = _broker(redis_socket, "one"), _broker(redis_socket, "other")
    await one.open()
    await other.open()
    await append_one(one, entry("p", owner="ada"))
    assert (await other.projects(), await other.owned()) == ([], {})
    await one.aclose()
    await other.aclose()


async def test_scripts_that_redis_forgot_are_sent_again(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis:
        broker = _broker(redis.url, "tt")
        await broker.open()
        await append_one(broker, entry("p", key="k"))
        await redis.ask("SCRIPT", "FLUSH")
        await append_one(broker, entry("p"))
        assert len(await events(broker)) == 2
        await broker.aclose()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "expected maxmemory-policy noeviction, got allkeys-lru"),
        (("--replicaof", "127.0.0.1 1"), "expected a master"),
        (("--cluster-enabled", "yes"), "is a cluster"),
        (("--requirepass", "x"), "authenticate"),
    ],
)
async def test_a_redis_that_is_no_store_is_refused(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    running = "--requirepass" not in options
    async with redis_server(tmp_path, *options, running=running) as redis:
        if not running:
            await redis.start(b"-NOAUTH")
        broker = _broker(redis.url, "tt")
        with pytest.raises(StoreUnusable, match=told):
            await broker.open()
        await broker.aclose()


async def test_a_password_opens_the_store(tmp_path: Path) -> None:
    async with redis_server(tmp_path, "--requirepass", "se:cret@", running=False) as redis:
        await redis.start(b"-NOAUTH")
        broker = RedisBroker(redis.url, password="se:cret@")
        await broker.open()
        assert "cret" not in broker.name
        await append_one(broker, entry("p"))
        await broker.aclose()


async def test_a_store_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis:
        await redis.ask("SET", "tt:format", "99")
        broker = _broker(redis.url, "tt")
        with pytest.raises(StoreUnusable, match="was written in format 99, known is 2"):
            await broker.open()
        await broker.aclose()


async def test_a_redis_that_may_forget_events_is_not_used_until_it_keeps_them_again(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis:
        broker = _broker(redis.url, "tt")
        await broker.open()
        await redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(StoreUnavailable, match="expected maxmemory-policy noeviction"):
            await append_one(broker, entry("p"))
        await redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await append_one(broker, entry("p"))
        assert len(await events(broker)) == 1
        await broker.aclose()
