"""Translates AutoGPT's notifications to the hub's and back.

The hub has one kind of notification, in its user's log. A notification from AutoGPT keeps its payload in
``data.autogpt``, and AutoGPT's clients receive it unchanged; they receive every other one under the type
``tasktree``. So all notifications take the same way through the hub, and no client receives one twice.
"""

from __future__ import annotations

from typing import Any, Final

from tasktree_rt.core.events import Json

ORIGINAL: Final = "autogpt"
TYPE: Final = "tasktree"
EVENT: Final = "notification"
MAX_TITLE: Final = 256


def from_autogpt(payload: Json) -> Json:
    """Make the hub's notification from a payload ``{"type", "event", …}``; its title names both."""
    title = f"{payload['type']}: {payload['event']}"
    return {"title": title[:MAX_TITLE], "data": {ORIGINAL: payload}}


def as_notification(said: Json) -> Any:  # noqa: ANN401 - any JSON
    """Make the payload for AutoGPT's clients from a notification of the hub."""
    data = said.get("data")
    original = data.get(ORIGINAL) if isinstance(data, dict) else None
    if isinstance(original, dict) and original.keys() >= {"type", "event"}:
        return original
    return {"type": TYPE, "event": EVENT, **said}
