"""What a span changes in its node."""

from __future__ import annotations

from typing import Final

from tasktree_rt.core.events import Json
from tasktree_rt.core.ids import is_node_id
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.dialects.base import decode_json
from tasktree_rt.dialects.otlp.attributes import (
    INPUTS,
    OUTPUTS,
    Showing,
    shown_attributes,
    shown_content,
)
from tasktree_rt.dialects.otlp.kinds import SPENDING, is_internal, kind_of
from tasktree_rt.dialects.otlp.lines import time_of
from tasktree_rt.dialects.otlp.records import Span, Value
from tasktree_rt.dialects.otlp.statuses import message_of, status_of
from tasktree_rt.dialects.otlp.usage import cost_of, model_of, usage_of
from tasktree_rt.errors import InvalidInput

MAX_TITLE: Final = 256
PENDING_PARENT: Final = "logfire.pending_parent_id"


def node_of(span: Span) -> str:
    """Return the id of a span's node. Logfire's pending span stands for its parent."""
    return span.parent_id if _stands_for_parent(span) else span.span_id


def parent_of(span: Span) -> str | None:
    """Return the id of the node above; None at the top."""
    if _stands_for_parent(span):
        above = span.attributes.get(PENDING_PARENT)
        return above if isinstance(above, str) and len(above) == 16 and above.strip("0") else None
    if span.parent_id:
        return span.parent_id
    named = span.attributes.get("tasktree.parent")
    return named if is_node_id(named) else None


def is_root(span: Span) -> bool:
    """Return whether a span is the root of its trace."""
    return not span.parent_id or (_stands_for_parent(span) and parent_of(span) is None)


def title_of(span: Span, showing: Showing) -> str:
    """Return a node's title: the name of the tool or the agent, or else the span's."""
    attributes = span.attributes
    for operation, name in (("execute_tool", "gen_ai.tool.name"), ("invoke_agent", "gen_ai.agent.name")):
        value = attributes.get(name)
        if attributes.get("gen_ai.operation.name") == operation and isinstance(value, str) and value:
            return showing.redaction.cut(value, MAX_TITLE)
    return showing.redaction.cut(span.name, MAX_TITLE) or "span"


def changes_of(span: Span, known: Nodes, showing: Showing) -> Json:
    """Return the changes of a span's node, as `node_update` has them. `known` is the tree so far."""
    kind, status = kind_of(span), status_of(span)
    before = known.fields(node_of(span))
    found: Json = {
        "parent_id": parent_of(span),
        "title": title_of(span, showing),
        "kind": kind,
        "status": status,
        "started_at": time_of(span.start),
        "ended_at": None if status == "running" else time_of(span.end),
        "order": span.start / 1_000_000_000,
        "message": message_of(span, status, showing.redaction),
        **_model(span, kind),
        **_said(span, showing),
        **_links(span, known),
        **_origin(span),
    }
    if is_internal(span, kind, showing.internal):
        found["internal"] = True
    if "provisional" in before:
        found["provisional"] = None
    return {name: value for name, value in found.items() if value is not None or name in before}


def _model(span: Span, kind: str) -> Json:
    found: Json = {"model": model_of(span.attributes)}
    if kind in SPENDING:
        found["usage"] = usage_of(span.attributes) or None
        found["cost_usd"] = cost_of(span.attributes)
    return found


def _said(span: Span, showing: Showing) -> Json:
    attributes, left_out = shown_attributes(
        {name: value for name, value in span.attributes.items() if name not in (*INPUTS, *OUTPUTS)}, showing
    )
    if left_out:
        attributes["tasktree.left_out"] = left_out
    return {
        "attributes": attributes or None,
        "input": _structured(shown_content(span.attributes, INPUTS, showing)),
        "output": _structured(shown_content(span.attributes, OUTPUTS, showing)),
    }


def _structured(value: Value) -> Value:
    """Read JSON in a text, so that views show messages as such; a text that was cut stays one."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return decode_json(value)
        except InvalidInput:
            return value
    return value


def _links(span: Span, known: Nodes) -> Json:
    if not span.links:
        return {}
    here = [one for _, one in span.links if one in known.nodes and one != span.span_id]
    return {
        "links": [{"trace_id": trace, "span_id": one} for trace, one in span.links],
        "depends_on": here or None,
    }


def _origin(span: Span) -> Json:
    """Where a span comes from: service, instrumentation, host and process, as far as they are told."""
    resource = span.source.resource
    pid = resource.get("process.pid")
    origin = {
        "service": span.source.service,
        "scope": span.source.scope,
        "host": resource.get("host.name"),
        "pid": pid if isinstance(pid, int) else None,
    }
    return {name: value for name, value in origin.items() if value not in ("", None)}


def _stands_for_parent(span: Span) -> bool:
    return span.attributes.get("logfire.span_type") == "pending_span" and bool(span.parent_id)
