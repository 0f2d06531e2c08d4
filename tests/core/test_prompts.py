"""What may be asked, and what may be answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.prompts import (
    MAX_FEEDBACK,
    MAX_ID,
    MAX_LABEL,
    MAX_MESSAGE,
    MAX_OPTIONS,
    MAX_TIMEOUT,
    deadline_of,
    read_answer,
    read_prompt,
)
from tasktree_rt.errors import InvalidInput
from tests.core.strategies import json_values

NOW = 1_700_000_000_000_000
STAMP = "2023-11-14T22:13:20.000000Z"


def prompt(**given: Any) -> dict[str, Any]:
    return read_prompt({"message": "Go?", **given}, prompt_id="p1", now=NOW, timeout=60)


def field_of(**given: Any) -> str | None:
    with pytest.raises(InvalidInput) as caught:
        prompt(**given)
    assert caught.value.code in ("invalid_message", "invalid_event")
    return caught.value.field


def test_a_prompt_is_whole_with_its_deadline_and_its_default() -> None:
    assert prompt() == {
        "prompt_id": "p1",
        "message": "Go?",
        "deadline": "2023-11-14T22:14:20.000000Z",
        "default": {"proceed": False},
    }


def test_what_is_given_is_kept() -> None:
    given = {
        "prompt_id": "mine:1",
        "project_id": "p",
        "user_id": "anna",
        "node_id": "n",
        "options": [{"id": "a", "label": "A"}, {"id": "b"}],
        "default": {"proceed": True, "value": "b"},
        "deadline": STAMP,
    }
    assert prompt(**given) == {
        **given,
        "message": "Go?",
        "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "b"}],
    }


def test_null_is_nothing_given() -> None:
    names = (
        "prompt_id",
        "project_id",
        "user_id",
        "node_id",
        "options",
        "schema",
        "deadline",
        "timeout",
        "default",
    )
    assert prompt(**dict.fromkeys(names)) == prompt()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": None}, "message"),
        ({"message": "x" * (MAX_MESSAGE + 1)}, "message"),
        ({"prompt_id": ""}, "prompt_id"),
        ({"prompt_id": "a/b"}, "prompt_id"),
        ({"prompt_id": "a\x00"}, "prompt_id"),
        ({"prompt_id": "x" * (MAX_ID + 1)}, "prompt_id"),
        ({"prompt_id": 1}, "prompt_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 257}, "user_id"),
        ({"node_id": "\n"}, "node_id"),
        ({"options": []}, "options"),
        ({"options": {}}, "options"),
        ({"options": [{"id": str(n)} for n in range(MAX_OPTIONS + 1)]}, "options"),
        ({"options": ["a"]}, "options[0]"),
        ({"options": [{"id": "a"}, {"label": "b"}]}, "options[1].id"),
        ({"options": [{"id": "a", "label": "x" * (MAX_LABEL + 1)}]}, "options[0].label"),
        ({"options": [{"id": "a", "lable": "A"}]}, "options[0].lable"),
        ({"options": [{"id": "a"}, {"id": "a"}]}, "options"),
        ({"options": [{"id": "a"}], "schema": {}}, "schema"),
        ({"schema": {"$ref": "#"}}, "schema.$ref"),
        ({"deadline": STAMP, "timeout": 1}, "timeout"),
        ({"deadline": "soon"}, "deadline"),
        ({"deadline": 5}, "deadline"),
        ({"deadline": "2024-01-14T22:13:20Z"}, "deadline"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": MAX_TIMEOUT + 1}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
        ({"default": []}, "default"),
        ({"default": {}}, "default.proceed"),
        ({"default": {"proceed": 1}}, "default.proceed"),
        ({"default": {"proceed": True, "feedback": "x"}}, "default.feedback"),
        ({"default": {"proceed": True}, "options": [{"id": "a"}]}, "default.value"),
        ({"default": {"proceed": True, "value": "a"}, "schema": {"type": "integer"}}, "default.value"),
        ({"defualt": {"proceed": True}}, "defualt"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str) -> None:
    assert field_of(**given) == field


@given(st.integers(0, MAX_TIMEOUT * 1_000_000))
def test_a_deadline_comes_back_as_it_went(micros: int) -> None:
    asked = prompt(timeout=micros / 1_000_000)
    assert abs(deadline_of(asked) - NOW - micros) <= 1
    assert deadline_of(prompt(deadline=asked["deadline"])) == deadline_of(asked)


def test_a_deadline_may_have_passed() -> None:
    assert deadline_of(prompt(deadline="2001-01-01T00:00:00+02:00")) < NOW
    assert deadline_of(prompt(deadline="1931-01-01T00:00:00Z")) < 0


# --- answers --------------------------------------------------------------------------------------


def outcome(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | str | None:
    """What is read, or the field that is wrong."""
    try:
        return read()
    except InvalidInput as error:
        return error.field


def answer(asked: dict[str, Any], **given: Any) -> dict[str, Any] | str | None:
    return outcome(lambda: read_answer(asked, given))


def test_yes_and_no_need_nothing_else() -> None:
    assert answer(prompt(), proceed=True) == {"proceed": True}
    assert answer(prompt(), proceed=False, feedback="later") == {"proceed": False, "feedback": "later"}
    assert answer(prompt(), proceed=True, value={"any": [1]}) == {"proceed": True, "value": {"any": [1]}}


@pytest.mark.parametrize("proceed", [None, 0, 1, "true", [], {}])
def test_proceed_is_a_boolean(proceed: object) -> None:
    assert answer(prompt(), proceed=proceed) == "proceed"
    assert answer(prompt()) == "proceed"


def test_of_options_one_is_named_to_proceed() -> None:
    asked = prompt(options=[{"id": "a"}, {"id": "b"}])
    assert answer(asked, proceed=True, value="b") == {"proceed": True, "value": "b"}
    assert answer(asked, proceed=False) == {"proceed": False}
    for value in ("c", None, 1, ["a"], {"id": "a"}):
        assert answer(asked, proceed=True, value=value) == "value"
        assert answer(asked, proceed=False, value=value) == "value"
    assert answer(asked, proceed=True) == "value"


def test_a_value_is_as_the_schema_says() -> None:
    asked = prompt(schema={"properties": {"n": {"type": "integer"}}, "required": ["n"]})
    assert answer(asked, proceed=True, value={"n": 1}) == {"proceed": True, "value": {"n": 1}}
    assert answer(asked, proceed=True, value={"n": "1"}) == "value.n"
    assert answer(asked, proceed=True) == "value"
    assert answer(asked, proceed=False) == {"proceed": False}


def test_null_can_be_a_value() -> None:
    assert answer(prompt(schema={"type": "null"}), proceed=True, value=None) == {
        "proceed": True,
        "value": None,
    }


def test_feedback_is_text() -> None:
    assert answer(prompt(), proceed=True, feedback="") == {"proceed": True, "feedback": ""}
    assert answer(prompt(), proceed=True, feedback="x" * (MAX_FEEDBACK + 1)) == "feedback"
    assert answer(prompt(), proceed=True, feedback=1) == "feedback"


@given(
    st.dictionaries(
        st.sampled_from(["message", "options", "schema", "deadline", "timeout", "default", "user_id"]),
        json_values,
    )
)
def test_whatever_is_asked_is_taken_or_refused_by_name(given_: dict[str, Any]) -> None:
    asked = outcome(lambda: read_prompt(given_, prompt_id="p", now=NOW, timeout=1))
    assert asked
    assert isinstance(asked, str) or type(asked["default"]["proceed"]) is bool


@given(st.dictionaries(st.sampled_from(["proceed", "value", "feedback"]), json_values | st.booleans()))
def test_whatever_is_answered_is_taken_or_refused_by_name(given_: dict[str, Any]) -> None:
    for asked in (prompt(), prompt(options=[{"id": "a"}]), prompt(schema={"enum": [1, "x"]})):
        said = answer(asked, **given_)
        assert said
        assert isinstance(said, str) or said.keys() <= {"proceed", "value", "feedback"}
