"""A project's stored bytes made into trees, in slices; what cannot be made sense of is damage.

A checkpoint's parts are JSON, opaque to the broker: the first holds the top-level fields, the others nodes as
``[[id, fields], ...]``, about 32 KiB each. An event's body is the event as watchers get it, without position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tasktree_rt.core.events import Record
from tasktree_rt.core.nodes import Change, Node, Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.dialects.base import decode_body, decode_json, encode_json, measure
from tasktree_rt.errors import StoreDamaged
from tasktree_rt.hub.pace import breathe
from tasktree_rt.hub.project import PART_BYTES

SLICE: Final = 16
"""Nodes or events between two yields to the loop, about a quarter of a millisecond."""
MAX_CAUSE: Final = 120
_SHAPES: Final[dict[str, type]] = {"project": dict, "prompts": list}
"""Top-level fields that everything else relies on."""


async def encode_parts(snapshot: Snapshot) -> tuple[bytes, ...]:
    """A state as a checkpoint's parts; yields to the loop between them."""
    parts = [encode_json(snapshot.top)]
    part: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for node_id, node in snapshot:
        part.append((node_id, node.fields))
        size += node.bound
        if size >= PART_BYTES:
            parts.append(encode_json(part))
            part, size = [], 0
            await breathe()
    if part:
        parts.append(encode_json(part))
    return tuple(parts)


async def fill(topic: str, parts: Sequence[bytes], *trees: Nodes) -> None:
    """Load a state's parts into empty trees, yielding to the loop all the time.

    Raises:
        StoreDamaged: they are not what `encode_parts` made.
    """
    if not parts:
        raise StoreDamaged(topic, "a stored state has no parts")
    for index, part in enumerate(parts):
        value = _part(topic, index, part)
        await breathe()
        if index == 0:
            for tree in trees:
                tree.load((), value)
            continue
        for start in range(0, len(value), SLICE):
            nodes = _nodes(topic, index, value[start : start + SLICE])
            for tree in trees:
                tree.load(nodes, {})
            await breathe()


async def check_state(topic: str, parts: Sequence[bytes]) -> None:
    """Look whether a stored state can be read.

    Raises:
        StoreDamaged: it cannot.
    """
    await fill(topic, parts)


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


def _nodes(topic: str, index: int, value: Sequence[Any]) -> list[tuple[str, Node]]:
    try:
        return [(one, _node(one, fields)) for one, fields in value]
    except Exception as error:
        raise _damaged(topic, f"part {index + 1} of a stored state", error) from error


def _node(node_id: str, fields: dict[str, Any]) -> Node:
    if type(node_id) is not str or type(fields) is not dict:
        raise TypeError("expected an id and an object")
    size = measure(fields) + len(node_id) + 32
    return Node(fields, size, size)


def change(topic: str, tree: Nodes, record: Record) -> Change:
    """What a stored event changes in `tree`.

    Raises:
        StoreDamaged: it cannot be read.
    """
    try:
        return reduce(tree, decode_body(record.body), len(record.body), measure)
    except Exception as error:
        raise _damaged(topic, f"event {record.seq}", error) from error


async def check_events(topic: str, records: Iterable[Record]) -> None:
    """Look whether stored events can be sent on, yielding to the loop all the time.

    Raises:
        StoreDamaged: one cannot be read.
    """
    for index, record in enumerate(records, 1):
        try:
            decode_body(record.body)
        except Exception as error:
            raise _damaged(topic, f"event {record.seq}", error) from error
        if index % SLICE == 0:
            await breathe()


def _damaged(topic: str, what: str, error: Exception) -> StoreDamaged:
    why = f"{type(error).__name__}: {error}"
    return StoreDamaged(topic, f"{what} cannot be read ({why[:MAX_CAUSE]})")
