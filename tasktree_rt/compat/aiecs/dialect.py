"""The language of AIECS: confirmations, a user's messages, heartbeats of tasks (docs/protocol.md, "AIECS").

The client sends ``{"action": …}`` in a text or a binary frame. Messages of the hub carry a ``timestamp`` in
seconds, so the dialect has a clock. `step_result`, `user_message` and the others make messages from
`Ephemeral` events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tasktree_rt.core.events import Json, Record, shown
from tasktree_rt.core.protocol import (
    Answer,
    CancelTask,
    Command,
    Ephemeral,
    Failure,
    Message,
    Personal,
    Ping,
    Pong,
    Received,
    Subscribe,
    Subscribed,
)
from tasktree_rt.core.topics import user_id, user_of, user_topic
from tasktree_rt.dialects.base import Encoding, decode_object, encode_json, join, text_frame
from tasktree_rt.errors import InvalidInput

MAX_SHOWN: Final = 200
WAITING: Final = "waiting_confirmation"
"""The status of a prompt that names none."""


class Aiecs:
    """The language of AIECS. `clock` returns seconds since the Unix epoch."""

    name = "aiecs"

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def decode(self, message: str | bytes) -> Command | None:
        """Decode one action; None for an action without its subject, which the hub ignores.

        Raises:
            InvalidInput: no JSON object, an unknown action, or a ``proceed`` that is no boolean.
        """
        try:
            given = decode_object(message)
        except InvalidInput:
            raise InvalidInput("Invalid JSON format") from None
        action = given.get("action")
        reader = _READERS.get(action) if isinstance(action, str) else None
        if reader is None:
            raise InvalidInput(f"Unknown action: {_short(action)}")
        return reader(given)

    def encode(self, message: Message) -> bytes | None:
        """Encode a message as one text frame; None if this language has no such message."""
        writer = _WRITERS.get(type(message))
        said = None if writer is None else writer(message, self._clock())
        return None if said is None else text_frame(encode_json(said))

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Return no frames: this language has no projects."""
        return join(())


# --- messages -------------------------------------------------------------------------------------


def step_result(prompt: Json, now: float) -> Json:
    """Make the message for a prompt: a step that waits to be confirmed."""
    asked = prompt.get("data")
    more: Json = asked if isinstance(asked, dict) else {}
    return {
        "type": "task_step_result",
        "callback_id": prompt.get("prompt_id"),
        "step": more.get("step"),
        "message": prompt.get("message"),
        "result": more.get("result"),
        "status": more.get("status", WAITING),
        "error_code": more.get("error_code"),
        "error_message": more.get("error_message"),
        "user_id": prompt.get("user_id"),
        "task_id": more.get("task_id", prompt.get("node_id")),
        "timestamp": now,
    }


def user_message(user: str, given: Json) -> Json:
    """Make a message to one user: the given fields and ``user_id``."""
    return {**given, "target_user_id": user}


def heartbeat(user: str, task: str, now: float) -> Json:
    """Make the heartbeat of a running task."""
    return {
        "type": "heartbeat",
        "status": "heartbeat",
        "message": "Task is still executing...",
        "user_id": user,
        "task_id": task,
        "timestamp": now,
    }


def task_cancelled(user: str, task: str, now: float) -> Json:
    """Make the message that a task was asked to end."""
    return {"type": "task_cancelled", "user_id": user, "task_id": task, "timestamp": now}


# --- reading --------------------------------------------------------------------------------------


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _ping(given: Json) -> Command:
    return Ping(original=given)


def _subscribe(given: Json) -> Command | None:
    user = given.get("user_id")
    return None if user in (None, "") else Subscribe(user_topic(user_id(user)))


def _cancel(given: Json) -> Command | None:
    user, task = given.get("user_id"), given.get("task_id")
    if not (isinstance(user, str) and user and isinstance(task, str) and task):
        return None
    return CancelTask(user_id(user), user_id(task, "task_id"))


def _confirm(given: Json) -> Command | None:
    name = given.get("callback_id")
    if not isinstance(name, str) or not name:
        return None
    proceed = given.get("proceed", False)
    if type(proceed) is not bool:
        raise InvalidInput(f"expected a boolean, got {shown(proceed)}", field="proceed")
    said: Json = {"proceed": proceed}
    feedback = given.get("feedback")
    if feedback is not None:
        if not isinstance(feedback, str):
            raise InvalidInput(f"expected a string, got {shown(feedback)}", field="feedback")
        said["feedback"] = feedback
    return Answer(name, said)


def _ack(given: Json) -> Command | None:
    name = given.get("message_id")
    return Received(name) if isinstance(name, str) and name else None


_READERS: Final[dict[str, Callable[[Json], Command | None]]] = {
    "ping": _ping,
    "subscribe": _subscribe,
    "cancel": _cancel,
    "confirm": _confirm,
    "ack": _ack,
}


# --- writers --------------------------------------------------------------------------------------


def _pong(said: Pong, now: float) -> Json:
    return {"type": "pong", "timestamp": now, "original_data": said.original}


def _subscribed(said: Subscribed, now: float) -> Json:
    return {"type": "subscription_confirmed", "user_id": user_of(said.project_id)}


def _failure(said: Failure, now: float) -> Json:
    where = "" if said.field is None else f"{said.field}: "
    return {"type": "error", "message": f"{where}{said.message}", "timestamp": now}


def _live(said: Ephemeral, now: float) -> Json | None:
    data: Json = said.data
    match said.kind:
        case "prompt":
            return step_result(data, now)
        case "heartbeat":
            return heartbeat(data["user_id"], data["task_id"], now)
        case "cancelled":
            return task_cancelled(data["user_id"], data["task_id"], now)
        case "message":
            return _message(said, data)
        case "notification":
            return _message(said, {"type": "notification", "timestamp": now, **data})
        case _:
            return None


def _message(said: Ephemeral, given: Json) -> Json:
    """Make a message: the given fields, with ``user_id`` if it is for one user."""
    user = user_of(said.topic) or said.user
    return given if user is None else user_message(user, given)


def _personal(said: Personal, now: float) -> Json:
    return said.message


_WRITERS: Final[dict[type, Callable[[Any, float], Json | None]]] = {
    Pong: _pong,
    Subscribed: _subscribed,
    Failure: _failure,
    Ephemeral: _live,
    Personal: _personal,
}
