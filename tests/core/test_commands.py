"""What a command may say, and what an orchestrator may say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.commands import ANSWERS, MAX_ID, MAX_MESSAGE, SETTLING, read_instruction, read_result
from tasktree_rt.errors import InvalidInput
from tests.core.strategies import json_values


def test_a_name_is_enough() -> None:
    assert read_instruction({"name": "cancel"}) == {"name": "cancel"}
    assert read_instruction({"name": "retry", "node_id": None, "args": None}) == {"name": "retry"}


def test_what_is_given_is_kept_and_nothing_else() -> None:
    given = {"name": "my.own:command-1", "node_id": "n", "args": {"a": [1]}}
    assert read_instruction({**given, "type": "command", "by": "somebody else"}) == given


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": 1}, "name"),
        ({"name": "a", "node_id": ""}, "node_id"),
        ({"name": "a", "node_id": 1}, "node_id"),
        ({"name": "a", "args": []}, "args"),
        ({"name": "a", "args": "x"}, "args"),
    ],
)
def test_what_is_wrong_with_a_command_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_instruction(given)
    assert caught.value.field == field


@pytest.mark.parametrize("status", ANSWERS)
def test_a_result_has_an_id_a_status_and_perhaps_words(status: str) -> None:
    assert read_result({"command_id": "c", "status": status}) == {"command_id": "c", "status": status}
    given = {"command_id": "c", "status": status, "message": "why"}
    assert read_result({**given, "type": "command_result", "via": {}}) == given


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"status": "done"}, "command_id"),
        ({"command_id": "", "status": "done"}, "command_id"),
        ({"command_id": "x" * (MAX_ID + 1), "status": "done"}, "command_id"),
        ({"command_id": "c"}, "status"),
        ({"command_id": "c", "status": "timeout"}, "status"),
        ({"command_id": "c", "status": "cancelled"}, "status"),
        ({"command_id": "c", "status": ["done"]}, "status"),
        ({"command_id": "c", "status": "done", "message": 1}, "message"),
        ({"command_id": "c", "status": "done", "message": "x" * (MAX_MESSAGE + 1)}, "message"),
    ],
)
def test_what_is_wrong_with_a_result_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_result(given)
    assert caught.value.field == field


def test_only_having_accepted_settles_nothing() -> None:
    assert set(ANSWERS) - SETTLING == {"accepted"}


def outcome(read: Callable[[dict[str, Any]], dict[str, Any]], given: dict[str, Any]) -> object:
    """What is read, or the field that is wrong."""
    try:
        return read(given)
    except InvalidInput as error:
        return error.field


keys = st.sampled_from(["name", "node_id", "args", "command_id", "status", "message"])


@given(st.dictionaries(keys, json_values | st.sampled_from(["cancel", "done"])))
def test_whatever_comes_is_taken_or_refused_by_name(given_: dict[str, Any]) -> None:
    for read in (read_instruction, read_result):
        assert outcome(read, given_)
