"""Which store the settings name, and the broker for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from platformdirs import user_state_path

from tasktree_rt import private
from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Redis, Settings, is_redis

DATABASE: Final = "hub.db"
LOG_BYTES: Final = 17 * 1024 * 1024
"""Slightly more than SQLite's write-ahead log holds before a checkpoint (`brokers.sqlite.schema`)."""


def make_broker(settings: Settings) -> Broker:
    """Make the broker that `Settings.store` names, not opened yet.

    Raises:
        SettingsError: the folder of the default store cannot be made, or the file of a password not read.
    """
    store = settings.store
    if is_redis(store):
        return _redis_broker(store, settings.redis)
    path = store_path(store)
    if path is None:
        return MemoryBroker()
    if not store:
        try:
            private.make_folder(str(path.parent))
        except OSError as error:
            raise SettingsError(f"store: cannot make the folder {path.parent}: {error.strerror}") from None
    return SqliteBroker(str(path), log_bytes=LOG_BYTES, index=settings.search.index)


def _redis_broker(url: str, redis: Redis) -> Broker:
    # Imported late: the Redis client takes a quarter of a hub's start time.
    from tasktree_rt.brokers.redis.store import RedisBroker

    return RedisBroker(
        url,
        password=redis_password(redis),
        prefix=redis.prefix,
        replicas=redis.replicas,
        timeout=redis.timeout,
    )


def redis_password(redis: Redis) -> str:
    """Return the password of the store's Redis, from the settings or the file that they name.

    Raises:
        SettingsError: the file cannot be read, or has no first line.
    """
    if not redis.password_file:
        return redis.password
    try:
        lines = Path(redis.password_file).expanduser().read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"redis.password_file: {redis.password_file}: {error}") from None
    if not (lines and lines[0]):
        raise SettingsError(
            f"redis.password_file: {redis.password_file}: expected the password in the first line"
        )
    return lines[0]


def store_path(store: str) -> Path | None:
    """Return the file that `Settings.store` names; None for a store that is no file."""
    if store == "memory:" or is_redis(store):
        return None
    return Path(store.partition(":")[2]).expanduser() if store else user_state_path("tasktree-rt") / DATABASE
