"""Logs in Redis: a broker that several hubs can share. Scripts in Lua (`scripts/`) do what must happen all or
nothing.

`engine` has the connections, `broker` the parts of the contract. The store needs Redis 7 or Valkey, not in
cluster mode.
"""

from tasktree_rt.brokers.redis.store.broker import RedisBroker

__all__ = ["RedisBroker"]
