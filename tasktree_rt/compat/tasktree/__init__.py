"""TaskTree's ``WebSocketManager`` for FastAPI and other asyncio programs, with a hub behind it.

An existing backend changes one import::

    from tasktree_rt.compat.tasktree import WebSocketManager, WebSocketMessage

    manager = WebSocketManager()

The hub stores what the manager broadcasts, in order. Browsers receive the hub's stream, from the backend or
the hub. docs/migrate/tasktree.md lists the differences.
"""

from tasktree_rt.compat.tasktree.manager import WebSocketManager
from tasktree_rt.compat.tasktree.message import WebSocketMessage

__all__ = ["WebSocketManager", "WebSocketMessage"]
