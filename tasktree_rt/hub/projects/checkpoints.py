"""Encode trees into checkpoints and read them back, in slices.

A checkpoint's parts are JSON, opaque to the broker: the first holds the top-level fields, the others nodes as
``[[id, fields], ...]``, about 32 KiB each. An event's body is the event as watchers get it, without position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tasktree_rt.brokers.base import Broker, Checkpoint
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position
from tasktree_rt.core.nodes import Change, Node, Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Snapshot, Tree
from tasktree_rt.dialects.base import decode_body, decode_json, encode_whole, measure
from tasktree_rt.errors import StoreDamaged
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.large_values import WHOLE, LargeValues
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.shared_snapshot import PART_BYTES

READ: Final = 512
"""Events in one read from the store."""
SLICE: Final = 64
"""Nodes or events between two yields to the loop, a quarter of a millisecond at most. A turn of an idle loop
takes about as long as ten of them."""
MAX_CAUSE: Final = 120
_SHAPES: Final[dict[str, type]] = {"project": dict, "prompts": list}
"""Types of the top-level fields that other code relies on."""


class Checkpoints:
    """Save a project's state in the store, and read its past states."""

    def __init__(self, broker: Broker, large: LargeValues) -> None:
        self._broker = broker
        self._large = large

    async def save(self, project: Project) -> None:
        """Save a project's current state as a checkpoint, encoded in slices."""
        snapshot, size = project.tree.snapshot(), project.bytes_since_checkpoint
        parts = await encode_parts(snapshot)
        await self._broker.save_checkpoint(
            project.project_id, Checkpoint(snapshot.epoch, snapshot.seq, parts)
        )
        if project.epoch == snapshot.epoch:
            project.checkpointed = snapshot.seq
            project.bytes_since_checkpoint -= size

    async def state_at(self, project_id: str, position: Position) -> Snapshot | None:
        """Return the state at `position`; None if the store no longer has it."""
        checkpoint = await self._broker.checkpoint_at(project_id, position)
        tree = Tree(position.epoch, checkpoint.seq if checkpoint else 0)
        if checkpoint is not None:
            await fill(project_id, checkpoint.parts, tree, large=self._large)
        while tree.head < position.seq:
            found = await self._broker.read(project_id, Position(position.epoch, tree.head), limit=READ)
            if isinstance(found, Gap) or not found.records:
                return None
            for record in found.records[: position.seq - tree.head]:
                tree.advance(change(project_id, tree, record, self._large)[1])
                if tree.head % SLICE == 0:
                    await yield_if_due()
        return tree.snapshot()


async def encode_parts(snapshot: Snapshot) -> tuple[bytes, ...]:
    """Encode a state as a checkpoint's parts; yield to the loop between them."""
    parts = [encode_whole(snapshot.top)]
    part: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for node_id, node in snapshot:
        part.append((node_id, node.fields))
        size += node.bound
        if size >= PART_BYTES:
            parts.append(encode_whole(part))
            part, size = [], 0
            await yield_if_due()
    if part:
        parts.append(encode_whole(part))
    return tuple(parts)


async def fill(topic: str, parts: Iterable[bytes], tree: Nodes, *, large: LargeValues = WHOLE) -> None:
    """Load a state's parts into an empty tree, yielding to the loop all the time.

    The tree holds values that `large` cuts as `LargeValue`.

    Raises:
        StoreDamaged: `encode_parts` did not make these parts.
    """
    index = -1
    for index, part in enumerate(parts):
        value = _part(topic, index, part)
        await yield_if_due()
        if index == 0:
            tree.load((), value)
            continue
        for start in range(0, len(value), SLICE):
            tree.load(_nodes(topic, index, value[start : start + SLICE], large), {})
            await yield_if_due()
    if index < 0:
        raise StoreDamaged(topic, "a stored state has no parts")


async def check_state(topic: str, parts: Sequence[bytes]) -> None:
    """Check that a stored state can be read.

    Raises:
        StoreDamaged: it cannot.
    """
    await fill(topic, parts, Nodes())


def _part(topic: str, index: int, part: bytes) -> Any:  # noqa: ANN401 (a decode edge)
    try:
        value = decode_json(part, ours=True)
    except Exception as error:
        raise _damaged(topic, f"part {index + 1} of a stored state", error) from error
    fits = type(value) is (list if index else dict)
    if fits and not index:
        fits = all(type(value[name]) is kind for name, kind in _SHAPES.items() if name in value)
    if not fits:
        raise StoreDamaged(topic, f"part {index + 1} of a stored state is none")
    return value


def _nodes(topic: str, index: int, value: Sequence[Any], large: LargeValues) -> list[tuple[str, Node]]:
    try:
        return [(one, _node(one, fields, large)) for one, fields in value]
    except Exception as error:
        raise _damaged(topic, f"part {index + 1} of a stored state", error) from error


def _node(node_id: str, fields: dict[str, Any], large: LargeValues) -> Node:
    if type(node_id) is not str or type(fields) is not dict:
        raise TypeError("expected an id and an object")
    size = measure(fields) + len(node_id) + 32
    return Node(large.fields(fields) if size > large.most else fields, size, size)


def change(topic: str, tree: Nodes, record: Record, large: LargeValues = WHOLE) -> tuple[Record, Change]:
    """Return a stored event as watchers get it, and what it changes in `tree`.

    Raises:
        StoreDamaged: it cannot be read.
    """
    try:
        shown, event = large.stored(record)
        return shown, reduce(tree, event, len(record.body), measure)
    except Exception as error:
        raise _damaged(topic, f"event {record.seq}", error) from error


async def check_events(topic: str, records: Iterable[Record]) -> None:
    """Check that stored events can be sent, in slices.

    Raises:
        StoreDamaged: one cannot be read.
    """
    for index, record in enumerate(records, 1):
        try:
            decode_body(record.body)
        except Exception as error:
            raise _damaged(topic, f"event {record.seq}", error) from error
        if index % SLICE == 0:
            await yield_if_due()


def _damaged(topic: str, what: str, error: Exception) -> StoreDamaged:
    why = f"{type(error).__name__}: {error}"
    return StoreDamaged(topic, f"{what} cannot be read ({why[:MAX_CAUSE]})")
