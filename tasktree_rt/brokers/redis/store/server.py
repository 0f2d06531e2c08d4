"""What a Redis must be to hold a store, found out by each new connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import Connection, RedisError
from tasktree_rt.errors import StoreUnavailable

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")
NEEDED: Final = (7, 0)
TIMEOUT: Final = 5.0


async def check_server(connection: Connection, name: str) -> None:
    """Look at the server's version, kind, and what it does when it is full.

    Raises:
        StoreUnavailable: it would forget events by itself, or cannot do what a store needs.
        RedisError: it refuses, or it still loads its data.
    """
    info = await read_info(connection)
    check_info(info, name, connection.mode)
    if info.get("aof_enabled") != "1":
        log.warning("redis keeps nothing over its own end", store=name, hint="set appendonly yes")


async def read_info(connection: Connection) -> dict[str, str]:
    """Ask for what the server says of itself (INFO).

    Raises:
        RedisError: it refuses.
    """
    (answer,) = await connection.exchange([("INFO",)], TIMEOUT)
    if isinstance(answer, RedisError):
        raise answer
    return dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)


def check_info(info: Mapping[str, str], name: str, mode: str) -> None:
    """Judge an answer of `read_info` from a server of a mode (``standalone``, ``cluster``).

    Raises:
        StoreUnavailable, RedisError: as `check_server`.
    """
    if info.get("loading") == "1":
        raise RedisError("it loads its data")
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < NEEDED:
        raise StoreUnavailable(f"{name} is Redis {version}: expected at least {'.'.join(map(str, NEEDED))}")
    if mode == "cluster":
        raise StoreUnavailable(f"{name} is a cluster: expected one Redis, or one with Sentinels")
    policy = info.get("maxmemory_policy", "")
    if policy != "noeviction":
        raise StoreUnavailable(
            f"{name} deletes keys when it is full: expected maxmemory-policy noeviction, got {policy}"
        )
