"""How a node's status may change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.status_transitions import TRANSITIONS, may_change

STATUSES = ["draft", "ready", "running", "review", "completed", "failed", "cancelled", "skipped", "lost"]
ALLOWED = {
    ("draft", "ready"),
    ("ready", "running"),
    ("running", "review"),
    ("review", "completed"),
    ("running", "failed"),
    ("review", "running"),
    ("failed", "ready"),
    ("draft", "cancelled"),
    ("ready", "cancelled"),
    ("running", "cancelled"),
    ("review", "cancelled"),
    ("running", "completed"),
    *((before, "skipped") for before in ("draft", "ready", "running", "review")),
    *((before, "lost") for before in ("running", "review")),
    *(("lost", after) for after in STATUSES if after not in ("draft", "lost")),
}


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_lifecycle(before: str, after: str) -> None:
    assert may_change(before, after) == (before == after or (before, after) in ALLOWED)


def test_the_lifecycle_table_knows_every_status_it_leads_to() -> None:
    assert set().union(*TRANSITIONS.values()) <= set(TRANSITIONS) == set(STATUSES)


@given(st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=1))
def test_a_first_a_lost_and_an_unknown_status_pass(value: object) -> None:
    for known in STATUSES:
        assert may_change(value, known)
        assert may_change(known, value)


@pytest.mark.parametrize("status", ["unclaimed", "up_next", "in_progress", "merged"])
def test_task_statuses_are_not_judged(status: str) -> None:
    assert may_change("completed", status)
    assert may_change(status, "draft")
