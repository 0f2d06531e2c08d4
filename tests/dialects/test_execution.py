"""The execution status stream as text: the transcript, and whatever else a peer may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import Record
from tasktree_rt.core.executions import LogLine, NodeStatus
from tasktree_rt.core.protocol import (
    Broadcast,
    Draining,
    Heartbeat,
    Message,
    Personal,
    Reply,
    Welcome,
)
from tasktree_rt.dialects.execution import Execution
from tests.dialects.execution_golden import TRANSCRIPT, Simplest, read_frames

DIALECT = Execution()
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_the_transcript_is_said_word_by_word() -> None:
    hub = Simplest()
    for line in TRANSCRIPT:
        said = hub.push(line["push"]) if "push" in line else hub.say(line["say"])
        assert hub.finish(said) == line["full"], line["why"]
        short = [one for one in said if not isinstance(one, NodeStatus | LogLine)]
        assert hub.finish(short) == line["hear"], line["why"]


@given(st.binary() | st.text() | VALUES.map(json.dumps))
def test_whatever_a_peer_says_is_a_ping_or_told_to_be_none(message: str | bytes) -> None:
    hub = Simplest()
    (said,) = hub.finish(hub.say(message))
    if said == {"type": "pong"}:
        assert json.loads(message)["type"] == "ping"
    else:
        assert said.keys() == {"type", "message"}
        assert said["type"] == "error"
        assert len(said["message"]) < 400


@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(["type", "status", "node_id"]), VALUES))
def test_a_nodes_fields_never_stand_for_those_of_the_message(fields: dict[str, Any]) -> None:
    encoded = DIALECT.encode(NodeStatus("e", "n", fields))
    assert encoded is not None
    (said,) = read_frames(encoded)
    assert (said["type"], said["execution_id"], said["node_id"]) == ("node", "e", "n")
    assert said["status"] == fields.get("status")
    assert fields.keys() <= said.keys()


@pytest.mark.parametrize(
    "message",
    [
        Welcome("c", 1.0, "t", 1),
        Draining(5),
        Heartbeat("t", {}),
        Reply(1),
        Broadcast("x", {}, "t"),
    ],
)
def test_it_has_no_word_for_what_only_others_say(message: Message) -> None:
    assert DIALECT.encode(message) is None


def test_what_is_for_one_connection_goes_as_it_is_and_events_not_at_all() -> None:
    encoded = DIALECT.encode(Personal({"type": "hello"}))
    assert encoded is not None
    assert read_frames(encoded) == [{"type": "hello"}]
    assert DIALECT.encode_events([Record(1, "x", None, 0, b"{}")], "e").data == b""
