"""AutoGPT's language, without a hub: requests, answers, pushes, mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.compat.autogpt.channels import EXECUTION, GRAPH, GRAPH_BEFORE, channel
from tasktree_rt.compat.autogpt.client_requests import FORMAT, MISSING, SHAPE, UNPROCESSED
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.notifications import from_autogpt
from tasktree_rt.compat.autogpt.payloads import read_execution, read_notification
from tasktree_rt.core.protocol import (
    Broadcast,
    Command,
    Draining,
    Ephemeral,
    Failure,
    Message,
    Ping,
    Pong,
    SubscribeTopic,
    TopicSubscribed,
    UnsubscribeTopic,
    Welcome,
)
from tasktree_rt.core.topics import live_topic, user_topic
from tasktree_rt.errors import InvalidInput
from tests.compat.autogpt.golden import LINES, USER, check
from tests.hub.transport import read_frame

DIALECT = AutoGpt()
TEXTS = {FORMAT, MISSING, SHAPE, UNPROCESSED}


def text_of(data: bytes) -> Any:
    """The JSON of one whole text frame."""
    frame = read_frame(data)
    assert frame is not None
    assert (frame[0], frame[2]) == (1, len(data))
    return json.loads(frame[1])


class Watcher:
    """One user's connection as a hub would keep it: its topics, and what it is told."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.topics = {user_topic(user)}
        self.heard: list[Any] = []

    def tell(self, message: Message) -> None:
        data = DIALECT.encode(message)
        if data is not None:
            self.heard.append(text_of(data))

    def say(self, message: str | bytes) -> None:
        try:
            command = DIALECT.decode(message)
        except InvalidInput as error:
            self.tell(Failure(error.code, error.message))
        else:
            if command is not None:
                self.tell(self._answer(command))

    def _answer(self, command: Command) -> Message:
        match command:
            case Ping():
                return Pong(None)
            case SubscribeTopic():
                self.topics.add(live_topic(command.kind, self.user, command.name))
                return TopicSubscribed(command.method, self.user, command.kind, command.name)
            case UnsubscribeTopic():
                known = [one for one in command.kinds if self._drop(one, command.name)]
                return TopicSubscribed(command.method, self.user, known[0] if known else None, command.name)
            case _:
                raise AssertionError(command)

    def _drop(self, kind: str, name: str) -> bool:
        topic = live_topic(kind, self.user, name)
        known = topic in self.topics
        self.topics.discard(topic)
        return known

    def show(self, events: list[Ephemeral]) -> None:
        for event in events:
            if event.topic in self.topics:
                self.tell(event)

    def take(self) -> list[Any]:
        heard, self.heard = self.heard, []
        return heard


def test_the_golden_transcript() -> None:
    watcher = Watcher(USER)
    for index, line in enumerate(LINES):
        match line:
            case {"say": text}:
                watcher.say(text)
            case {"binary": data}:
                watcher.say(bytes.fromhex(data))
            case {"event": body}:
                watcher.show(read_execution(json.dumps(body).encode()).live())
            case {"notification": body}:
                user, payload = read_notification(json.dumps(body).encode())
                watcher.show([Ephemeral(user_topic(user), "notification", from_autogpt(payload), "k")])
            case {"native": data}:
                watcher.show([Ephemeral(user_topic(USER), "notification", data, "k")])
        check(index, watcher.take())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
METHODS = st.sampled_from(
    [
        "heartbeat",
        "subscribe_graph_execution",
        "subscribe_graph_execs",
        "unsubscribe",
        "error",
        "notification",
    ]
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "method": METHODS | JSON,
        "data": JSON | st.dictionaries(st.sampled_from(["graph_id", "graph_exec_id"]), JSON),
        "success": JSON,
    },
)


def outcome(message: str | bytes) -> Command | str | None:
    """The command, or the text of the error."""
    try:
        return DIALECT.decode(message)
    except InvalidInput as error:
        return error.message


@given(st.text() | st.binary() | JSON.map(json.dumps) | NEARLY.map(json.dumps))
def test_whatever_is_said_is_understood_or_answered_with_a_documented_error(message: str | bytes) -> None:
    found = outcome(message)
    if isinstance(found, str):
        assert found in TEXTS
        answer = text_of(DIALECT.encode(Failure("invalid_message", found)) or b"")
        expected = {"method": "error", "data": None, "success": False, "channel": None, "error": found}
        assert answer == expected
    elif isinstance(found, SubscribeTopic):
        said = DIALECT.encode(TopicSubscribed(found.method, USER, found.kind, found.name))
        assert text_of(said or b"")["channel"] == channel(USER, found.kind, found.name)
    else:
        assert found is None or isinstance(found, (Ping, UnsubscribeTopic))


@pytest.mark.parametrize("depth", [100, 2_000, 100_000])
def test_nesting_without_end_is_a_bad_message(depth: int) -> None:
    for open_, close in ("[]", ("[", "]"), ('{"a":', "}")):
        with pytest.raises(InvalidInput, match="Review the schema"):
            DIALECT.decode(open_ * depth + close * depth)


def test_an_id_longer_than_any_of_autogpts_is_not_kept() -> None:
    for length, good in ((512, True), (513, False)):
        said = json.dumps({"method": "subscribe_graph_exec", "data": {"graph_exec_id": "x" * length}})
        if good:
            assert DIALECT.decode(said) == SubscribeTopic(EXECUTION, "x" * length, "subscribe_graph_exec")
        else:
            with pytest.raises(InvalidInput, match="Refer to the API schema"):
                DIALECT.decode(said)


def test_what_this_language_has_no_word_for_is_not_said() -> None:
    for message in (
        Welcome("c", 25, "t", 1),
        Draining(5),
        Broadcast("x", {}, "t"),
        Ephemeral("t", "status", {}, "k"),
    ):
        assert DIALECT.encode(message) is None
    assert DIALECT.encode_events([], "e").data == b""


NAMES = st.text(alphabet="ab|#:@1", max_size=6)


@given(*([st.tuples(st.sampled_from([EXECUTION, GRAPH, GRAPH_BEFORE]), NAMES, NAMES)] * 2))
def test_two_subscriptions_are_the_same_topic_only_if_they_are_the_same(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (live_topic(*one) == live_topic(*other)) == (one == other)
