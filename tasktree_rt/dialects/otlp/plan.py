"""The events that a slice of a project's spans becomes, given the tree as it is.

Spans come by their ends: children before parents. A parent that is neither in the tree nor in the request is
made as a *provisional* node, which its own span replaces whenever it comes. A span that has only begun (its
end is 0) and was overtaken by its end changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from attrs import define, field

from tasktree_rt.core.events import Event, Json, ProjectId
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.statuses import is_ended
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.lines import Line, lines_of, time_of
from tasktree_rt.dialects.otlp.nodes import changes_of, is_root, node_of, parent_of, title_of
from tasktree_rt.dialects.otlp.records import SPAN_ID, Span
from tasktree_rt.dialects.otlp.statuses import is_pending, status_of

NOT_TOLD: Final = "its end was never reported"
UNKNOWN: Final = "…"
ELSEWHERE: Final = "… (caller elsewhere)"
_CLEARED: Final = ("status", "started_at", "ended_at", "message")


@define
class Plan:
    """What to publish of a slice.

    Attributes:
        events: in order.
        provisional: ids of the nodes that are made although their spans are not known. The plan holds only as
            long as the tree has none of them.
        begun: ids of nodes that begin. The plan holds only as long as none has an end.
    """

    events: list[Event] = field(factory=list)
    provisional: list[str] = field(factory=list)
    begun: list[str] = field(factory=list)

    def holds(self, tree: Nodes) -> bool:
        """Return whether the tree is still one for which the plan was made."""
        return not (
            any(one in tree.nodes for one in self.provisional)
            or any("ended_at" in tree.fields(one) for one in self.begun)
        )


def plan(
    project: str, spans: Iterable[Span], tree: Nodes, coming: Collection[str], showing: Showing, now: str
) -> Plan:
    """Make the events of some spans of one project.

    Args:
        tree: the project's tree after all accepted events.
        coming: ids of spans of the same request, which need no provisional node.
        now: the time of the events, RFC 3339; lines have their own.
    """
    return _Planning(ProjectId(project), tree, coming, showing, now).of(spans)


class _Planning:
    def __init__(
        self, project: ProjectId, tree: Nodes, coming: Collection[str], showing: Showing, now: str
    ) -> None:
        self._project = project
        self._tree = tree
        self._coming = coming
        self._showing = showing
        self._now = now
        self._plan = Plan()
        self._state: object = tree.top["state"]
        self._about: Json = tree.top["project"]

    def of(self, spans: Iterable[Span]) -> Plan:
        for span in spans:
            self._span(span)
        return self._plan

    def _span(self, span: Span) -> None:
        node_id = node_of(span)
        before = self._tree.fields(node_id)
        if is_pending(span) and "ended_at" in before and "provisional" not in before:
            self._lines(span)
            return
        if self._project.startswith("trace:"):
            self._describe(span)
        self._parent(span)
        if is_pending(span):
            self._plan.begun.append(node_id)
        if "provisional" in before and is_ended(before.get("status")):
            self._update(node_id, dict.fromkeys(name for name in _CLEARED if name in before))
        self._update(node_id, changes_of(span, self._tree, self._showing))
        self._lines(span)

    def _parent(self, span: Span) -> None:
        """Make the parent's node if nothing is known of it."""
        parent = parent_of(span)
        if parent is None or parent == node_of(span) or SPAN_ID.fullmatch(parent) is None:
            return  # a node of ours is made by the program that has it
        if parent in self._tree.nodes or parent in self._coming or parent in self._plan.provisional:
            return
        self._plan.provisional.append(parent)
        self._update(parent, provisional(span))

    def _describe(self, span: Span) -> None:
        """Keep the title, the group and the state of a project that is one trace."""
        changes: Json = {}
        root = is_root(span)
        title = title_of(span, self._showing) if root else self._about.get("title") or span.source.service
        for name, value in (("title", title), ("group", self._about.get("group") or span.source.service)):
            if value and self._about.get(name) != value:
                changes[name] = value
        session = next((span.attributes[one] for one in SESSIONS if one in span.attributes), None)
        labels = self._about.get("labels")
        if isinstance(session, str) and session and not isinstance(labels, dict):
            changes["labels"] = {"session": self._showing.redaction.cut(session, 128)}
        if changes:
            self._about = {**self._about, **changes}
            self._event("project_update", {"changes": changes})
        state = status_of(span) if root else self._state or "running"
        if state != self._state:
            self._state = state
            self._event("state_transition", {"to": state})

    def _lines(self, span: Span) -> None:
        for line in lines_of(span, self._showing):
            self._plan.events.append(line_event(self._project, line, self._now))

    def _update(self, node_id: str, changes: Json) -> None:
        self._event("node_update", {"node_id": node_id, "changes": changes})

    def _event(self, kind: str, data: Json) -> None:
        self._plan.events.append(Event(kind, self._project, data, self._now))


SESSIONS: Final = ("session.id", "gen_ai.conversation.id", "langsmith.trace.session_id")


def provisional(child: Span) -> Json:
    """Return the changes that make the node of a span of which only a child is known."""
    found: Json = {
        "title": ELSEWHERE if child.remote_parent else UNKNOWN,
        "status": "running",
        "provisional": True,
        "started_at": time_of(child.start),
        "order": child.start / 1_000_000_000,
    }
    if child.source.service:
        found["service"] = child.source.service
    return {name: value for name, value in found.items() if value is not None}


def line_event(project: str, line: Line, now: str) -> Event:
    """Make the event of a line."""
    return Event("log", ProjectId(project), line.data, line.time or now)


# --- settling -------------------------------------------------------------------------------------


def settled(project: str, nodes: Iterable[str], tree: Nodes, now: str) -> list[Event]:
    """Return the events that end those of `nodes` of which no end was told, and the state of a trace's
    project.

    A node's end is never guessed: each is `cancelled`, with the reason.
    """
    ended = [one for one in nodes if _is_open(tree.fields(one))]
    changes = {"status": "cancelled", "ended_at": now, "message": NOT_TOLD}
    events = [
        Event("node_update", ProjectId(project), {"node_id": one, "changes": changes}, now) for one in ended
    ]
    if project.startswith("trace:") and not is_ended(tree.top["state"]):
        state = _state_of_roots(tree, set(ended))
        if state != tree.top["state"]:
            events.append(Event("state_transition", ProjectId(project), {"to": state}, now))
    return events


def _is_open(fields: Json) -> bool:
    return bool(fields) and "ended_at" not in fields and not is_ended(fields.get("status"))


def open_nodes(tree: Nodes) -> Iterator[str]:
    """Yield the nodes of spans of which no end is known."""
    return (one for one, node in tree.nodes.items() if SPAN_ID.fullmatch(one) and _is_open(node.fields))


def _state_of_roots(tree: Nodes, ended: Collection[str]) -> str:
    """The worst of the topmost spans whose ends are known; `cancelled` if there is none."""
    statuses: set[object] = set()
    waiting = [one for one in tree.nodes if tree.parent(one) not in tree.nodes]
    while waiting:
        one = waiting.pop()
        if one in ended or "provisional" in tree.fields(one):
            waiting.extend(tree.children(one))
        else:
            statuses.add(tree.fields(one).get("status"))
    return next((one for one in ("failed", "review", "completed") if one in statuses), "cancelled")
