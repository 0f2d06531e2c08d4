"""Encode the events of a branch: each is one unit of the wire, which a reader gets whole or not at all.

An event that passes goes out as it is, behind a ``conflated`` message that moves the reader over what is not
of the branch. Any other change is one ``conflated`` message, in a language without it a ``node_update`` for
each node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasktree_rt.core.branch_log import BranchRecord
from tasktree_rt.core.events import Json, Record, micros_to_time
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Conflated
from tasktree_rt.core.topics import project_of
from tasktree_rt.dialects.base import Dialect, Encoding, encode_json, join


def encode_branch(dialect: Dialect, topic: str, records: Iterable[Record], epoch: str) -> Encoding:
    """Encode the events of a branch for the wire."""
    return join(b"".join(_unit(dialect, topic, record, epoch)) for record in records)


def _unit(dialect: Dialect, topic: str, record: Record, epoch: str) -> Iterator[bytes]:
    if not isinstance(record, BranchRecord) or record.type == "project_deleted":
        yield dialect.encode_events((record,), epoch).data
        return
    if record.passes:
        if record.seq > record.after + 1:
            skip = Conflated(topic, record.after, Position(epoch, record.seq - 1), [], [], {}, ())
            yield dialect.encode(skip) or b""
        yield dialect.encode_events((record,), epoch).data
        return
    change = record.change
    removed, nodes = list(change.removed), list(change.put.items())
    found = dialect.encode(
        Conflated(topic, record.after, Position(epoch, record.seq), removed, nodes, change.top, ())
    )
    if found is None:
        found = dialect.encode_events(tuple(_updates(topic, record)), epoch).data
    yield found


def _updates(topic: str, record: BranchRecord) -> Iterator[Record]:
    """The change of a record as events that do the same, all at its position."""
    for node_id in record.change.removed:
        yield _update(topic, record, node_id, {"deleted": True})
    for node_id, node in record.change.put.items():
        lost = dict.fromkeys(record.lost.get(node_id, ()))
        yield _update(topic, record, node_id, {**lost, **node.fields})


def _update(topic: str, record: Record, node_id: str, changes: Json) -> Record:
    body = {
        "type": "node_update",
        "project_id": project_of(topic),
        "data": {"node_id": node_id, "changes": changes},
        "timestamp": micros_to_time(record.received),
    }
    return Record(record.seq, "node_update", node_id, record.received, encode_json(body))
