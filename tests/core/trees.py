"""Making changes, and looking into trees."""

from __future__ import annotations

from typing import Any

from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.nodes import Change, Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.dialects.base import encode_body, measure
from tests.core.strategies import PROJECT

NOW = "2026-01-02T03:04:05.000006Z"


def event(kind: str, data: dict[str, Any], project: str = PROJECT) -> Event:
    return Event(kind, ProjectId(project), data, NOW)


def change_of(nodes: Nodes, kind: str, data: dict[str, Any], project: str = PROJECT) -> Change:
    happened = event(kind, data, project)
    return reduce(nodes, happened, len(encode_body(happened)), measure)


def picture(nodes: Nodes) -> dict[str, Any]:
    return {**nodes.top, "nodes": {node_id: node.fields for node_id, node in nodes.nodes.items()}}


def recomputed(nodes: Nodes) -> Nodes:
    fresh = Nodes()
    fresh.apply(Change(put=dict(nodes.nodes), top=nodes.top))
    return fresh


def indexes(nodes: Nodes) -> list[Any]:
    return [nodes._children, nodes._task_ids, nodes._tasks, nodes.counts(), nodes.bound, nodes.used()]
