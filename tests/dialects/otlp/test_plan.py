"""Spans in any order, as nodes: parents that are not known yet, ends without begins, ends that never come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.status_transitions import may_change
from tasktree_rt.dialects.base import measure
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.plan import NOT_TOLD, open_nodes, plan, settled
from tasktree_rt.dialects.otlp.records import Source, Span, SpanEvent
from tests.dialects.otlp.encode import NOW, OPEN, PROJECT, START, TRACE, a_span, applied, span_id, tree_of

EXCEPTION = {
    "exception.type": "ValueError",
    "exception.message": "no\nsuch",
    "exception.stacktrace": "Trace…",
}
CHAIN = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 0)]
"""Spans and their parents."""


def one_after_the_other(spans: Sequence[Span], tree: Nodes | None = None) -> Nodes:
    """The tree after spans that came in a request each."""
    found = Nodes() if tree is None else tree
    for span in spans:
        made = plan(PROJECT, [span], found, {span.span_id}, OPEN, NOW)
        assert made.holds(found)
        for event in made.events:
            before = {one: node.fields.get("status") for one, node in found.nodes.items()}
            found.apply(reduce(found, event, 1_000, measure))
            for one, node in found.nodes.items():
                assert may_change(before.get(one), node.fields.get("status"))
    return found


def plain(tree: Nodes) -> dict[str, object]:
    return {one: node.fields for one, node in tree.nodes.items()}


@given(st.permutations(CHAIN), st.booleans())
def test_the_tree_does_not_depend_on_the_order_of_the_spans(order: list[tuple[int, int]], live: bool) -> None:
    told = [a_span(*one) for one in order]
    begun = [a_span(*one, end=0) for one in order] if live else []
    assert plain(one_after_the_other([*begun, *told])) == plain(tree_of(*(a_span(*one) for one in CHAIN)))


@given(st.permutations(CHAIN), st.permutations(CHAIN))
def test_a_span_that_is_told_again_changes_nothing(
    order: list[tuple[int, int]], again: list[tuple[int, int]]
) -> None:
    once = one_after_the_other([a_span(*one) for one in order])
    before = plain(once)
    assert plain(one_after_the_other([a_span(*one) for one in again], once)) == before


@given(st.permutations(CHAIN), st.integers(0, 5))
def test_a_trace_that_was_settled_too_early_is_right_in_the_end(
    order: list[tuple[int, int]], early: int
) -> None:
    tree = one_after_the_other([a_span(*one) for one in order[:early]])
    for event in settled(PROJECT, list(open_nodes(tree)), tree, NOW):
        tree.apply(reduce(tree, event, 1_000, measure))
    tree = one_after_the_other([a_span(*one) for one in order[early:]], tree)
    assert plain(tree) == plain(tree_of(*(a_span(*one) for one in CHAIN)))


def test_a_parent_that_is_not_known_yet_is_provisional() -> None:
    tree = tree_of(a_span(2, 1))
    assert tree.fields(span_id(1)) == {
        "title": "…",
        "status": "running",
        "provisional": True,
        "started_at": "2026-01-01T00:00:02.000000Z",
        "order": START / 1e9 + 2,
        "service": "demo",
    }
    assert tree.fields(span_id(2))["parent_id"] == span_id(1)


def test_a_parent_elsewhere_says_so() -> None:
    assert tree_of(a_span(2, 1, remote_parent=True)).fields(span_id(1))["title"] == "… (caller elsewhere)"


def test_a_plan_holds_only_for_its_tree() -> None:
    tree = Nodes()
    made = plan(PROJECT, [a_span(2, 1)], tree, set(), OPEN, NOW)
    assert made.holds(tree)
    applied(tree, plan(PROJECT, [a_span(1)], tree, set(), OPEN, NOW))
    assert not made.holds(tree)
    begun = plan(PROJECT, [a_span(3, 1, end=0)], tree, set(), OPEN, NOW)
    applied(tree, plan(PROJECT, [a_span(3, 1)], tree, set(), OPEN, NOW))
    assert not begun.holds(tree)


@pytest.mark.parametrize(
    ("status", "events", "expected"),
    [
        (0, [], ("completed", None)),
        (1, [EXCEPTION], ("completed", None)),
        (2, [EXCEPTION], ("failed", "ValueError: no")),
        (2, [{"exception.type": "asyncio.CancelledError"}], ("cancelled", "asyncio.CancelledError")),
        (2, [{"exception.type": "langgraph.errors.GraphInterrupt"}], ("review", "waits for a person")),
        (1, [{"exception.type": "GraphInterrupt"}], ("review", "waits for a person")),
        (2, [{"exception.message": "GraphInterrupt((Interrupt(…"}], ("review", "waits for a person")),
    ],
)
def test_status(status: int, events: list[dict[str, str]], expected: tuple[str, str | None]) -> None:
    span = a_span(1, status=status, events=[SpanEvent(START, "exception", one) for one in events])
    fields = tree_of(span).fields(span_id(1))
    assert (fields["status"], fields.get("message")) == expected
    assert "ended_at" in fields


def test_events_are_lines_at_their_own_time() -> None:
    events = [
        SpanEvent(START + 5, "cache miss", {"key": "k", "n": 2}),
        SpanEvent(START, "exception", EXCEPTION),
    ]
    made = plan(PROJECT, [a_span(1, events=events)], Nodes(), set(), OPEN, NOW)
    lines = [(one.data, one.timestamp) for one in made.events if one.type == "log"]
    assert lines == [
        ({"node_id": span_id(1), "level": "info", "message": "cache miss  key=k  n=2"}, NOW),
        ({"node_id": span_id(1), "level": "error", "message": "Trace…"}, NOW),
    ]


def test_a_trace_of_its_own_has_the_title_and_the_state_of_its_root() -> None:
    child, root = a_span(2, 1), a_span(1, status=2, status_message="broken")
    tree = one_after_the_other([child])
    assert (tree.top["project"], tree.top["state"]) == ({"title": "demo", "group": "demo"}, "running")
    one_after_the_other([root], tree)
    assert (tree.top["project"]["title"], tree.top["state"]) == ("s1", "failed")
    one_after_the_other([a_span(9, 1)], tree)
    assert tree.top["state"] == "failed"


def test_a_project_that_a_program_named_is_left_alone() -> None:
    tree = tree_of(a_span(1), project="build-7")
    assert (tree.top["project"], tree.top["state"]) == ({}, None)


def test_the_parent_of_a_root_may_be_a_node_of_ours() -> None:
    span = a_span(1, attributes={"tasktree.parent": "compile", "tasktree.project": "b"})
    tree = tree_of(span, project="b")
    assert tree.fields(span_id(1))["parent_id"] == "compile"
    assert list(tree.nodes) == [span_id(1)]


def test_a_pending_span_of_logfires_is_its_parent() -> None:
    pending = a_span(
        9, 1, attributes={"logfire.span_type": "pending_span", "logfire.pending_parent_id": "0" * 16}
    )
    tree = one_after_the_other([pending])
    assert (list(tree.nodes), tree.fields(span_id(1))["status"]) == ([span_id(1)], "running")
    assert plain(one_after_the_other([a_span(1)], tree)) == plain(tree_of(a_span(1)))


def test_links_within_the_project_are_dependencies() -> None:
    tree = tree_of(a_span(1))
    one_after_the_other([a_span(2, links=[(TRACE, span_id(1)), (TRACE, span_id(77))])], tree)
    fields = tree.fields(span_id(2))
    assert fields["depends_on"] == [span_id(1)]
    assert len(fields["links"]) == 2


def test_settling_ends_what_nobody_ended_and_guesses_no_success() -> None:
    tree = one_after_the_other([a_span(3, 2), a_span(4, 2, end=0), a_span(5, 2, status=2)])
    for event in settled(PROJECT, list(open_nodes(tree)), tree, NOW):
        tree.apply(reduce(tree, event, 1_000, measure))
    told = {one: node.fields["status"] for one, node in tree.nodes.items()}
    assert told == {
        span_id(2): "cancelled",
        span_id(3): "completed",
        span_id(4): "cancelled",
        span_id(5): "failed",
    }
    assert tree.fields(span_id(2))["message"] == NOT_TOLD
    assert tree.top["state"] == "failed"
    assert settled(PROJECT, list(open_nodes(tree)), tree, NOW) == []


def test_attributes_are_redacted_cut_and_bounded() -> None:
    flat = {f"llm.input_messages.{n}.message.role": "user" for n in range(50)}
    given_ones = {
        "password": "hunter2",
        "note": "sk-abcdefghij0123456789 " + "x" * 5_000,
        "db.statement": "SELECT 1",
    }
    shown = tree_of(a_span(1, attributes=flat | given_ones), showing=Showing("none")).fields(span_id(1))
    assert shown["attributes"]["password"] == "•••"
    assert shown["attributes"]["note"].startswith("••• xxx")
    assert len(shown["attributes"]["note"]) == 1_024
    assert "db.statement" not in shown["attributes"]
    assert shown["attributes"]["tasktree.left_out"] == 51
    large = tree_of(a_span(1, attributes={f"a{n}": "y" * 1_000 for n in range(100)}))
    assert measure(large.fields(span_id(1))) < 20_000


def test_where_a_span_comes_from() -> None:
    source = Source({"service.name": "api", "host.name": "h", "process.pid": 7}, "lib")
    fields = tree_of(a_span(1, source=source)).fields(span_id(1))
    assert {name: fields[name] for name in ("service", "scope", "host", "pid")} == {
        "service": "api",
        "scope": "lib",
        "host": "h",
        "pid": 7,
    }


def test_usage_counts_on_models_only() -> None:
    used = {"gen_ai.usage.input_tokens": 5, "gen_ai.response.model": "m"}
    model = tree_of(a_span(1, attributes={**used, "gen_ai.operation.name": "chat"})).fields(span_id(1))
    agent = tree_of(a_span(1, attributes={**used, "gen_ai.operation.name": "invoke_agent"})).fields(
        span_id(1)
    )
    assert (model["kind"], model["model"], model["usage"]) == ("llm", "m", {"input_tokens": 5})
    assert (agent["kind"], "usage" in agent) == ("agent", False)
