"""A branch of a project in memory, beside the project: what readers of the branch see.

It has what a feed needs of a project (`feed.Watched`), so that resume, conflation and states work as for a
project. Its positions are the project's; an event that is not of the branch moves nothing here, and the next
event that is tells readers how far they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from attrs import define, evolve

from tasktree_rt.brokers.base import Death
from tasktree_rt.core.branch import Branch
from tasktree_rt.core.branch_log import BranchLog, BranchRecord
from tasktree_rt.core.conflation import ConflatedEvents
from tasktree_rt.core.events import Json, ProjectId, Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import NO_CHANGE, Change
from tasktree_rt.core.reducer import is_reduced
from tasktree_rt.core.topics import branch_topic
from tasktree_rt.core.tree import Difference, Tree
from tasktree_rt.dialects.base import decode_body, encode_shown
from tasktree_rt.hub.projects.shared_snapshot import LatestSnapshot, SharedSnapshot

MOST_MOVED: Final = 1_000
"""Nodes that one event may move into or out of a branch; with more its readers get the state."""
_ABOUT_A_NODE: Final = frozenset({"node_update", "state_transition", "prompt", "prompt_resolved"})
"""Types of events that change a reader's tree as they change the project's, if they are of the branch."""


class Parent(Protocol):
    """The project, as far as a branch needs it."""

    @property
    def project_id(self) -> ProjectId:
        """Return its name."""

    @property
    def epoch(self) -> str:
        """Return its epoch; "" without a log."""

    @property
    def tree(self) -> Tree:
        """Return what watchers of the project see."""

    @property
    def death(self) -> Death | None:
        """Return the end of its last epoch."""


@define
class Fresh:
    """New events of one epoch that no reader has been offered yet. `large`: readers get the state."""

    epoch: str
    opens: bool
    records: list[BranchRecord]
    large: bool = False


class BranchView:
    """See the module's docstring.

    Attributes:
        topic: the branch's topic; `project_id` is the same, as for every log that can be watched.
        left: when its last reader was seen, by the hub's clock.
    """

    def __init__(self, project: Parent, root: str, now: float) -> None:
        self._project = project
        self.root = root
        self.topic = branch_topic(project.project_id, root)
        self.project_id = ProjectId(self.topic)
        self.left = now
        self.fresh: list[Fresh] = []
        self._latest = LatestSnapshot()
        self._begin(project.epoch, project.tree.head)

    def _begin(self, epoch: str, head: int) -> None:
        self.epoch = epoch
        self.tree = Tree(epoch, head)
        self.branch = Branch(self.root, self.tree)
        self.log = BranchLog(epoch, head)
        self.shown = ConflatedEvents(head)

    # --- what feeds need (`feed.Watched`) -------------------------------------------------------------

    @property
    def floor(self) -> int:
        """The oldest position from which it can replay: older events are not read from the store."""
        return self.log.floor

    @property
    def death(self) -> Death | None:
        """The end of the project's last epoch."""
        return self._project.death

    @property
    def position(self) -> Position:
        """The position of a reader that has all of the branch."""
        return Position(self.epoch, self.tree.head)

    def position_at(self, seq: int) -> Position:
        """Return the position of `seq` in the current epoch."""
        return Position(self.epoch, seq)

    def snapshot(self, least: int = 0) -> SharedSnapshot:
        """Return the state to send now, not older than seq `least`. Concurrent callers share it."""
        return self._latest.get(self.topic, self.tree, least)

    # --- what the project calls -----------------------------------------------------------------------

    def begin_epoch(self, epoch: str) -> None:
        """Begin a new epoch with its first event."""
        self._begin(epoch, 0)
        self.fresh.append(Fresh(epoch, opens=True, records=[]))

    def end_epoch(self, record: Record) -> None:
        """End the epoch with the ``project_deleted`` event, which every reader gets."""
        self._give(record, record.body, NO_CHANGE)
        self._begin("", 0)

    def catch_up(self, missed: Difference) -> None:
        """Follow what changed in the project while this was made; it has no readers yet."""
        full = self._project.tree
        change = Change(tuple(missed.removed), dict(missed.nodes), missed.top)
        found = self.branch.follow(full, change) if self.branch.touched(change) else NO_CHANGE
        if found is not NO_CHANGE:
            self.tree.apply(found)
        self._at(full.head)

    def _at(self, head: int) -> None:
        """Begin to answer from here on."""
        self.tree.head = self.tree.floor = head
        self.log = BranchLog(self.epoch, head)
        self.shown = ConflatedEvents(head)

    def trimmed(self, floor: int) -> None:
        """Note that the store has deleted the events up to `floor`."""
        self.tree.forget(floor)

    def apply(self, record: Record, change: Change, new: Sequence[str]) -> None:
        """Follow an event of the project, after its tree. `new`: the nodes that it created there."""
        branch = self.branch
        if change is NO_CHANGE:
            if record.node_id in branch and not is_reduced(record.type):
                self._give(record, record.body, NO_CHANGE)
            return
        if record.type == "project_deleted" or not branch.touched(change):
            return
        found = branch.follow(self._project.tree, change)
        if found is not NO_CHANGE:
            passes = record.type in _ABOUT_A_NODE and self._passes(record, found, new)
            self._give(record, record.body if passes else b"", found)

    def _passes(self, record: Record, change: Change, new: Sequence[str]) -> bool:
        """Return whether the event does the same in a reader's tree, and names no other node."""
        node_id = record.node_id
        if node_id is None or change.removed:
            return False
        if record.type.startswith("prompt"):
            return not change.put and node_id in self.branch
        if change.top or list(change.put) != [node_id]:
            return False
        if node_id not in self.branch.tree.nodes and node_id not in new:
            return False  # it comes from elsewhere in the project, with all that it has
        return record.type != "node_update" or not self.branch.conceals(_changes(record), node_id)

    def _give(self, record: Record, body: bytes, change: Change) -> None:
        """Put an event into the log, for readers to get."""
        tree, after = self.tree, self.tree.head
        given = BranchRecord(
            record.seq,
            record.type,
            record.node_id,
            record.received,
            body,
            after=after,
            change=NO_CHANGE if body else change,
            lost={} if body else _lost(tree, change),
        )
        tree.head = record.seq - 1
        tree.advance(change)
        self.log.append(given)
        if body:
            self.shown.note(given)
        if not self.fresh or self.fresh[-1].epoch != self.epoch:
            self.fresh.append(Fresh(self.epoch, opens=False, records=[]))
        self.fresh[-1].records.append(given)
        if len(change.put) + len(change.removed) > MOST_MOVED:
            self.fresh[-1].large = True
            self.log.forget()

    def past(self, record: Record) -> Record | None:
        """Return a stored event as readers of the branch get it; None if it is not of a node that is in the
        branch now.
        """
        if record.node_id not in self.branch:
            return None
        if record.type == "node_update":
            return self._shown_update(record)
        return None if is_reduced(record.type) and record.type not in _ABOUT_A_NODE else record

    def _shown_update(self, record: Record) -> Record:
        event = decode_body(record.body)
        changes = event.data.get("changes")
        if type(changes) is not dict or record.node_id is None:
            return record
        found = self.branch.without_others(record.node_id, changes)
        if found is changes:
            return record
        return evolve(record, body=encode_shown(evolve(event, data={**event.data, "changes": found})))

    def take_fresh(self) -> list[Fresh]:
        """Take what was applied since the last call, an epoch at a time."""
        fresh, self.fresh = self.fresh, []
        if fresh and fresh[-1].opens and not fresh[-1].records:
            self.fresh.append(fresh.pop())  # the next event of the epoch announces it
        return [one for one in fresh if one.records]


def _lost(tree: Tree, change: Change) -> dict[str, tuple[str, ...]]:
    """By node the fields that a change takes from it."""
    found = {}
    for node_id, node in change.put.items():
        lost = tuple(name for name in tree.fields(node_id) if name not in node.fields)
        if lost:
            found[node_id] = lost
    return found


def _changes(record: Record) -> Json:
    found: Json = decode_body(record.body).data["changes"]
    return found
