"""What the log and the reducer must amount to, said as simply as possible and as slowly as it comes.

Written from the wire contract alone (docs/protocol.md, "Event types and the reducer"): a dict of
nodes, every parent chain walked anew, every event of the log kept for ever.
"""

from __future__ import annotations

import re
from typing import Any, TypeGuard

Fields = dict[str, Any]


class NaiveTree:
    """A project's state as plain JSON values."""

    def __init__(self, project_id: str) -> None:
        self.project_id = project_id
        self.clear()

    def clear(self) -> None:
        self.nodes: dict[str, Fields] = {}
        self.state: str | None = None
        self.project: Fields = {}
        self.orchestrator: Fields | None = None
        self.coordination: Fields | None = None
        self.prompts: list[Fields] = []

    def picture(self) -> dict[str, Any]:
        """Everything there is to compare."""
        return {
            "state": self.state,
            "project": self.project,
            "orchestrator": self.orchestrator,
            "coordination": self.coordination,
            "prompts": self.prompts,
            "nodes": self.nodes,
        }

    def apply(self, kind: str, data: Fields) -> None:
        rule = getattr(self, f"on_{kind}", None)
        if rule is not None:
            rule(data)

    # --- the project's own types

    def on_node_update(self, data: Fields) -> None:
        node_id, changes = data.get("node_id"), data.get("changes")
        if not names_a_node(node_id) or not isinstance(changes, dict):
            return
        if changes.get("deleted") is True:
            self.remove(node_id)
        else:
            self.merge(node_id, changes)

    def on_state_transition(self, data: Fields) -> None:
        node_id, to = data.get("node_id"), data.get("to")
        if not isinstance(to, str):
            return
        if node_id is None:
            self.state = to
        elif names_a_node(node_id):
            self.merge(node_id, {"status": to})

    def on_project_update(self, data: Fields) -> None:
        if isinstance(data.get("changes"), dict):
            self.project = merged(self.project, data["changes"])

    def on_orchestrator_started(self, data: Fields) -> None:
        self.orchestrator = {"status": "running"} | data

    def on_orchestrator_stopped(self, data: Fields) -> None:
        self.orchestrator = {"status": "stopped"} | data

    def on_orchestrator_error(self, data: Fields) -> None:
        self.orchestrator = {"status": "error"} | data

    def on_coordination_update(self, data: Fields) -> None:
        self.coordination = data

    def on_project_deleted(self, data: Fields) -> None:
        self.clear()

    def on_prompt(self, data: Fields) -> None:
        if isinstance(data.get("prompt_id"), str):
            self.on_prompt_resolved(data)
            self.prompts = [*self.prompts, data]

    def on_prompt_resolved(self, data: Fields) -> None:
        self.prompts = [one for one in self.prompts if one["prompt_id"] != data.get("prompt_id")]

    # --- TaskTree's

    def on_project_created(self, data: Fields) -> None:
        changes = {key: value for key, value in data.items() if key != "name"}
        if "name" in data and "title" not in data:
            changes["title"] = data["name"]
        self.project = merged(self.project, changes)

    on_project_updated = on_project_created

    def on_task_created(self, data: Fields) -> None:
        node_id = self.meant(data)
        if node_id is None:
            return
        changes = {**data, "kind": "task"}
        if "dependencies" in changes:
            given = changes.pop("dependencies")
            named = [as_text(one) for one in given] if isinstance(given, list) else None
            changes["depends_on"] = named if named is None else [one for one in named if one is not None]
        self.merge(node_id, changes)

    on_task_updated = on_task_created

    def on_task_status_changed(self, data: Fields) -> None:
        self.set_status(data, data.get("status"))

    def on_task_merged(self, data: Fields) -> None:
        self.set_status(data, "merged")

    def on_task_completed(self, data: Fields) -> None:
        self.set_status(data, "completed")

    def on_task_queued_for_merge(self, data: Fields) -> None:
        self.set_status(data, "queued_for_merge")

    def on_task_deleted(self, data: Fields) -> None:
        node_id = self.meant(data)
        if node_id is not None:
            self.remove(node_id)

    def on_tasks_reset(self, data: Fields) -> None:
        for node_id, fields in list(self.nodes.items()):
            if is_task(fields) and fields.get("status") != "merged":
                self.merge(node_id, {"status": "unclaimed"})

    def on_project_reset(self, data: Fields) -> None:
        for node_id in [one for one, fields in self.nodes.items() if is_task(fields)]:
            self.remove(node_id)

    # --- what they do

    def merge(self, node_id: str, changes: Fields) -> None:
        before = self.nodes.get(node_id, {})
        never = ("node_id", "deleted", "ended_attempts", "ended_usage")
        fields = {key: value for key, value in merged(before, changes).items() if key not in never}
        kept, ended = before.get("ended_attempts", []), before.get("ended_usage")
        if another_attempt(before, fields, kept[-1] if kept else {}):
            kept = [*kept, attempt_kept(before)][-8:]
            if any(used := node_used(before)):
                ended = written(used)
                fields = {
                    key: value
                    for key, value in fields.items()
                    if key not in ("usage", "cost_usd") or key in changes
                }
        if kept:
            fields["ended_attempts"] = kept
        if ended is not None:
            fields["ended_usage"] = ended
        self.nodes[node_id] = fields

    def used(self, branch: str | None = None) -> list[int]:
        """What the nodes of a branch have used together; of all without one."""
        within = [one for one in self.nodes if branch is None or self.reaches(one, branch)]
        return [
            sum(column)
            for column in zip([0] * 7, *(node_used(self.nodes[one]) for one in within), strict=True)
        ]

    def remove(self, node_id: str) -> None:
        reaching = [one for one in self.nodes if self.reaches(one, node_id)]
        for one in reaching:
            del self.nodes[one]

    def reaches(self, node_id: str, goal: str) -> bool:
        seen: set[str] = set()
        here: object = node_id
        while isinstance(here, str) and here not in seen:
            if here == goal:
                return True
            seen.add(here)
            here = self.nodes.get(here, {}).get("parent_id")
        return False

    def set_status(self, data: Fields, status: object) -> None:
        node_id = self.meant(data)
        if node_id is not None and isinstance(status, str):
            self.merge(node_id, {"status": status})

    def meant(self, data: Fields) -> str | None:
        """The node that a task event names."""
        reference = as_text(data.get("task_id"))
        if reference is None:
            reference = as_text(data.get("id"))
        if reference is None or reference in self.nodes:
            return reference
        same = [
            one
            for one, fields in self.nodes.items()
            if is_task(fields) and as_text(fields.get("id")) == reference
        ]
        if same:
            return min(same)
        if re.fullmatch("t[0-9]+", reference):
            return reference[1:]
        number, dash, project = reference.partition("-")
        if dash and re.fullmatch("[0-9]+", number) and project == self.project_id:
            return number
        return reference


USED = [f"{one}_tokens" for one in ("input", "output", "cache_read_input", "cache_creation_input")]
USED += ["reasoning_output_tokens", "total_tokens"]


def node_used(fields: Fields) -> list[int]:
    """Tokens of each kind, and billionths of a dollar, of all attempts of a node."""
    ended = fields.get("ended_usage", {})
    present = usage_of(fields.get("usage"), fields.get("cost_usd"))
    return [sum(pair) for pair in zip(present, usage_of(ended, ended.get("cost_usd")), strict=True)]


def usage_of(usage: Any, cost: Any) -> list[int]:
    usage = usage if isinstance(usage, dict) else {}
    counts = [counted(usage.get(name)) for name in USED]
    if counts[5] == 0:
        counts[5] = min(counts[0] + counts[1], 10**10)
    is_cost = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost <= 10**6
    return [*counts, int(cost * 10**9 + 0.5) if is_cost else 0]


def counted(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value <= 10**10 and value == int(value) else 0


def written(used: list[int]) -> Fields:
    found: Fields = {name: min(count, 10**10) for name, count in zip(USED, used, strict=False) if count}
    return found | ({"cost_usd": min(used[6], 10**15) / 10**9} if used[6] else {})


class NaiveLog:
    """Every event there ever was, and how far back one may ask."""

    def __init__(self, epoch: str, head: int) -> None:
        self.epoch = epoch
        self.head = head
        self.floor = head
        self.kept: list[tuple[int, bytes]] = []

    def append(self, body: bytes, most: int, most_bytes: int) -> None:
        self.head += 1
        self.kept.append((self.head, body))
        while len(self.kept) > 1 and (
            len(self.kept) > most or sum(len(b) for _, b in self.kept) > most_bytes
        ):
            self.trim(self.kept[0][0])

    def trim(self, floor: int) -> None:
        self.kept = [one for one in self.kept if one[0] > floor]
        self.floor = self.kept[0][0] - 1 if self.kept else self.head

    def since(self, epoch: str, seq: int) -> list[int] | str:
        """The seqs after a position, or why there are none to be had."""
        if epoch != self.epoch and (epoch, seq) != ("", 0):
            return "epoch"
        if seq > self.head:
            return "ahead"
        if seq < self.floor:
            return "trimmed"
        return [one for one, _ in self.kept if one > seq]


def merged(before: Fields, changes: Fields) -> Fields:
    return {key: value for key, value in {**before, **changes}.items() if changes.get(key, value) is not None}


WAITS = """draft ready pending queued unclaimed up_next planned planning incomplete todo backlog created
    scheduled blocked waiting"""
RUNS = "running in_progress started active working agent_running spawned executing retrying merging"
WELL = "completed complete done merged success succeeded passed finished ok skipped"
BADLY = """failed error errored timeout timed_out crashed failure broken damaged lost
    cancelled canceled aborted terminated stopped"""
RUNS_OR_WAITS = f"{WAITS} {RUNS}".split()
ENDED = f"{WELL} {BADLY}".split()


def short(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= 64 else None


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def another_attempt(before: Fields, after: Fields, last: Fields) -> bool:
    """Whether an attempt ended that is not kept yet (docs/protocol.md, "Attempts")."""
    was, now = ([one.get("attempt"), 1] for one in (before, after))
    numbered = next(filter(is_number, was)) != next(filter(is_number, now))
    began, begins = short(before.get("started_at")), short(after.get("started_at"))
    if str(before.get("status")).lower() in ENDED:
        anew = numbered or (None not in (began, begins) and began != begins)
        anew = anew or str(after.get("status")).lower() in RUNS_OR_WAITS
        ended = short(before.get("ended_at"))
        known = (last.get("started_at"), last.get("ended_at")) == (began, ended) != (None, None)
        return anew and not known
    return numbered and began is not None and last.get("started_at") != began


def attempt_kept(fields: Fields) -> Fields:
    found = {key: short(fields.get(key)) for key in ("started_at", "ended_at", "status")}
    kept: Fields = {key: value for key, value in found.items() if value is not None}
    if is_number(fields.get("attempt")):
        kept["attempt"] = fields["attempt"]
    if isinstance(fields.get("message"), str):
        kept["message"] = fields["message"][:200]
    used = written(usage_of(fields.get("usage"), fields.get("cost_usd")))
    cost = {key: used.pop(key) for key in ("cost_usd",) if key in used}
    return kept | cost | ({"usage": used} if used else {})


def is_task(fields: Fields) -> bool:
    return fields.get("kind") == "task"


def names_a_node(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 512
        and not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value)
    )


def as_text(value: object) -> str | None:
    """An id as text; integers up to 2^53 - 1 count, 1.0 among them, booleans do not."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole = value == value and abs(value) < 2**53 and value == int(value)
        return str(int(value)) if whole else None
    return value if isinstance(value, str) and names_a_node(value) else None
