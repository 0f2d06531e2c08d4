"""Events, broadcasts and the hub's own messages are told apart by their fields, whatever their types."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.client.watcher.decode import is_broadcast, is_control, is_event
from tasktree_rt.core import protocol as commands
from tasktree_rt.core.events import Event, Json, ProjectId, Record
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import Node
from tasktree_rt.core.protocol import Broadcast, Ephemeral, Message, Personal, TopicSubscribed
from tasktree_rt.core.reserved_names import MESSAGES, RESERVED
from tasktree_rt.core.topics import user_topic
from tasktree_rt.dialects.base import decode_json, encode_body, encode_json, with_position
from tasktree_rt.dialects.tasktree.messages import as_json
from tests.named import BODIES

FOREIGN: Final = (Broadcast, Personal, Ephemeral, TopicSubscribed, ExecutionStatus, NodeStatus, LogLine)
"""What is no message of the native language, or any."""
NATIVE: Final = [kind for kind in get_args(Message) if kind not in FOREIGN]

names = st.sampled_from([*MESSAGES, *RESERVED, "x", "node_update"])
ids = st.none() | st.integers() | st.text(max_size=3)
topics = st.sampled_from(["p", user_topic("ada")])
positions = st.builds(Position, st.sampled_from(["", "e", "f"]), st.integers(0, 5))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1 << 62) | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
keys = st.sampled_from(
    ["seq", "timestamp", "epoch", "project_id", "user_id", "id", "type", "data", "parts", "x"]
)
objects = st.dictionaries(keys, values, max_size=5)
stamps = st.just("2026-01-02T03:04:05.000006Z")
nodes = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.builds(Node, objects, st.just(0), st.just(0))), max_size=2
)


@st.composite
def records(draw: st.DrawFn, topic: st.SearchStrategy[str] = topics) -> Record:
    event = Event(draw(names), ProjectId(draw(topic)), draw(objects), draw(stamps))
    return Record(draw(st.integers(1, 9)), event.type, None, 0, encode_body(event))


OPTIONS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "id": ids,
    "position": positions,
    "project_id": topics,
    "topic": topics,
    "recovered": st.sampled_from([True, False, None]),
    "positions": st.dictionaries(topics, positions, max_size=2),
    "top": st.none() | st.fixed_dictionaries({"prompts": st.just([]), "state": st.just("running")}),
    "nodes": nodes,
    "removed": st.lists(names, max_size=2),
    "events": st.lists(records(), max_size=2).map(tuple),
    "logs_skipped": st.dictionaries(names, st.integers(1, 9), max_size=1),
    "data": objects,
    "origin": st.none(),
    "field": st.none() | names,
    "command_id": st.none() | names,
    "original": st.none(),
    "retry_after_ms": st.none() | st.integers(0, 9),
    "outcome": st.none() | objects,
    "duplicate": st.booleans(),
    "heartbeat_interval": st.floats(0.1, 60),
    **dict.fromkeys(
        ("max_message_size", "reconnect_after_ms", "expires_in_ms", "after", "first", "last"),
        st.integers(1, 9),
    ),
    **dict.fromkeys(("part", "parts"), st.integers(1, 9)),
    **dict.fromkeys(("connection_id", "server_time", "timestamp", "reason", "code", "message"), names),
    "epoch": st.just("e"),
}

ONLY_OF: Final[dict[type, dict[str, st.SearchStrategy[Any]]]] = {
    commands.Conflated: {"top": OPTIONS["top"].filter(bool)},
    commands.Instruction: {
        "data": st.fixed_dictionaries(
            {"command_id": names, "name": names}, optional={"node_id": names, "args": objects, "by": names}
        )
    },
}
"""What the hub makes itself there, of fixed keys."""


def messages(kind: type) -> st.SearchStrategy[Any]:
    """Any message of a class."""
    fields = [one.name for one in kind.__attrs_attrs__]  # type: ignore[attr-defined]
    return st.builds(kind, **{name: OPTIONS[name] for name in fields} | ONLY_OF.get(kind, {}))


def on_the_wire(message: Message) -> Json:
    """As a client gets it."""
    found: Json = decode_json(encode_json(as_json(message)))
    return found


@pytest.mark.parametrize("kind", NATIVE)
@given(data=st.data())
def test_no_message_of_the_hub_looks_like_an_event_or_a_broadcast(kind: type, data: st.DataObject) -> None:
    said = on_the_wire(data.draw(messages(kind)))
    assert is_control(said)
    assert not is_event(said)
    assert not is_broadcast(said)
    assert said["type"] in MESSAGES | {"command"}


@given(record=records())
def test_an_event_looks_like_nothing_else_whatever_its_type_and_data(record: Record) -> None:
    said: Json = decode_json(with_position(record, "e"))
    assert (is_event(said), is_broadcast(said), is_control(said)) == (True, False, False)


@given(kind=names, data=objects, at=stamps)
def test_a_broadcast_looks_like_nothing_else_whatever_its_type_and_data(
    kind: str, data: Json, at: str
) -> None:
    said = on_the_wire(Broadcast(kind, data, at))
    assert (is_event(said), is_broadcast(said), is_control(said)) == (False, True, False)


@settings(max_examples=1)
@given(data=st.data())
def test_every_name_of_a_message_is_refused_as_a_type(data: st.DataObject) -> None:
    told = {on_the_wire(data.draw(messages(kind)))["type"] for kind in NATIVE}
    assert told == MESSAGES | {"command"}
    assert RESERVED.keys() >= {"command"}


def test_the_cases_have_every_name() -> None:
    assert BODIES.keys() == MESSAGES
