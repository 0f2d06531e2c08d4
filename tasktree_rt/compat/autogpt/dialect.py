"""The language of the AutoGPT platform's WebSocket, ``/ws`` (docs/protocol.md, "AutoGPT").

A client subscribes to executions of its own user, each acknowledged with the channel's name; the hub then
pushes whole events, one for every channel that matches. Nothing has a position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tasktree_rt.compat.autogpt.channels import channel
from tasktree_rt.compat.autogpt.client_requests import read_request
from tasktree_rt.compat.autogpt.notifications import as_notification
from tasktree_rt.core.events import Record
from tasktree_rt.core.protocol import Command, Ephemeral, Failure, Message, Pong, TopicSubscribed
from tasktree_rt.dialects.base import Encoding, encode_json, join, raw_json, text_frame

NAME: Final = "autogpt"
PUSHED: Final = frozenset({"graph_execution_event", "node_execution_event"})
"""Kinds of ephemeral events sent as a method of the same name."""


class AutoGpt:
    """The language of AutoGPT's WebSocket."""

    name = NAME

    def decode(self, message: str | bytes) -> Command | None:
        """Decode one request; None for the client's own ``error``, which has no answer.

        Raises:
            InvalidInput: its message is the text for the client.
        """
        return read_request(message)

    def encode(self, message: Message) -> bytes | None:
        """Encode a message as one text frame; None if this language has no such message."""
        writer = _WRITERS.get(type(message))
        said = None if writer is None else writer(message)
        return None if said is None else text_frame(encode_json(said))

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Return no frames: this language watches no projects."""
        return join(())


def _pong(said: Pong) -> Any:  # noqa: ANN401 - any JSON
    return {"method": "heartbeat", "data": "pong", "success": True}


def _shown(said: TopicSubscribed) -> Any:  # noqa: ANN401
    name = None if said.kind is None else channel(said.user, said.kind, said.name)
    return _message(said.method, None, success=True, channel_name=name)


def _failure(said: Failure) -> Any:  # noqa: ANN401
    return _message("error", None, success=False, error=said.message)


def _live(said: Ephemeral) -> Any:  # noqa: ANN401
    if said.kind in PUSHED:
        return _message(said.kind, raw_json(said.data.body), channel_name=said.data.channel)
    return _message("notification", as_notification(said.data)) if said.kind == "notification" else None


def _message(
    method: str,
    data: object,
    *,
    success: bool | None = None,
    channel_name: str | None = None,
    error: str | None = None,
) -> Any:  # noqa: ANN401
    return {"method": method, "data": data, "success": success, "channel": channel_name, "error": error}


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    Pong: _pong,
    TopicSubscribed: _shown,
    Failure: _failure,
    Ephemeral: _live,
}
