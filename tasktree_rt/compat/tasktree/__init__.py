"""TaskTree's ``WebSocketManager`` for FastAPI and other asyncio programs, with a hub behind it.

An existing backend changes one import::

    from tasktree_rt.compat.tasktree import WebSocketManager, WebSocketMessage

    manager = WebSocketManager()

What it broadcasts goes to the hub, durable and in order; browsers that still connect to the backend are shown
the hub's stream, those that connect to the hub see the same. docs/migrate/tasktree.md says what differs.
"""

from tasktree_rt.compat.tasktree.manager import WebSocketManager
from tasktree_rt.compat.tasktree.message import WebSocketMessage

__all__ = ["WebSocketManager", "WebSocketMessage"]
