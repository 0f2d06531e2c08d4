"""The language of AIECS: its transcript through the pure dialect, and whatever else may come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import BEGINNING
from tasktree_rt.core.protocol import (
    Answer,
    CancelTask,
    Command,
    Ephemeral,
    Failure,
    Message,
    Ping,
    Pong,
    Received,
    Subscribe,
    Subscribed,
)
from tasktree_rt.errors import InvalidInput
from tests.dialects.execution_golden import read_frames

DIALECT: Final = Aiecs(lambda: 1.5)
TRANSCRIPT: Final[list[Json]] = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "aiecs.jsonl").read_text().splitlines()
]


def answered(command: Command | None) -> list[Message]:
    """What a hub that knows nobody's questions says to a command."""
    match command:
        case Ping():
            return [Pong(None, command.original)]
        case Subscribe():
            return [Subscribed(command.project_id, BEGINNING, None)]
        case CancelTask():
            data = {"user_id": command.user_id, "task_id": command.task_id}
            return [Ephemeral("everybody", "cancelled", data, "k")]
        case _:
            return []


def heard(message: str | bytes) -> list[Any]:
    """What is said to what came in."""
    try:
        said = answered(DIALECT.decode(message))
    except InvalidInput as error:
        said = [Failure(error.code, error.message, field=error.field)]
    return [one for message in said for one in read_frames(DIALECT.encode(message) or b"")]


@pytest.mark.parametrize("line", TRANSCRIPT, ids=lambda line: str(line["why"]))
def test_the_transcript_goes_through_the_pure_dialect(line: Json) -> None:
    assert heard(line["say"]) == line["hear"]
    assert heard(line["say"].encode()) == line["hear"]


def test_a_confirmation_is_an_answer_and_one_without_proceed_is_a_no() -> None:
    said = '{"action":"confirm","callback_id":"c1","proceed":true,"feedback":"go"}'
    assert DIALECT.decode(said) == Answer("c1", {"proceed": True, "feedback": "go"})
    assert DIALECT.decode('{"action":"confirm","callback_id":"c1","feedback":null}') == Answer(
        "c1", {"proceed": False}
    )
    assert DIALECT.decode('{"action":"ack","message_id":"m1"}') == Received("m1")


def test_a_prompt_of_any_side_is_a_step_that_waits() -> None:
    asked = {
        "prompt_id": "c1",
        "message": "Go on?",
        "user_id": "u1",
        "data": {"step": "draft", "result": {"n": 1}},
    }
    (said,) = read_frames(DIALECT.encode(Ephemeral("@u1", "prompt", asked, "c1")) or b"")
    assert said == {
        "type": "task_step_result",
        "callback_id": "c1",
        "step": "draft",
        "message": "Go on?",
        "result": {"n": 1},
        "status": "waiting_confirmation",
        "error_code": None,
        "error_message": None,
        "user_id": "u1",
        "task_id": None,
        "timestamp": 1.5,
    }


def test_a_message_for_a_user_names_them_and_one_for_all_is_as_it_was_given() -> None:
    named = Ephemeral("users", "notification", {"title": "Done"}, "k", user="u1")
    for said in (named, Ephemeral("@u1", "notification", {"title": "Done"}, "k")):
        (found,) = read_frames(DIALECT.encode(said) or b"")
        assert found == {"type": "notification", "title": "Done", "target_user_id": "u1", "timestamp": 1.5}
    (found,) = read_frames(DIALECT.encode(Ephemeral("@u1", "message", {"x": 1}, "k")) or b"")
    assert found == {"x": 1, "target_user_id": "u1"}
    (found,) = read_frames(DIALECT.encode(Ephemeral("everybody", "message", {"x": 1}, "k")) or b"")
    assert found == {"x": 1}


def test_a_heartbeat_tells_that_a_task_is_at_work() -> None:
    (said,) = read_frames(
        DIALECT.encode(Ephemeral("@u", "heartbeat", {"user_id": "u", "task_id": "t"}, "k")) or b""
    )
    assert said == {
        "type": "heartbeat",
        "status": "heartbeat",
        "message": "Task is still executing...",
        "user_id": "u",
        "task_id": "t",
        "timestamp": 1.5,
    }


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"action": "subscribe", "user_id": 5}, "user_id"),
        ({"action": "cancel", "user_id": "\n", "task_id": "t"}, "user_id"),
        ({"action": "cancel", "user_id": "u", "task_id": "\n"}, "task_id"),
        ({"action": "confirm", "callback_id": "c", "proceed": 1}, "proceed"),
        ({"action": "confirm", "callback_id": "c", "feedback": 1}, "feedback"),
    ],
)
def test_an_error_names_its_field(said: Json, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DIALECT.decode(json.dumps(said))
    error = refused.value
    (told,) = read_frames(DIALECT.encode(Failure(error.code, error.message, field=error.field)) or b"")
    assert told["message"].startswith(f"{field}: expected ")


actions = st.fixed_dictionaries(
    {"action": st.sampled_from(["ping", "subscribe", "cancel", "confirm", "ack", "dance", None, 5])},
    optional={
        name: st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers()))
        for name in ("user_id", "task_id", "callback_id", "proceed", "feedback", "message_id")
    },
)


@given(st.one_of(st.binary(), st.text(), actions.map(json.dumps)))
def test_whatever_comes_in_is_a_command_or_a_documented_error(message: str | bytes) -> None:
    try:
        DIALECT.decode(message)
    except InvalidInput as error:
        (said,) = read_frames(DIALECT.encode(Failure(error.code, error.message)) or b"")
        assert said["type"] == "error"
