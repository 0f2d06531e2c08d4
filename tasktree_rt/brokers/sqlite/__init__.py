"""Logs in one SQLite file: durable, and nothing to install."""

from tasktree_rt.brokers.sqlite.broker import SqliteBroker

__all__ = ["SqliteBroker"]
