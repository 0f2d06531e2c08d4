"""Reads requests of a native watcher from JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tasktree_rt.core.events import Json, project_id, shown
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import (
    Ack,
    Answer,
    Command,
    Instruct,
    Ping,
    Policy,
    Refresh,
    RequestId,
    Subscribe,
    Unsubscribe,
)
from tasktree_rt.core.topics import WILDCARD, user_id, user_of, user_topic
from tasktree_rt.dialects.base import MAX_REQUEST_ID, decode_object, read_id
from tasktree_rt.errors import InvalidInput

_CHOICES: Final = (Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT)


class RequestError(InvalidInput):
    """An invalid request, with the id for its answer."""

    def __init__(self, cause: InvalidInput, request: RequestId) -> None:
        super().__init__(cause.message, code=cause.code, field=cause.field)
        self.request = request


def read_command(value: Json) -> Command:
    """Read one of the client's requests.

    Raises:
        RequestError: it cannot be understood.
    """
    request = request_id(value)
    try:
        return _command(value, request)
    except InvalidInput as error:
        raise RequestError(error, request) from None


def decode_command(message: str | bytes) -> Command:
    """Decode and read one of the client's requests.

    Raises:
        RequestError: it cannot be understood.
    """
    try:
        value = decode_object(message)
    except InvalidInput as error:
        raise RequestError(error, read_id(message)) from None
    return read_command(value)


def request_id(value: Json, field: str = "id") -> RequestId:
    """Read the id of a request: a string of at most 128 characters, an integer, or none.

    Raises:
        InvalidInput: it is something else.
    """
    found = value.get("id")
    if found is None or type(found) is int or (type(found) is str and len(found) <= MAX_REQUEST_ID):
        return found
    raise _wrong(field, f"a string of at most {MAX_REQUEST_ID} characters or an integer", found)


def _command(value: Json, request: RequestId) -> Command:
    kind = value.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        expected = ", ".join(_READERS)
        raise InvalidInput(f"expected one of {expected}, got {shown(kind)}", field="type")
    return reader(value, request)


def _subscribe(value: Json, request: RequestId) -> Command:
    topic = _topic(value)
    state = value.get("state", False)
    if type(state) is not bool:
        raise _wrong("state", "a boolean", state)
    since = read_since(value.get("since"), topic)
    if state and since is not None:
        raise InvalidInput("state and since exclude each other", field="state")
    return Subscribe(topic, request, since, read_policy(value.get("policy")), state, _token(value, topic))


def _token(value: Json, topic: str) -> str | None:
    token = value.get("token")
    if token is None:
        return None
    if type(token) is not str:
        raise _wrong("token", "a string", None)
    if topic == WILDCARD or user_of(topic) is not None:
        raise InvalidInput("a subscription token goes with one project_id", field="token")
    return token


def _unsubscribe(value: Json, request: RequestId) -> Command:
    return Unsubscribe(_topic(value), request)


def _ping(value: Json, request: RequestId) -> Command:
    return Ping(request)


def _ack(value: Json, request: RequestId) -> Command:
    seq = value.get("seq")
    if type(seq) is not int or seq < 0:
        raise _wrong("seq", "an integer of at least 0", seq)
    topic = _topic(value)
    if topic == WILDCARD:
        raise _wrong("project_id", "one project", topic)
    return Ack(topic, seq, request)


def _answer(value: Json, request: RequestId) -> Command:
    prompt = value.get("prompt_id")
    if type(prompt) is not str:
        raise _wrong("prompt_id", "a string", prompt)
    given: Json = {name: value[name] for name in ("proceed", "value", "feedback") if name in value}
    return Answer(prompt, given, request, _places(value))


def _places(value: Json) -> tuple[str, ...]:
    """Read the project and the user of a prompt, as far as they are given."""
    project, user = value.get("project_id"), value.get("user_id")
    named = () if project is None else (str(project_id(project)),)
    return named if user is None else (*named, user_topic(user_id(user)))


def _instruct(value: Json, request: RequestId) -> Command:
    given: Json = {name: value[name] for name in ("name", "node_id", "args") if name in value}
    return Instruct(project_id(value.get("project_id")), given, request)


def _refresh(value: Json, request: RequestId) -> Command:
    token = value.get("token")
    if type(token) is not str:
        raise _wrong("token", "a string", None)
    return Refresh(token, request)


_READERS: Final[dict[str, Callable[[Json, RequestId], Command]]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "ping": _ping,
    "ack": _ack,
    "answer": _answer,
    "command": _instruct,
    "refresh": _refresh,
}


def _topic(value: Json) -> str:
    topic = value.get("project_id")
    if topic is None and "user_id" in value:
        return user_topic(user_id(value["user_id"]))
    return WILDCARD if topic == WILDCARD else project_id(topic)


def read_since(value: object, topic: str) -> Position | dict[str, Position] | None:
    """Read a position ``<epoch>:<seq>``, or for ``*`` an object of positions by project id.

    Raises:
        InvalidInput: ``invalid_position``.
    """
    if value is None:
        return None
    if topic != WILDCARD:
        return Position.parse(value)
    if not isinstance(value, dict):
        expected = "expected an object of project id to position for *"
        raise InvalidInput(expected, code="invalid_position", field="since")
    return {project_id(name, "since"): Position.parse(one, f"since.{name}") for name, one in value.items()}


def read_policy(value: object, field: str = "policy") -> Policy | None:
    """Read the name of a policy.

    Raises:
        InvalidInput: there is no such policy.
    """
    if value is None:
        return None
    for policy in _CHOICES:
        if policy.value == value:
            return policy
    raise _wrong(field, " or ".join(policy.value for policy in _CHOICES), value)


def _wrong(field: str, expected: str, value: object) -> InvalidInput:
    return InvalidInput(f"expected {expected}, got {shown(value)}", field=field)
