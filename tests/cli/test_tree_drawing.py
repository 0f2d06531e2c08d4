import io
from typing import Any

from rich.console import Console

from tasktree_rt.cli.tree_drawing import draw
from tasktree_rt.client.watcher.messages import StateReplaced
from tasktree_rt.client.watcher.tree_view import TreeView
from tasktree_rt.core.log import Position


def drawn(nodes: dict[str, Any], height: int = 24, notice: str | None = None) -> list[str]:
    view = TreeView("p")
    view.apply(
        StateReplaced("p", Position("e", 7), "initial", "running", {"title": "Build"}, None, None, [], nodes)
    )
    out = io.StringIO()
    Console(file=out, width=100, height=height).print(draw(view, height, notice))
    return out.getvalue().splitlines()


def test_a_small_tree_is_shown_whole() -> None:
    nodes = {
        "a": {"title": "Alpha", "status": "running", "progress": 50},
        "b": {"parent_id": "a", "status": "failed", "message": "10%\r\x1b[31mno\x1b[0m\x1b[2Jgood\r\n"},
        "c": {"parent_id": "gone"},
    }
    head, *rest = drawn(nodes, notice="not connected")
    assert "Build" in head
    assert "e:7" in head
    assert "not connected" in head
    assert [line.rstrip() for line in rest] == ["Alpha  running 50 %", "  b  failed  nogood", "c"]


def test_of_a_large_tree_what_goes_on_is_shown_and_the_rest_counted() -> None:
    nodes: dict[str, Any] = {"root": {"status": "running"}}
    for number in range(500):
        nodes[f"n{number}"] = {"parent_id": "root", "status": "completed"}
    nodes["n77"]["status"] = "failed"
    _, *rest = drawn(nodes)
    assert [line.rstrip() for line in rest] == ["root  running  (+499)", "  n77  failed"]


def test_never_more_lines_than_the_terminal_has() -> None:
    nodes = {f"n{number}": {"status": "running"} for number in range(500)}
    lines = drawn(nodes, height=10)
    assert len(lines) == 9
    assert lines[-1].strip() == "…"


def test_a_cycle_is_drawn_once() -> None:
    nodes = {"a": {"parent_id": "b", "status": "running"}, "b": {"parent_id": "a", "status": "running"}}
    assert len(drawn(nodes)) == 3
    assert len(drawn({**nodes, **{f"x{number}": {} for number in range(99)}})) == 3
