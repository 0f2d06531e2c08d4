"""What the data of the known types may hold, and how what it may not is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.event_schema import MISSING, SHAPES, Shape, shown
from tasktree_rt.core.events import Event, parse_event
from tasktree_rt.core.ids import NODE_ID, is_node_id
from tasktree_rt.errors import InvalidInput

NOW = "2026-01-02T03:04:05.000006Z"


def parse(value: object) -> Event:
    return parse_event(value, now=NOW)


def refusal(value: object) -> tuple[str, str | None, str]:
    with pytest.raises(InvalidInput) as caught:
        parse(value)
    return caught.value.code, caught.value.field, caught.value.message


def node_update(**changes: object) -> dict[str, object]:
    return {"type": "node_update", "project_id": "p", "data": {"node_id": "a", "changes": changes}}


@pytest.mark.parametrize(
    ("kind", "data", "place", "message"),
    [
        ("node_update", {"node_id": 5, "changes": {}}, "node_id", "expected a string, got 5"),
        ("node_update", {"node_id": None, "changes": {}}, "node_id", "expected a string, got null"),
        (
            "node_update",
            {"node_id": "a\t", "changes": {}},
            "node_id",
            "expected 1-512 characters without control characters, got 'a\\t'",
        ),
        ("node_update", {"node_id": "a"}, "changes", "expected an object, got nothing"),
        ("node_update", {"node_id": "a", "changes": []}, "changes", "expected an object, got an array"),
        ("project_update", {}, "changes", "expected an object, got nothing"),
        ("project_update", {"changes": {"url": 5}}, "changes.url", "expected a string or null, got 5"),
        ("log", {"level": 1, "message": "m"}, "level", "expected a string, got 1"),
        ("log", {"level": "i", "message": "m", "node_id": 5}, "node_id", "expected a string or null, got 5"),
        ("log", {"level": "i", "message": "m", "stream": 5}, "stream", "expected a string or null, got 5"),
        ("state_transition", {"from": "a"}, "to", "expected a string, got nothing"),
        ("state_transition", {"to": None}, "to", "expected a string, got null"),
        ("state_transition", {"to": "a", "from": 5}, "from", "expected a string or null, got 5"),
        ("state_transition", {"to": "a", "context": []}, "context", "expected an object, got an array"),
        ("state_transition", {"to": "a", "node_id": 5}, "node_id", "expected a string or null, got 5"),
        ("mission_snapshot", {}, "snapshot_id", "expected a string, got nothing"),
        ("task_status_changed", {"status": "x"}, "task_id", "expected a string or an integer, got nothing"),
        (
            "task_status_changed",
            {"task_id": True, "status": "x"},
            "task_id",
            "expected a string or an integer, got true",
        ),
        ("task_status_changed", {"task_id": 5}, "status", "expected a string, got nothing"),
        ("orchestrator_started", {"status": 1}, "status", "expected a string, got 1"),
        ("orchestrator_stopped", {"status": 1}, "status", "expected a string, got 1"),
        ("orchestrator_error", {}, "error", "expected a string, got nothing"),
        (
            "coordination_update",
            {"agents": {}},
            "active_agents",
            "expected an integer of at least 0, got nothing",
        ),
        (
            "coordination_update",
            {"active_agents": -1, "agents": {}},
            "active_agents",
            "expected an integer of at least 0, got -1",
        ),
        ("coordination_update", {"active_agents": 1, "agents": 5}, "agents", "expected an object, got 5"),
    ],
)
def test_known_types_are_checked(kind: str, data: dict[str, object], place: str, message: str) -> None:
    value = {"type": kind, "project_id": "p", "data": data}
    assert refusal(value) == ("invalid_event", f"event.data.{place}", message)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("parent_id", ["a", None, "é 😀"], [5, "", "a\x00", "x" * 513, "\ud800", True]),
        ("title", ["", "T", None], [5, [], {}]),
        ("kind", ["file", None], [True]),
        ("status", ["ready", "own", None], [1.0]),
        ("progress", [0, 100, 0.5, None], [-1, 100.1, "5", True, float("nan"), float("inf"), 10**400]),
        ("message", ["m", None], [5]),
        ("order", [-1, 1.5, 10**30, None], ["1", True]),
        ("started_at", [NOW, "any words", None], [5]),
        ("ended_at", [NOW, None], [5]),
        ("depends_on", [[], ["a", "b"], None], ["a", [1], [""], [None], {}]),
        ("attempt", [1, None], ["1", False]),
        ("deleted", [True, False, None], [1, "true"]),
    ],
)
def test_fields_of_a_node(name: str, good: list[object], bad: list[object]) -> None:
    for value in good:
        parse(node_update(**{name: value}))
    for value in bad:
        code, field, message = refusal(node_update(**{name: value}))
        assert (code, field) == ("invalid_event", f"event.data.changes.{name}")
        assert message.startswith("expected ")


def test_every_field_of_a_node_has_been_tried() -> None:
    changes = SHAPES["node_update"].fields["changes"].inner
    assert isinstance(changes, Shape)
    assert len(changes.fields) == 12


@pytest.mark.parametrize(
    "data",
    [
        {"type": "task_created", "data": {"parent_id": 5, "status": []}},
        {"type": "agent_spawned", "data": {"task_id": None}},
        {"type": "file_locks_update", "data": {"locks": 1}},
        {"type": "prompt", "data": {}},
    ],
)
def test_types_without_a_shape_pass_through(data: dict[str, Any]) -> None:
    assert parse({"project_id": "p", **data}).data == data["data"]


def test_a_fault_in_something_very_deep_is_told() -> None:
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    assert refusal(node_update(title=deep))[2] == "expected a string or null, got an array"


# --- node ids


@given(st.text(max_size=6) | st.text(min_size=510, max_size=514))
def test_a_node_id_is_what_the_pattern_says(value: str) -> None:
    assert is_node_id(value) == (NODE_ID.fullmatch(value) is not None)


@pytest.mark.parametrize("value", ["a", " ", "é", "😀" * 512, "a\u2028b", "\u200b", "\ue000", "\xa0"])
def test_node_ids(value: str) -> None:
    assert is_node_id(value)


@pytest.mark.parametrize(
    "value", ["", "\n", "\x00", "a\x7f", "\x85", "\x9f", "\ud800", "😀" * 513, 5, None, b"a"]
)
def test_what_is_no_node_id(value: object) -> None:
    assert not is_node_id(value)


# --- telling


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (-(10**19), "-10000000000000000000"),
        pytest.param(10**5000, "a huge integer", id="huge"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ("it's", '"it\'s"'),
        ("\ud800\n", "'\\ud800\\n'"),
        ("x" * 41, "'" + "x" * 40 + "\\u2026'"),
        ([1], "an array"),
        ({}, "an object"),
        (MISSING, "nothing"),
        ((1,), "something else"),
    ],
)
def test_what_was_sent_is_shown_short_and_printable(value: object, told: str) -> None:
    assert shown(value) == told
