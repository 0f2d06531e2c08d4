"""Types that clients may not publish: the hub's own events, and the names of its messages.

A client tells an event from a message of the hub's by its fields (docs/protocol.md, "Events and messages"). A
client that looks at the type alone would take such an event for a message, so the hub refuses it. Events
stored earlier stay readable.
"""

from __future__ import annotations

from typing import Final

from tasktree_rt.errors import InvalidInput

MESSAGES: Final = frozenset(
    {
        "ack",
        "conflated",
        "draining",
        "error",
        "heartbeat",
        "pong",
        "project_state",
        "reply",
        "subscribed",
        "token_expiring",
        "unsubscribed",
        "welcome",
    }
)
"""Messages of the hub to native watchers and to orchestrators. ``command`` is such a name too, and an event
that only the hub makes (`RESERVED`)."""


RESERVED: Final = {
    "prompt": "ask with POST /api/v1/prompts",
    "prompt_resolved": "answer with POST /api/v1/prompts/{id}/answer",
    "command": "send it with POST /api/v1/projects/{id}/commands",
    "command_result": "answer on the connection that the command came on",
    "notifications_read": "say it with POST /api/v1/users/{id}/read",
}
"""Types of events that only the hub makes, and what to do instead."""


TAKEN: Final = frozenset(RESERVED) | frozenset(MESSAGES)
"""Types that no peer may publish: `refuse_reserved` says why."""


def refuse_reserved(kind: str, field: str) -> None:
    """Refuse `kind` as the type of an event that is published.

    Raises:
        InvalidInput: ``invalid_event``; only the hub makes such events, or it is the name of a message.
    """
    if kind in RESERVED:
        expected = f"{kind} is said by the hub itself: {RESERVED[kind]}"
        raise InvalidInput(expected, code="invalid_event", field=field)
    refuse_message_name(kind, field)


def refuse_message_name(kind: object, field: str, code: str = "invalid_event") -> None:
    """Refuse `kind` as the type of a message to watchers.

    Raises:
        InvalidInput: it is the name of a message.
    """
    if isinstance(kind, str) and kind in MESSAGES:
        expected = f"{kind} is the name of a message of the hub's own: expected another type"
        raise InvalidInput(expected, code=code, field=field)
