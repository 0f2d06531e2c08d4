"""An execution as a project: status, timing and error of its nodes; never what went in or came out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.compat.autogpt.as_project import ProjectChange, project_change
from tasktree_rt.compat.autogpt.channels import Place
from tasktree_rt.compat.autogpt.payloads import read_execution, too_large
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body

SECRET = "sec-ret"


def of(payload: dict[str, Any]) -> ProjectChange:
    found = project_change(read_execution(body(payload)))
    assert found is not None
    return found


def test_an_execution_is_a_project_of_its_name() -> None:
    times = {"started_at": "2026-01-02T03:04:05Z", "ended_at": "2026-01-02T03:04:06Z"}
    found = of({**GRAPH, **times, "status": "FAILED", "graph_version": 3, "stats": {"error": "no quota"}})
    assert (found.project_id, found.node_id, found.state) == ("autogpt:e", None, "failed")
    assert found.changes == {
        "title": "graph g",
        "group": "u",
        "graph_id": "g",
        "graph_version": 3,
        **times,
        "error": "no quota",
    }


def test_each_run_of_a_node_is_a_node_of_it() -> None:
    times = {"queue_time": "t1", "start_time": "t2", "end_time": "t3"}
    found = of({**NODE, **times, "status": "RUNNING", "block_id": "b", "error": "late"})
    assert (found.project_id, found.node_id, found.state) == ("autogpt:e", "x", None)
    assert found.changes == {
        "title": "node n",
        "kind": "node",
        "status": "running",
        "queued_at": "t1",
        "started_at": "t2",
        "ended_at": "t3",
        "message": "late",
        "graph_node_id": "n",
        "block_id": "b",
    }


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("INCOMPLETE", "draft"),
        ("QUEUED", "ready"),
        ("RUNNING", "running"),
        ("REVIEW", "review"),
        ("COMPLETED", "completed"),
        ("FAILED", "failed"),
        ("TERMINATED", "cancelled"),
        ("PAUSED", "paused"),
    ],
)
def test_statuses_are_those_of_the_lifecycle_and_unknown_ones_stay(status: str, shown: str) -> None:
    assert of({**GRAPH, "status": status}).state == shown
    assert of({**NODE, "status": status}).changes["status"] == shown


def test_what_cannot_be_a_projects_name_is_not_mirrored_nor_is_what_was_too_large() -> None:
    assert project_change(read_execution(body({**GRAPH, "id": "a b"}))) is None
    assert project_change(too_large(Place("u", "g", "e"), 9, 5)) is None


def test_an_error_that_is_a_book_is_cut_short() -> None:
    assert len(of({**NODE, "error": "x" * 100_000}).changes["message"]) == 4_096


HOLDERS = ("inputs", "outputs", "credential_inputs", "nodes_input_masks", "input_data", "output_data")
NESTED = st.recursive(
    st.just(SECRET),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.sampled_from(["error", SECRET]), inner),
    max_leaves=5,
)
MORE = st.dictionaries(
    st.sampled_from([*HOLDERS, "preset_id", "result", "is_shared", "node_executions", "summary"]), NESTED
)


@given(st.sampled_from([GRAPH, NODE]), MORE, st.dictionaries(st.sampled_from(["cost", "walltime"]), NESTED))
def test_no_input_and_no_output_ever_reaches_the_mirror(
    event: dict[str, Any], more: dict[str, Any], stats: dict[str, Any]
) -> None:
    found = of({**event, **more, "stats": stats})
    assert SECRET not in json.dumps([found.project_id, found.node_id, found.state, found.changes])
