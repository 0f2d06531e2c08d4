"""What a memory broker keeps: logs with their states, ids of publishes, prompts and commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from attrs import Factory, define, evolve

from tasktree_rt.brokers.base import (
    KEPT_IDS,
    KEPT_IDS_AGE,
    Append,
    Checkpoint,
    Conflict,
    Death,
    Duplicate,
    Interaction,
    Key,
    Life,
    Retention,
    Settled,
    Snapshot,
    Summary,
)
from tasktree_rt.core.events import Record

Producer = tuple[str, str]
"""Subject and id."""


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
    size: int = 0
    """Bytes of the bodies of all `records`."""
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
        self.size += sum(len(draft.body) for draft in entry.drafts)
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

    def trim(self, retention: Retention, now: int) -> int | None:
        """Delete what retention does not want, up to a checkpoint; return the bytes of its bodies, None if
        there is nothing to delete.
        """
        cutoff = now - round(retention.max_age * 1_000_000)
        wanted = max(0, len(self.records) - retention.max_events)
        while wanted < len(self.records) and self.records[wanted].received < cutoff:
            wanted += 1
        wanted = max(wanted, self._beyond(retention.max_bytes))
        floor = self.checkpoint_before(self.floor + wanted)
        if floor <= self.floor:
            return None
        size = sum(len(record.body) for record in self.records[: floor - self.floor])
        self.size -= size
        del self.records[: floor - self.floor]
        self.floor = floor
        self.checkpoints = {seq: kept for seq, kept in self.checkpoints.items() if seq >= floor}
        return size

    def _beyond(self, most: int) -> int:
        """Return how many of the oldest events have to go for the others to have at most `most` bytes."""
        left, count = self.size, 0
        while left > most:
            left -= len(self.records[count].body)
            count += 1
        return count

    def recover(self, seq: int, new_epoch: str) -> None:
        """Go on from the checkpoint at `seq` under another epoch."""
        kept = self.checkpoints.get(seq)
        self.checkpoints = {} if kept is None else {seq: Checkpoint(new_epoch, seq, kept.parts)}
        self.records = list(self.after(seq))
        self.size = sum(len(record.body) for record in self.records)
        self.floor, self.epoch = max(self.floor, seq), new_epoch

    def outline(self, death: Death | None) -> Life:
        """Describe the life, with neither checkpoint nor tail."""
        return Life(self.epoch, self.head, self.floor, self.received, None, (), death, self.owner, self.size)

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


@define
class _Published:
    """What is known of one publish."""

    digest: bytes
    first: Duplicate
    received: int


class PublishIds:
    """The known publishes of each producer, oldest first."""

    def __init__(self) -> None:
        self._published: dict[Producer, dict[str, _Published]] = {}

    def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Return the outcome of a publish with this key; None if the key is new."""
        known = self._published.get(key[:2], {}).get(key.id)
        if known is None:
            return None
        return known.first if digest == known.digest else Conflict()

    def record(self, key: Key, digest: bytes, first: Duplicate, received: int) -> None:
        """Remember a publish and what a repeat of it gets."""
        self._published.setdefault(key[:2], {})[key.id] = _Published(digest, first, received)

    def ids(self, producer: Producer) -> list[str]:
        """Return the known ids of a producer, oldest first."""
        return list(self._published.get(producer, ()))

    def all(self) -> Collection[Producer]:
        """Return all producers known now."""
        return list(self._published)

    def forget_old(self, producer: Producer, now: int) -> None:
        """Forget a producer's oldest publishes, up to the first that must be known; `now` in microseconds."""
        ids = self._published[producer]
        beyond = len(ids) - KEPT_IDS
        old: list[str] = []
        for place, (one, published) in enumerate(ids.items()):
            if place >= beyond and published.received >= now - KEPT_IDS_AGE:
                break
            old.append(one)
        for one in old:
            del ids[one]
        if not ids:
            del self._published[producer]


class Interactions:
    """Prompts and commands by id, in the order of opening."""

    def __init__(self) -> None:
        self._by_id: dict[str, Interaction] = {}
        self._places = 0

    def open(self, opens: Iterable[Interaction]) -> None:
        """Add open ones, each at the next place."""
        for one in opens:
            self._places += 1
            self._by_id[one.id] = evolve(one, place=self._places)

    def settle(self, settles: Sequence[Settled], received: int) -> None:
        """Settle those that are still open."""
        for settled in settles:
            waiting = self._by_id.get(settled.id)
            if waiting is not None and waiting.settled is None:
                self._by_id[settled.id] = evolve(waiting, settled=received, outcome=settled.outcome)

    def get(self, interaction_id: str) -> Interaction | None:
        """Return one by its id."""
        return self._by_id.get(interaction_id)

    def select(
        self,
        *,
        open: bool | None,
        kind: str | None,
        topic: str | None,
        name: str | None,
        after: int,
        before: int | None,
    ) -> Iterator[Interaction]:
        """Iterate over those after a place, or before one; filters as in
        `brokers.base.Broker.interactions`."""
        everything = self._by_id.values()
        return (
            one
            for one in (everything if before is None else reversed(everything))
            if (one.place > after if before is None else one.place < before)
            and open in (None, one.settled is None)
            and kind in (None, one.kind)
            and (topic is None or topic in one.topics)
            and name in (None, one.name)
        )

    def forget_old(self, cutoff: int) -> None:
        """Forget those settled before `cutoff` (microseconds)."""
        old = [one.id for one in self._by_id.values() if one.settled is not None and one.settled < cutoff]
        for interaction_id in old:
            del self._by_id[interaction_id]

    def forget_beyond(self, most: int) -> Iterator[None]:
        """Forget the oldest settled ones of each owner beyond `most`; yields after each that it looked at."""
        kept: Counter[str] = Counter()
        for one in list(reversed(self._by_id.values())):
            if one.settled is not None:
                kept[one.owner] += 1
                if kept[one.owner] > most:
                    self._by_id.pop(one.id, None)
            yield
