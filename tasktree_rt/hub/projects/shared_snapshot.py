"""Cut a project's state into parts that all concurrent readers share."""

from __future__ import annotations

from typing import Final
from weakref import ref

from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import StatePart
from tasktree_rt.core.tree import Snapshot, Tree

PART_BYTES: Final = 32 * 1024
"""Of a state; about half a millisecond to encode or to read."""
REMEMBERED: Final = 64
"""Parts whose encodings are kept for others who read the same state."""
REMEMBERED_BYTES: Final = 2 * 1024 * 1024
"""Their bytes at most, but for the newest: a part may hold a node of `limits.max_node_size`. A snapshot lives
while it is read, so that the readers bound all encodings together, as they do their outboxes."""
FRESH_ENOUGH: Final = 500
NODES_AN_EVENT: Final = 200
"""A snapshot in use is shared with newcomers while the head is at most `FRESH_ENOUGH` events beyond it,
and at most one for so many nodes: what is cheap to take is taken anew."""


class SharedSnapshot:
    """A frozen state, cut into parts of about 32 KiB, with the newest encodings kept for others.

    How many parts there are is known at once; where one ends only when it is asked for, since to look at each
    of a hundred thousand nodes takes 20 ms. No part is larger than `PART_BYTES` by more than a node.
    """

    __slots__ = (
        "__weakref__",
        "_cuts",
        "_encoded",
        "_encoded_bytes",
        "_reached",
        "_walk",
        "parts",
        "project_id",
        "snapshot",
    )

    def __init__(self, project_id: str, snapshot: Snapshot) -> None:
        self.project_id = project_id
        self.snapshot = snapshot
        self.parts = max(1, -(-snapshot.bound // PART_BYTES))
        """At least one."""
        self._walk = iter(snapshot)
        self._cuts = [0]
        self._reached = 0
        self._encoded: dict[tuple[str, str, int], bytes | None] = {}
        self._encoded_bytes = 0

    @property
    def epoch(self) -> str:
        """The epoch of its position."""
        return self.snapshot.epoch

    @property
    def seq(self) -> int:
        """The seq of its position."""
        return self.snapshot.seq

    def part(self, index: int, reason: str) -> StatePart:
        """Return the part `index`, from 0."""
        while len(self._cuts) < index + 2:
            self._cut()
        return StatePart(
            self.project_id,
            Position(self.epoch, self.seq),
            reason,
            index + 1,
            self.parts,
            self.snapshot.top if index == 0 else None,
            self.snapshot.share(self._cuts[index], self._cuts[index + 1]),
            self,
        )

    def _cut(self) -> None:
        """Find the end of the next part: where its share of the bytes is reached."""
        number, place, reached = len(self._cuts), self._cuts[-1], self._reached
        whole = len(self.snapshot)
        target = self.snapshot.bound * number // self.parts
        while place < whole and (reached < target or number == self.parts):
            reached += next(self._walk)[1].bound
            place += 1
        self._reached = reached
        self._cuts.append(place)

    def remember(self, key: tuple[str, str, int], encoded: bytes | None) -> None:
        """Keep an encoding for the other readers of this snapshot."""
        known = self._encoded
        self._encoded_bytes += len(encoded or b"") - len(known.pop(key, None) or b"")
        known[key] = encoded
        while len(known) > REMEMBERED or (self._encoded_bytes > REMEMBERED_BYTES and len(known) > 1):
            self._encoded_bytes -= len(known.pop(next(iter(known))) or b"")

    def recall(self, key: tuple[str, str, int]) -> bytes | None:
        """Return a kept encoding, or None."""
        return self._encoded.get(key)


class LatestSnapshot:
    """The newest snapshot of one tree, as long as a reader uses it."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: ref[SharedSnapshot] | None = None

    def get(self, name: str, tree: Tree, least: int) -> SharedSnapshot:
        """Return the state to send now, not older than seq `least`. Concurrent callers share it."""
        found = self._found() if self._found is not None else None
        if found is None or not _is_fresh(found, tree, least):
            found = SharedSnapshot(name, tree.snapshot())
            self._found = ref(found)
        return found


def _is_fresh(found: SharedSnapshot, tree: Tree, least: int) -> bool:
    behind = tree.head - found.seq
    tolerable = min(FRESH_ENOUGH, len(tree) // NODES_AN_EVENT)
    return found.epoch == tree.epoch and found.seq >= least and behind <= tolerable
