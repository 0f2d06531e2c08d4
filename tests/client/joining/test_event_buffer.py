"""What runs say on its way: merged, bounded, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client import (
    Run,
)
from tasktree_rt.client.joining.event_buffer import MAX_BATCH, MAX_LINE, EventBuffer
from tasktree_rt.core.status_transitions import may_change

# --- the outflow ------------------------------------------------------------------------------------------


@define
class Flow:
    """An outflow, and how often it woke whoever sends."""

    woken: int = 0
    out: EventBuffer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.out = EventBuffer("p", self.wake, max_changes=3, max_lines=3, max_line_chars=100)

    def wake(self) -> None:
        self.woken += 1


def test_progress_in_a_tight_loop_is_one_event() -> None:
    flow = Flow()
    for number in range(10_000):
        flow.out.change("n", {"progress": number}, 20)
    [event] = flow.out.take()
    assert event["data"] == {"node_id": "n", "changes": {"progress": 9_999}}
    assert (flow.woken, flow.out.statistics().merged) == (1, 9_999)
    flow.out.change("n", {"progress": 1}, 20)
    assert len(flow.out.take()) == 1  # nothing is merged into what was taken


def test_nothing_is_merged_over_a_status() -> None:
    flow = Flow()
    flow.out.change("n", {"status": "running"}, 20)
    flow.out.change("n", {"progress": 1}, 20)
    flow.out.change("n", {"status": "review"}, 20)
    flow.out.change("n", {"progress": 2}, 20)
    assert [one["data"]["changes"] for one in flow.out.take()] == [
        {"status": "running", "progress": 1},
        {"status": "review", "progress": 2},
    ]


def test_lines_beyond_the_bound_are_dropped_counted_and_told() -> None:
    flow = Flow()
    kept = [flow.out.line(f"{number}", level="info", node_id="n", extra={}) for number in range(10)]
    assert kept == [True] * 3 + [False] * 7
    lines = [one["data"] for one in flow.out.take()]
    assert [one["message"] for one in lines[:3]] == ["0", "1", "2"]
    assert (lines[3]["level"], lines[3]["dropped"]) == ("warning", 7)
    assert lines[3]["message"].startswith("7 lines of output were left out")
    assert flow.out.line("room again", level="info", node_id=None, extra={})
    assert not flow.out.line("x" * 100, level="info", node_id=None, extra={})
    assert flow.out.statistics().dropped == 8


def test_a_line_that_is_too_long_or_cannot_be_written_is_mended() -> None:
    out = EventBuffer("p", lambda: None)
    out.line("x" * (MAX_LINE + 7), level="info", node_id=None, extra={})
    out.line("file \udcff", level="info", node_id=None, extra={})
    [long, odd] = [one["data"]["message"] for one in out.take()]
    assert long.endswith("x… (7 more characters)")
    assert odd == "file ?"


def test_a_batch_is_bounded_in_events_and_size() -> None:
    out = EventBuffer("p", lambda: None)
    for _ in range(MAX_BATCH + 1):
        out.line("x", level="info", node_id=None, extra={})
    assert [len(out.take()), len(out.take()), len(out.take())] == [MAX_BATCH, 1, 0]
    for _ in range(12):
        out.line("x" * 30_000, level="info", node_id=None, extra={})
    assert [len(out.take()) for _ in range(3)] == [5, 5, 2]


def test_changes_have_room_up_to_a_bound() -> None:
    flow = Flow()
    room = [flow.out.room]
    for number in range(3):
        flow.out.change(f"n{number}", {"status": "running"}, 20)
    flow.out.line("x", level="info", node_id=None, extra={})
    room.append(flow.out.room)
    flow.out.take()
    assert [*room, flow.out.room] == [True, False, True]


Saying = st.one_of(
    st.tuples(st.just("field"), st.sampled_from("ab"), st.integers(0, 100)),
    st.tuples(st.just("status"), st.sampled_from("ab"), st.sampled_from(["running", "review", "completed"])),
    st.tuples(st.just("take"), st.just(""), st.just(0)),
)


@given(st.lists(Saying, max_size=60))
def test_whatever_is_merged_the_nodes_end_the_same_and_pass_the_same_statuses(sayings: list[Any]) -> None:
    out, found, wanted = EventBuffer("p", lambda: None), {}, {}  # type: ignore[var-annotated]
    passed: dict[str, list[str]] = {"a": [], "b": []}
    sent: dict[str, list[str]] = {"a": [], "b": []}

    def take() -> None:
        for event in out.take():
            name, changes = event["data"]["node_id"], event["data"]["changes"]
            found.setdefault(name, {}).update(changes)
            sent[name] += [changes["status"]] if "status" in changes else []

    for kind, name, value in sayings:
        if kind == "take":
            take()
            continue
        change = {"progress" if kind == "field" else "status": value}
        wanted.setdefault(name, {}).update(change)
        passed[name] += [value] if kind == "status" else []
        out.change(name, change, 10)
    take()
    assert (found, sent) == (wanted, passed)


def _fails(step: Callable[[], None]) -> None:
    try:
        step()
    except BaseException:  # whatever ended it
        return


Ends = st.sampled_from([None, ValueError, KeyboardInterrupt])


@given(st.lists(st.tuples(st.sampled_from("abc"), Ends), max_size=20))
def test_whatever_becomes_of_nodes_the_lifecycle_allows_it(attempts: list[Any]) -> None:
    class Quiet(Run):
        def _wake(self) -> None:
            pass

    from tasktree_rt.client.producer.thread_publisher import Publisher

    with Publisher("http://127.0.0.1:9", "x") as publisher:
        run = Quiet(publisher, "p")
        for name, end in attempts:

            def step(name: str = name, end: type[BaseException] | None = end) -> None:
                with run.node(name):
                    if end is not None:
                        raise end

            _fails(step)
    tree: dict[str, object] = {}
    for event in run.outflow.take():
        changes = event["data"].get("changes", {})
        if "status" not in changes:
            continue
        name, status = event["data"]["node_id"], changes["status"]
        if changes.get("deleted"):
            tree.pop(name, None)
            continue
        assert may_change(tree.get(name), status), (name, tree.get(name), status)
        tree[name] = status
    assert set(tree.values()) <= {"completed", "failed", "cancelled"}
