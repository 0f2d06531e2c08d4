"""A project in memory: the newest part of its log, its tree, and its tree after all accepted publishes.

Three heads: *staged* runs ahead of the disk (what was accepted), *applied* is what watchers see. A
tick applies committed events and hands them to the outboxes of everyone who watched at that moment,
so a later subscriber begins exactly at the applied head: applied and flushed are one here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Final

from attrs import define, evolve

from tasktree_rt.brokers.base import Death, Life, Outline, Summary
from tasktree_rt.core.attempts import KEPT
from tasktree_rt.core.conflation import ConflatedEvents
from tasktree_rt.core.event_schema import advised_fault, wrong
from tasktree_rt.core.events import Event, Json, ProjectId, Record
from tasktree_rt.core.log import Log, Position
from tasktree_rt.core.nodes import NO_CHANGE, Change, Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.status_transitions import may_change
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import measure
from tasktree_rt.errors import Refused
from tasktree_rt.hub.projects.branch_view import BranchView
from tasktree_rt.hub.projects.shared_snapshot import LatestSnapshot, SharedSnapshot
from tasktree_rt.hub.projects.summary import SummaryEncoder
from tasktree_rt.settings import Limits

TAIL_EVENTS: Final = 2_048
TAIL_BYTES: Final = 2 * 1024 * 1024


@define
class _Accepted:
    """An accepted publish that is not applied yet: events, their encoded sizes, their changes.

    `conditional`: the store refuses it if another hub has changed the log (`Append.conditional`).
    """

    events: Sequence[Event]
    sizes: Sequence[int]
    changes: list[Change]
    conditional: bool = False


class Project:
    """See the module's docstring. `floor` is the oldest position the store can still replay from."""

    def __init__(self, project_id: str) -> None:
        self.project_id = ProjectId(project_id)
        self.staged = Nodes()
        self._staged_about = SummaryEncoder()
        self._about = SummaryEncoder()
        self._unapplied: deque[_Accepted] = deque()
        self.checkpointed = 0
        self.bytes_since_checkpoint = 0
        self.counted_bytes = 0
        """What `StoredBytes` has counted of `stored_bytes`."""
        self.last_used = 0.0
        self.transitions_questioned = 0
        self.fields_questioned = 0
        self.death: Death | None = None
        self.owner = ""
        """The owner for whom its log counts."""
        self.booked: str | None = None
        """The owner for whom it will count, while the publish that begins its log is pending."""
        self.damage: str | None = None
        """Why its log cannot be read; None if it can."""
        self._stored: Summary | None = None
        self._latest = LatestSnapshot()
        self.branches: dict[str, BranchView] = {}
        """By node the branches that are watched, or were until lately."""
        self._begin("", 0, 0)

    def _begin(self, epoch: str, head: int, floor: int) -> None:
        self.epoch = epoch
        self.tree = Tree(epoch, head)
        self.log = Log(epoch, head, max_events=TAIL_EVENTS, max_bytes=TAIL_BYTES)
        self.shown = ConflatedEvents(head)
        self.floor = floor
        self.received = 0
        self.checkpointed = head
        self.bytes_since_checkpoint = 0
        self.stored_bytes = 0
        """Bytes of the events that the store has (`Life.bytes`)."""

    def load(self, life: Life, older: Sequence[Record]) -> None:
        """Begin with the store's checkpoint.

        `older` are the events just before it, for resuming watchers. The caller then fills the tree with the
        checkpoint's nodes, feeds the tail to `apply`, and copies the tree to `staged`.
        """
        start = life.checkpoint.seq if life.checkpoint else 0
        self._begin(life.epoch, start, life.floor)
        self.death = life.death
        self.owner = life.owner
        self.received = life.received
        self.stored_bytes = self.counted_bytes = life.bytes
        if older:
            self.log = Log(life.epoch, older[0].seq - 1, max_events=TAIL_EVENTS, max_bytes=TAIL_BYTES)
            self.log.extend(older)
            self.shown = ConflatedEvents(older[0].seq - 1)
            for record in older:
                self.shown.note(record)

    def load_damaged(self, outline: Outline, damage: str) -> None:
        """Begin as a damaged project, which the hub can list and delete."""
        life = outline.life
        self._begin(life.epoch, life.head, life.floor)
        self.death, self.received, self.owner = life.death, life.received, life.owner
        self.stored_bytes = self.counted_bytes = life.bytes
        self.damage, self._stored = damage, outline.summary

    @property
    def position(self) -> Position:
        """The position of the last applied event."""
        return Position(self.epoch, self.tree.head)

    def position_at(self, seq: int) -> Position:
        """Return the position of `seq` in the current epoch."""
        return Position(self.epoch, seq)

    # --- accepting ------------------------------------------------------------------------------

    def stage(self, events: Sequence[Event], sizes: Sequence[int], limits: Limits, *, enforce: bool) -> None:
        """Check `events` against the staged tree and apply them to it: all, or none if one is refused.

        Raises:
            Refused: ``invalid_transition``, ``node_too_large`` or ``project_full``.
            InvalidInput: ``invalid_event``, if `enforce`.
        """
        changes: list[Change] = []
        undo: list[Change] = []
        try:
            for index, (event, size) in enumerate(zip(events, sizes, strict=True)):
                change = reduce(self.staged, event, size, measure)
                if change is not NO_CHANGE:
                    self._check_fields(event, enforce, index)
                    self._check(change, limits, enforce, f"events[{index}]")
                    if len(events) > 1:
                        undo.append(_inverse(self.staged, change))
                    self.staged.apply(change)
                changes.append(change)
        except BaseException:
            for change in reversed(undo):
                self.staged.apply(change)
            raise
        self._unapplied.append(_Accepted(events, sizes, changes))

    @property
    def pending(self) -> int:
        """Count of accepted publishes that are neither applied nor failed."""
        return len(self._unapplied)

    def next_changes(self) -> list[Change]:
        """Take the changes of the oldest accepted publish, whose commit has ended."""
        return self._unapplied.popleft().changes

    def make_conditional(self, conditional: bool) -> bool:
        """Note whether the newest accepted publish is conditional, and return it: one behind a conditional
        one is too, so that they stay in order.
        """
        newest = self._unapplied[-1]
        newest.conditional = conditional or any(one.conditional for one in self._unapplied)
        return newest.conditional

    def restage(self, gone: Sequence[Change] = ()) -> None:
        """Take the changes `gone` of publishes that failed out of the staged tree.

        The project reduces the pending publishes again: their changes may differ. It checks nothing again:
        the store may have them by now, and the tree follows the log.
        """
        self.unstage(gone)
        self.stage_again()

    def unstage(self, gone: Sequence[Change] = ()) -> None:
        """Set the staged tree back to the applied one: what pending publishes and `gone` have changed."""
        nodes: dict[str, None] = {}
        top: dict[str, None] = {}
        for change in chain(gone, *(publish.changes for publish in self._unapplied)):
            nodes.update(dict.fromkeys(change.removed))
            nodes.update(dict.fromkeys(change.put))
            top.update(dict.fromkeys(change.top))
        tree = self.tree
        removed = tuple(one for one in nodes if one not in tree.nodes)
        put = {one: tree.nodes[one] for one in nodes if one in tree.nodes}
        self.staged.apply(Change(removed, put, {name: tree.top[name] for name in top if name in tree.top}))

    def stage_again(self) -> None:
        """Reduce the pending publishes again, after `unstage`."""
        for publish in self._unapplied:
            publish.changes = []
            for event, size in zip(publish.events, publish.sizes, strict=True):
                change = reduce(self.staged, event, size, measure)
                self.staged.apply(change)
                publish.changes.append(change)

    def _check_fields(self, event: Event, enforce: bool, index: int) -> None:
        fault = advised_fault(event.type, event.data)
        if fault is not None:
            if enforce:
                raise wrong(f"events[{index}].data.{fault.path}", fault.expected, fault.value)
            self.fields_questioned += 1

    def _check(self, change: Change, limits: Limits, enforce: bool, field: str) -> None:
        nodes = self.staged.nodes
        added = 0
        for node_id, node in change.put.items():
            before = nodes.get(node_id)
            added += before is None
            if node.bound > limits.max_node_size and _size(node.fields) > limits.max_node_size:
                raise Refused(
                    f"node {node_id!r} would be larger than {limits.max_node_size} bytes",
                    code="node_too_large",
                    field=field,
                )
            status, was = node.fields.get("status"), before.fields.get("status") if before else None
            if status != was and not may_change(was, status):
                if enforce:
                    raise Refused(
                        f"node {node_id!r} cannot go from {was!r} to {status!r}",
                        code="invalid_transition",
                        field=field,
                    )
                self.transitions_questioned += 1
        if added and len(nodes) + added > limits.max_nodes:
            raise Refused(
                f"the project already has {len(nodes)} nodes of at most {limits.max_nodes}",
                code="project_full",
                field=field,
            )

    # --- applying -------------------------------------------------------------------------------

    def begin_epoch(self, epoch: str, owner: str = "") -> None:
        """Begin a new epoch with its first committed event; the log counts for `owner`."""
        received, self.owner = self.received, owner
        self._begin(epoch, 0, 0)
        self.received = received
        for view in self.branches.values():
            view.begin_epoch(epoch)

    def apply(self, record: Record, change: Change, size: int) -> None:
        """Apply a committed event; `record` is as watchers get it, `size` the bytes that the store has."""
        new = [one for one in change.put if one not in self.tree.nodes] if self.branches else ()
        self.tree.advance(change)
        self.log.append(record)
        self.shown.note(record)
        self.received = record.received
        self.bytes_since_checkpoint += size
        for view in self.branches.values():
            view.apply(record, change, new)

    def become(self, fresh: Project) -> None:
        """Go on with what was just read of the log; pending publishes stay pending."""
        for name in ("epoch", "tree", "log", "shown", "floor", "received", "checkpointed", "death", "owner"):
            setattr(self, name, getattr(fresh, name))
        self.bytes_since_checkpoint, self.stored_bytes = fresh.bytes_since_checkpoint, fresh.stored_bytes
        self.staged = fresh.staged
        self._latest = LatestSnapshot()
        self.branches = {}
        self.stage_again()

    def end_epoch(self, record: Record) -> None:
        """End the epoch with `record`, the `project_deleted` event, and keep it as the tombstone."""
        self.death, self.damage, self._stored = Death(self.epoch, record), None, None
        received = self.received
        self._begin("", 0, 0)
        self.received = received
        for view in self.branches.values():
            view.end_epoch(record)

    def trimmed(self, floor: int) -> None:
        """Note that the store has deleted the events up to `floor`."""
        self.floor = max(self.floor, floor)
        self.tree.forget(self.floor)
        self.log.trim(self.floor)
        for view in self.branches.values():
            view.trimmed(self.floor)

    # --- showing --------------------------------------------------------------------------------

    def staged_about(self) -> bytes:
        """Encode the summary of the staged tree; see `SummaryEncoder`."""
        return self._staged_about.encode(self.staged)

    def summary(self) -> Summary:
        """Return the project's row in the list of projects, as watchers see it now."""
        if self.damage is not None and self._stored is not None:
            return evolve(self._stored, damaged=True)
        tree, about = self.tree, self._about.encode(self.tree)
        state, count = tree.top["state"], len(tree)
        return Summary(self.project_id, self.epoch, tree.head, state, count, self.received, about)

    def snapshot(self, least: int = 0) -> SharedSnapshot:
        """Return the state to send now, not older than seq `least`. Concurrent callers share it."""
        return self._latest.get(self.project_id, self.tree, least)


def _size(fields: Json) -> int:
    """The encoded size of a node's fields without those that only the reducer sets."""
    return measure({name: value for name, value in fields.items() if name not in KEPT})


def _inverse(nodes: Nodes, change: Change) -> Change:
    before = {one: nodes.nodes[one] for one in (*change.removed, *change.put) if one in nodes.nodes}
    created = tuple(one for one in change.put if one not in nodes.nodes)
    return Change(removed=created, put=before, top={name: nodes.top[name] for name in change.top})
