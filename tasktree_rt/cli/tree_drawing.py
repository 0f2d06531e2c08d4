"""Draw a project's tree for a terminal: all of it if it fits, else its active part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Group
from rich.text import Text

from tasktree_rt.cli.safe_text import printable
from tasktree_rt.client.watcher.tree_view import TreeView
from tasktree_rt.core.events import Json
from tasktree_rt.core.terminal import shown_text

STYLES: Final = {
    "draft": "dim",
    "ready": "dim",
    "running": "bold cyan",
    "review": "bold yellow",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "dim strike",
}
_QUIET: Final = frozenset({None, "draft", "ready", "completed", "cancelled", "merged", "unclaimed"})
_WIDEST: Final = 60
_DEEPEST: Final = 20


def draw(view: TreeView, height: int, notice: str | None = None) -> Group:
    """Draw at most `height` lines: a head, then nodes. In a larger tree inactive nodes are only counted."""
    room = max(1, height - 2)
    lit = None if len(view.nodes) <= room else _lit(view)
    lines = list(_take(_nodes(view, lit), room))
    return Group(_head(view, notice), *lines)


def _head(view: TreeView, notice: str | None) -> Text:
    title = view.project.get("title")
    shown = printable(title) if isinstance(title, str) else view.project_id
    text = Text.assemble((shown, "bold"), f"  {view.state or ''}  {len(view.nodes)} nodes  ")
    text.append(str(view.position or "nothing heard yet"), "dim")
    if notice:
        text.append(f"  {printable(notice)}", "yellow")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _nodes(view: TreeView, lit: set[str] | None) -> Iterator[Text]:
    waiting = [(node_id, 0) for node_id in reversed(_shown(view.roots(), lit))]
    while waiting:
        node_id, depth = waiting.pop()
        children = view.children(node_id)
        shown = _shown(children, lit)
        yield _line(node_id, view.nodes[node_id], depth, len(children) - len(shown))
        waiting.extend((child, depth + 1) for child in reversed(shown))


def _shown(node_ids: list[str], lit: set[str] | None) -> list[str]:
    return node_ids if lit is None else [one for one in node_ids if one in lit]


def _lit(view: TreeView) -> set[str]:
    """Return the active nodes and their ancestors."""
    nodes = view.nodes
    lit: set[str] = set()
    for node_id, fields in nodes.items():
        at: object = node_id
        if fields.get("status") in _QUIET:
            continue
        while isinstance(at, str) and at in nodes and at not in lit:
            lit.add(at)
            at = nodes[at].get("parent_id")
    return lit


def _line(node_id: str, fields: Json, depth: int, hidden: int) -> Text:
    status, title, progress = fields.get("status"), fields.get("title"), fields.get("progress")
    name = printable(title if isinstance(title, str) and title else node_id, _WIDEST)
    text = Text("  " * min(depth, _DEEPEST) + name)
    if isinstance(status, str):
        text.append(f"  {printable(status, 20)}", STYLES.get(status, ""))
    if isinstance(progress, (int, float)) and status == "running":
        text.append(f" {progress:.0f} %")
    if isinstance(fields.get("message"), str):
        text.append(f"  {printable(shown_text(fields['message']), _WIDEST)}", "dim")
    if hidden:
        text.append(f"  (+{hidden})", "dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _take(lines: Iterator[Text], most: int) -> Iterator[Text]:
    for number, line in enumerate(lines, 1):
        if number == most:
            yield Text("…", "dim")
            return
        yield line
