"""Logs in memory: for tests and throw-away hubs."""

from tasktree_rt.brokers.memory.broker import MemoryBroker

__all__ = ["MemoryBroker"]
