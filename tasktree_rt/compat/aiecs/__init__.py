"""AIECS' ``WebSocketManager`` for asyncio programs, with a hub behind it.

The original ran a WebSocket server in the program. Here the hub is the server, and this speaks HTTP to it::

    manager = WebSocketManager("0.0.0.0", 8765)
    await manager.start_server()
    answer = await manager.notify_user(TaskStepResult(step="draft", message="Go on?"), "ada", "task-1", 1)
    if answer.proceed:
        ...

As with the original, only `start_server` raises. Whatever else goes wrong is logged, and the program goes on.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasktree_rt.compat.aiecs.manager import WebSocketManager
    from tasktree_rt.compat.aiecs.steps import TaskStepResult, UserConfirmation

__all__ = ["TaskStepResult", "UserConfirmation", "WebSocketManager"]

_HOMES: Final = {
    "WebSocketManager": "manager",
    "LAST_WORDS": "manager",
    "TaskStepResult": "steps",
    "UserConfirmation": "steps",
    "PATIENCE": "questions",
    "GRACE": "questions",
    "BETWEEN": "connected_clients",
    "WAIT": "hub_api",
    "PASSING": "hub_api",
    "EVERYWHERE": "hub_api",
}
"""Which module of this package has a name; it is imported at the first use of the name."""


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
