"""Keeps log records that the client writes while it sends from becoming events to send."""

from __future__ import annotations

from contextvars import ContextVar

muted: ContextVar[bool] = ContextVar("tasktree_rt_muted", default=False)
"""True in the task or thread that sends events: `NodeHandler` ignores the records it logs."""
