"""Events over a small alphabet, so that they meet each other; and JSON values of every kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

PROJECT = "p"
NAMES = ["a", "b", "c", "1", "2", "t1", "1-p", "2-q"]

names = st.sampled_from(NAMES)
references = names | st.sampled_from([1, 2, 1.0, True, 2**53, None, "", "\n", 1.5])
odd = st.sampled_from([None, True, 0, 1.5, "x", [], [None], {}, {"a": None}])

_tokens = st.sampled_from([0, 1, 7, 7.0, 1200, 10**10, 10**10 + 1, -1, 0.5, 2**70, None]) | odd
usage = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens", "other"]),
    _tokens,
    max_size=3,
)
cost = st.sampled_from([0, 1, 0.25, 0.000001, 0.1, 0.003, 1_000_000, 1_000_001, -1, None]) | odd

fields: dict[str, st.SearchStrategy[Any]] = {
    "parent_id": names | names | st.none() | odd,
    "title": st.sampled_from(["T", "", None]),
    "kind": st.sampled_from(["task", "task", "step", None]) | odd,
    "status": st.sampled_from(["ready", "running", "failed", "merged", "unclaimed", None]) | odd,
    "started_at": st.sampled_from(["t1", "t2", None]) | odd,
    "ended_at": st.sampled_from(["t1", "t2", None]) | odd,
    "attempt": st.sampled_from([1, 2, 1.0, None]) | odd,
    "ended_attempts": odd,
    "usage": usage | odd,
    "cost_usd": cost,
    "ended_usage": usage | odd,
    "message": st.sampled_from(["m", "m" * 201, None]) | odd,
    "id": references,
    "node_id": names,
    "deleted": st.sampled_from([True, False, None, 1]),
    "meta": odd,
}
changes = st.fixed_dictionaries({}, optional=fields)
task = st.fixed_dictionaries(
    {"task_id": references},
    optional={**fields, "dependencies": st.lists(references, max_size=3) | odd},
)
_nothing: st.SearchStrategy[dict[str, Any]] = st.builds(dict)
_datas: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "node_update": st.fixed_dictionaries({"node_id": names, "changes": changes}),
    "state_transition": st.fixed_dictionaries(
        {"to": st.sampled_from(["ready", "failed", "completed"])}, optional={"node_id": names | odd}
    ),
    "project_update": st.fixed_dictionaries({"changes": changes}),
    "project_created": st.fixed_dictionaries({}, optional={**fields, "name": st.sampled_from(["N", None])}),
    "orchestrator_started": st.fixed_dictionaries({}, optional={"status": st.just("running"), "pid": odd}),
    "orchestrator_stopped": _nothing,
    "orchestrator_error": st.just({"error": "boom"}),
    "coordination_update": st.fixed_dictionaries({"active_agents": st.integers(0, 2), "agents": _nothing}),
    "task_created": task,
    "task_updated": task,
    "task_status_changed": st.fixed_dictionaries(
        {"task_id": references, "status": st.sampled_from(["up_next", "merged"]) | odd}
    ),
    "task_merged": task,
    "task_completed": task,
    "task_queued_for_merge": task,
    "task_deleted": task,
    "tasks_reset": _nothing,
    "project_reset": _nothing,
    "project_deleted": _nothing,
    "log": st.fixed_dictionaries(
        {"level": st.just("info"), "message": st.just("m")}, optional={"node_id": names}
    ),
    "something_else": task,
}
_removals = st.fixed_dictionaries({"node_id": names, "changes": st.just({"deleted": True})})
_plain = st.sampled_from(sorted(_datas)).flatmap(lambda kind: st.tuples(st.just(kind), _datas[kind]))
_updates = st.tuples(st.just("node_update"), _datas["node_update"] | _removals)
_hostile = st.tuples(st.sampled_from(sorted(_datas)), st.dictionaries(st.sampled_from(sorted(fields)), odd))

happenings = _updates | _updates | _plain | _plain | _hostile
"""One (type, data): mostly updates of nodes, now and then something rare or broken."""

numbers = st.integers() | st.sampled_from([2**64, 10**400]) | st.floats()
texts = st.text(max_size=8) | st.sampled_from(["\ud800", "\udfff", "a\x00b", "x" * 600])
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
