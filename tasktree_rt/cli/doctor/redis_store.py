"""Checks of a store in Redis: version, policy, durability, clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import trio

from tasktree_rt.brokers.redis.connection import EXPECTED, Connection, Patience, RedisError, connect, reason
from tasktree_rt.brokers.redis.store.server import check_info, read_info
from tasktree_rt.brokers.redis.store.source import read_source
from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding
from tasktree_rt.composition.stores import redis_password
from tasktree_rt.errors import HubError, StoreUnavailable
from tasktree_rt.settings import Settings

_CONNECTING: Final = Patience(connect=5.0)
_APART: Final = 5.0
"""Seconds by which the clocks may differ."""


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Connect to the Redis that `store` names, and look at what a hub needs of it."""
    try:
        info, clock = trio.run(_look, settings)
    except (HubError, ValueError, *EXPECTED) as error:
        why = str(error) if isinstance(error, HubError) else reason(error)
        remedy = "start it, or correct store, redis.password or redis.password_file"
        yield Finding(PROBLEM, "store", f"{settings.store}: {why}", remedy)
        return
    yield from _judged(settings, info)
    apart = abs(clock - time.time())
    if apart > _APART:
        text = f"the clock of Redis and this machine's differ by {apart:.0f} s"
        yield Finding(HINT, "clock", text, "run a time service on both machines")


async def _look(settings: Settings) -> tuple[dict[str, str], float]:
    source = read_source(settings.store, redis_password(settings.redis))
    connection = await connect(await source.find(_CONNECTING), _CONNECTING)
    try:
        return {**await read_info(connection), "mode": connection.mode}, await _clock_of(connection)
    finally:
        await connection.aclose()


async def _clock_of(connection: Connection) -> float:
    (answer,) = await connection.exchange([("TIME",)], _CONNECTING.connect)
    if isinstance(answer, RedisError):
        raise answer
    return float(answer[0])


def _judged(settings: Settings, info: dict[str, str]) -> Iterator[Finding]:
    try:
        check_info(info, settings.store, info["mode"])
    except (StoreUnavailable, RedisError) as error:
        yield Finding(PROBLEM, "store", str(error), "change the configuration of that Redis, or use another")
        return
    text = f"{settings.store}: Redis {info.get('redis_version')}, {info.get('maxmemory_policy')}"
    if info.get("aof_enabled") != "1":
        remedy = "set appendonly yes, and appendfsync always if no acknowledged event may be lost"
        yield Finding(HINT, "store", f"{text}; appendonly is off: it keeps nothing over its own end", remedy)
    else:
        yield Finding(OK, "store", f"{text}, appendonly yes")
