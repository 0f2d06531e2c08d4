"""What real programs sent, recorded from the real packages, as trees.

The bodies in ``golden`` were sent by: opentelemetry-sdk 1.45.2; openinference-instrumentation-langchain
0.1.80, opentelemetry-instrumentation-langchain 0.62.4 (openllmetry) and langsmith 0.15.1 on langgraph 1.2.24
with a fake model and an interrupt; pydantic-ai 2.68.0 with its test model;
openinference-instrumentation-openai-agents 2.6.0 on openai-agents 0.24.0; opentelemetry-instrumentation-asgi
and -celery 0.66b2. Only paths and names of the machine were replaced in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tasktree_rt.core.nodes import Nodes
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.protobuf_records import read_spans
from tasktree_rt.dialects.otlp.records import Span
from tests.dialects.otlp.encode import tree_of

GOLDEN: Final = Path(__file__).parent / "golden"
INTERRUPTED: Final = ("gate", "chain", "review")
TREES: Final[dict[str, list[Any]]] = {
    "sdk": [
        ("build", "span", "completed"),
        [("compile", "span", "completed")],
        [("link", "span", "failed")],
    ],
    "openinference_langchain": [
        ("LangGraph", "chain", "completed"),
        [("ask", "chain", "completed"), [("FakeListChatModel", "llm", "completed")]],
        [INTERRUPTED],
    ],
    "openllmetry_langchain": [
        ("LangGraph", "agent", "completed"),
        [
            ("LangGraph", "agent", "completed"),
            [
                ("execute_task ask", "task", "completed"),
                [("FakeListChatModel.chat", "llm", "completed")],
            ],
            [("execute_task gate", "task", "review")],
        ],
    ],
    "langsmith": [
        ("LangGraph", "chain", "completed"),
        [("ask", "chain", "completed"), [("FakeListChatModel", "llm", "completed")]],
        [INTERRUPTED],
    ],
    "pydantic_ai": [
        ("weather agent", "agent", "completed"),
        [("chat test", "llm", "completed")],
        [("weather", "tool", "completed")],
        [("chat test", "llm", "completed")],
    ],
    "openai_agents": [
        ("research", "agent", "completed"),
        [
            ("planner", "agent", "completed"),
            [("generation", "llm", "completed")],
            [("search", "tool", "completed")],
        ],
    ],
    "asgi": [
        ("… (caller elsewhere)", None, "running"),
        [
            ("GET /a", "request", "completed"),
            [("GET /a http send", "span", "completed")],
            [("GET /a http send", "span", "completed")],
        ],
    ],
    "celery": [("apply_async/add", "task", "completed"), [("run/add", "task", "completed")]],
}


def spans_of(name: str) -> list[Span]:
    body = (GOLDEN / f"{name}.binpb").read_bytes()
    return [one for one in read_spans(body) if isinstance(one, Span)]


def drawn(tree: Nodes, node_id: str) -> list[Any]:
    fields = tree.fields(node_id)
    below = sorted(tree.children(node_id), key=lambda one: tree.fields(one)["order"])
    return [(fields["title"], fields.get("kind"), fields["status"]), *(drawn(tree, one) for one in below)]


def tops(tree: Nodes) -> list[str]:
    return [one for one in tree.nodes if tree.parent(one) not in tree.nodes]


@pytest.mark.parametrize("name", TREES)
def test_a_real_program_is_this_tree(name: str) -> None:
    tree = tree_of(*spans_of(name))
    (root,) = tops(tree)
    assert drawn(tree, root) == TREES[name]
    assert tree.top["project"]["group"] == name


def test_every_recording_is_looked_at() -> None:
    assert {one.stem for one in GOLDEN.glob("*.binpb")} == set(TREES)


def test_tokens_count_where_they_were_used_and_nowhere_else() -> None:
    tree = tree_of(*spans_of("pydantic_ai"))
    used = [one.fields["usage"] for one in tree.nodes.values() if "usage" in one.fields]
    assert used == [{"input_tokens": 54, "output_tokens": 5}, {"input_tokens": 57, "output_tokens": 11}]
    assert tree.used()[:2] == (111, 16)
    agents = tree_of(*spans_of("openai_agents"))
    assert [one.fields.get("model") for one in agents.nodes.values()].count("fake-1") == 1


@pytest.mark.parametrize("name", TREES)
def test_nothing_that_was_said_is_stored_without_leave(name: str) -> None:
    said = (
        "the weather?",
        "hello from the model",
        "What is up",
        "sunny in",
        "go on?",
        "hunter2",
        "abcdef123456",
    )
    shown = tree_of(*spans_of(name), showing=Showing("none"))
    for node in shown.nodes.values():
        kept = str({key: value for key, value in node.fields.items() if key != "title"})
        for one in said:
            assert one not in kept, (name, node.fields)


def test_what_was_said_is_there_where_it_may_be_seen() -> None:
    tree = tree_of(*spans_of("pydantic_ai"))
    (tool,) = (one.fields for one in tree.nodes.values() if one.fields["kind"] == "tool")
    assert (tool["input"], tool["output"]) == ({"city": "a"}, "sunny in a")


def test_a_web_servers_inner_spans_are_folded() -> None:
    nodes = [one.fields for one in tree_of(*spans_of("asgi")).nodes.values()]
    folded = {one["title"]: one.get("internal", False) for one in nodes}
    assert folded == {"… (caller elsewhere)": False, "GET /a": False, "GET /a http send": True}
