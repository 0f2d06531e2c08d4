"""The log of one project in memory, with its checkpoints and snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from attrs import Factory, define

from tasktree_rt.brokers.base import Append, Checkpoint, Death, Life, Retention, Snapshot, Summary
from tasktree_rt.core.events import Record


@define
class Log:
    """The log and states of one life; ``records[i]`` is event ``floor + 1 + i``."""

    epoch: str
    received: int
    owner: str = ""
    floor: int = 0
    state: str | None = None
    nodes: int = 0
    about: bytes = b""
    records: list[Record] = Factory(list)
    checkpoints: dict[int, Checkpoint] = Factory(dict)
    snapshots: dict[str, tuple[Snapshot, tuple[bytes, ...]]] = Factory(dict)

    @property
    def head(self) -> int:
        """The seq of the newest event, 0 without one."""
        return self.floor + len(self.records)

    @property
    def newest_checkpoint(self) -> int:
        """The seq of the newest checkpoint, 0 without one."""
        return self.checkpoint_before(self.head)

    def checkpoint_before(self, seq: int) -> int:
        """Return the seq of the newest checkpoint at or before `seq`, 0 without one."""
        return max((at for at in self.checkpoints if at <= seq), default=0)

    def append(self, entry: Append) -> int:
        """Append the events of `entry`; returns the seq of the first."""
        self.received = received = max(entry.received, self.received)
        self.state, self.nodes, self.about = entry.state, entry.nodes, entry.about
        first = self.head + 1
        self.records.extend(
            Record(seq, draft.type, draft.node_id, received, draft.body)
            for seq, draft in enumerate(entry.drafts, first)
        )
        return first

    def after(self, seq: int) -> Iterator[Record]:
        """Iterate over the events after `seq`."""
        return islice(self.records, max(0, seq - self.floor), None)

    def up_to(self, seq: int) -> Iterator[Record]:
        """Iterate over the events up to `seq`, the newest first."""
        return (self.records[place] for place in range(seq - self.floor - 1, -1, -1))

    def trim(self, retention: Retention, now: int) -> bool:
        """Delete what retention does not want, up to a checkpoint; False if there is nothing to delete."""
        cutoff = now - round(retention.max_age * 1_000_000)
        wanted = max(0, len(self.records) - retention.max_events)
        while wanted < len(self.records) and self.records[wanted].received < cutoff:
            wanted += 1
        floor = self.checkpoint_before(self.floor + wanted)
        if floor <= self.floor:
            return False
        del self.records[: floor - self.floor]
        self.floor = floor
        self.checkpoints = {seq: kept for seq, kept in self.checkpoints.items() if seq >= floor}
        return True

    def recover(self, seq: int, new_epoch: str) -> None:
        """Go on from the checkpoint at `seq` under another epoch."""
        kept = self.checkpoints.get(seq)
        self.checkpoints = {} if kept is None else {seq: Checkpoint(new_epoch, seq, kept.parts)}
        self.records = list(self.after(seq))
        self.floor, self.epoch = max(self.floor, seq), new_epoch

    def outline(self, death: Death | None) -> Life:
        """Describe the life, with neither checkpoint nor tail."""
        return Life(self.epoch, self.head, self.floor, self.received, None, (), death, self.owner)

    def summary(self, project_id: str) -> Summary:
        """Describe the project for the list of projects."""
        return Summary(project_id, self.epoch, self.head, self.state, self.nodes, self.received, self.about)


@define
class Wanted:
    """Bounds and filters of a read: `limit` events, about `max_bytes`; a type and a node, or any."""

    limit: int
    max_bytes: int
    type: str | None
    node_id: str | None

    def take(self, records: Iterable[Record]) -> list[Record]:
        """Take the wanted ones of `records`, in their order, until a bound is reached."""
        left = self.max_bytes
        found: list[Record] = []
        for record in records:
            if self.type not in (None, record.type) or self.node_id not in (None, record.node_id):
                continue
            left -= len(record.body)
            if len(found) >= self.limit or (found and left < 0):
                break
            found.append(record)
        return found
