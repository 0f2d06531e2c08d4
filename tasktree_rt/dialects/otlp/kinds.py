"""What kind of node a span is: one table for all conventions, old names and new."""

from __future__ import annotations

from typing import Final

from tasktree_rt.dialects.otlp.records import Attributes, Span

_OPENINFERENCE: Final = {
    "llm": "llm",
    "agent": "agent",
    "tool": "tool",
    "chain": "chain",
    "retriever": "retriever",
    "embedding": "embedding",
    "reranker": "reranker",
    "guardrail": "guardrail",
    "evaluator": "evaluator",
    "prompt": "prompt",
}
_OPERATIONS: Final = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "completion": "llm",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "execute_tool": "tool",
    "chain": "chain",
    "invoke_workflow": "workflow",
    "workflow": "workflow",
    "retrieval": "retriever",
    "retriever": "retriever",
    "embeddings": "embedding",
    "embedding": "embedding",
}
_TRACELOOP: Final = {"workflow": "workflow", "task": "task", "agent": "agent", "tool": "tool"}
_LANGSMITH: Final = {
    "llm": "llm",
    "chain": "chain",
    "tool": "tool",
    "retriever": "retriever",
    "embedding": "embedding",
    "prompt": "prompt",
}
_TABLES: Final = (
    ("openinference.span.kind", _OPENINFERENCE),
    ("gen_ai.operation.name", _OPERATIONS),
    ("langsmith.span.kind", _LANGSMITH),
    ("traceloop.span.kind", _TRACELOOP),
)
"""The first that has a span's value wins."""
_ROLES: Final = {2: "request", 3: "call", 4: "send", 5: "receive"}
_PRESENT: Final = (
    ("llm.request.type", "llm"),
    ("celery.action", "task"),
    ("celery.task_name", "task"),
    ("db.system", "db"),
    ("db.system.name", "db"),
)
"""Attributes that tell the kind by being there."""
SPENDING: Final = frozenset({"llm", "embedding"})
"""Kinds whose tokens count: agents and chains repeat what their children have used."""
GENAI: Final = ("gen_ai.", "openinference.", "llm.", "traceloop.", "langsmith.")
"""How the attributes of a span of an agent, a model or a tool begin."""


def kind_of(span: Span) -> str:
    """Return the kind of a span; ``span`` if nothing says more."""
    attributes = span.attributes
    for name, table in _TABLES:
        value = attributes.get(name)
        found = table.get(value.lower()) if isinstance(value, str) else None
        if found is not None:
            return found
    for name, kind in _PRESENT:
        if name in attributes:
            return kind
    return _ROLES.get(span.kind, "span")


def is_internal(span: Span, kind: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether a span is plumbing that views may fold: by its scope or its name, unless an agent, a
    model or a tool speaks in it."""
    if kind not in ("span", "send", "receive", "request", "call") or _speaks(span.attributes):
        return False
    if span.name.endswith((" http send", " http receive", " websocket send", " websocket receive")):
        return True
    return any(span.source.scope.startswith(one) or span.name.startswith(one) for one in prefixes)


def _speaks(attributes: Attributes) -> bool:
    return any(name.startswith(GENAI) for name in attributes)
