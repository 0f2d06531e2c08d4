"""A notification of AutoGPT's as one of the hub's, and back.

Inside the hub there is one kind of notification, in its user's log. What came from AutoGPT keeps its whole
payload in ``data.autogpt`` and is shown to AutoGPT's clients as it came; any other is shown to them under
the type ``tasktree``. So a notification takes one way through the hub, from any sender, and no client sees it
twice.
"""

from __future__ import annotations

from typing import Any, Final

from tasktree_rt.core.events import Json

ORIGINAL: Final = "autogpt"
TYPE: Final = "tasktree"
EVENT: Final = "notification"
MAX_TITLE: Final = 256


def from_autogpt(payload: Json) -> Json:
    """The hub's notification for a payload ``{"type", "event", …}``, whose title says both."""
    title = f"{payload['type']}: {payload['event']}"
    return {"title": title[:MAX_TITLE], "data": {ORIGINAL: payload}}


def as_notification(said: Json) -> Any:  # noqa: ANN401 - any JSON
    """The payload that AutoGPT's clients are shown for a notification of the hub's."""
    data = said.get("data")
    original = data.get(ORIGINAL) if isinstance(data, dict) else None
    if isinstance(original, dict) and original.keys() >= {"type", "event"}:
        return original
    return {"type": TYPE, "event": EVENT, **said}
