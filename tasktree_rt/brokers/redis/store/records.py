"""Events as the store keeps them: an entry of a stream for each publish, its events in msgpack.

The id of an entry is ``<seq of its last event>-0``; its fields are the number of events, the time of
receipt, the bytes of the bodies, the events: arrays of type, node and body, and the hub that appended it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tasktree_rt.brokers.base import (
    Append,
    Conflict,
    Death,
    Draft,
    Duplicate,
    Foreign,
    Interaction,
    Settled,
)
from tasktree_rt.core.events import Record

_decode_records = msgspec.msgpack.Decoder(list[tuple[str, str | None, msgspec.Raw]]).decode
_decode_record = msgspec.msgpack.Decoder(tuple[str, str | None, msgspec.Raw]).decode
_decode_rest = msgspec.msgpack.Decoder(tuple[int, int, bytes, bytes]).decode
_decode_known = msgspec.msgpack.Decoder(tuple[str, str, int, int, int]).decode
_decode_topics = msgspec.msgpack.Decoder(tuple[str, ...]).decode
pack = msgspec.msgpack.encode
_STRING: Final = b"\xdb"
"""``str 32`` of the MessagePack specification."""
_HEADER: Final = 5


def binary(data: bytes) -> msgspec.Raw:
    """Return bytes as a script's msgpack knows them: as a string with a length of four bytes."""
    return msgspec.Raw(_STRING + len(data).to_bytes(4, "big") + data)


def _bytes_of(packed: msgspec.Raw) -> bytes:
    """Return the bytes that `binary` packed."""
    return bytes(packed)[_HEADER:]


def packed_entry(entry: Append) -> list[Any]:
    """Return an `Append` as ``append.lua`` reads it."""
    key = entry.key
    return [
        entry.project_id,
        entry.received,
        entry.new_epoch,
        entry.ends,
        False if entry.state is None else entry.state,
        entry.nodes,
        binary(entry.about),
        entry.owner,
        binary(b"" if key is None else producer_name(*key.producer)),
        "" if key is None else key.id,
        binary(entry.digest),
        sum(len(draft.body) for draft in entry.drafts),
        len(entry.drafts),
        binary(pack([_row(draft) for draft in entry.drafts])),
        binary(pack(_row(entry.drafts[-1])) if entry.ends else b""),
        [_packed_interaction(one) for one in entry.opens],
        packed_settlements(entry.settles),
        "" if entry.seen is None else entry.seen.epoch,
        -1 if entry.seen is None else entry.seen.seq,
        entry.conditional,
        entry.once,
    ]


def packed_units(batch: Sequence[Append]) -> list[list[Any]]:
    """Return a batch as ``append.lua`` reads it: entries that are kept all or none in one list."""
    units: list[list[Any]] = []
    for entry in batch:
        if entry.joined:
            units[-1].append(packed_entry(entry))
        else:
            units.append([packed_entry(entry)])
    return units


def producer_name(subject: str, producer_id: str) -> bytes:
    """Return the name of a producer in keys."""
    return pack((subject, producer_id))


def packed_settlements(settles: Sequence[Settled]) -> list[tuple[str, msgspec.Raw]]:
    """Return settlements as the scripts read them."""
    return [(one.id, binary(one.outcome)) for one in settles]


def _row(draft: Draft) -> tuple[str, str | None, msgspec.Raw]:
    return draft.type, draft.node_id, binary(draft.body)


def last_seq(entry: Sequence[Any]) -> int:
    """Return the seq of the last event of an entry."""
    return int(entry[0].partition(b"-")[0])


def records_of(entry: Sequence[Any]) -> Iterator[Record]:
    """Read an entry of a stream.

    Raises:
        ValueError: it is damaged.
    """
    name, fields = entry
    last, received = last_seq(entry), int(fields[3])
    rows = _decode_records(fields[7])
    if len(rows) != int(fields[1]):
        raise ValueError(f"entry {name.decode()} has {len(rows)} events, expected {int(fields[1])}")
    for seq, (kind, node_id, body) in enumerate(rows, last - len(rows) + 1):
        yield Record(seq, kind, node_id, received, _bytes_of(body))


def read_hint(topic: str, body: bytes) -> Foreign:
    """Read what ``append.lua`` tells the hubs that follow a log: the records; none if they are too large.

    Raises:
        ValueError: it is damaged.
    """
    head, _, rest = body.partition(b"\n")
    _, epoch, last, count, received, size = head.decode().split(" ")
    owner, rows = rest[: int(size)].decode(), rest[int(size) :]
    if not rows:
        return Foreign(topic, epoch, owner, ())
    entry = (b"%s-0" % last.encode(), (b"n", count, b"t", received, b"z", b"", b"r", rows))
    return Foreign(topic, epoch, owner, tuple(records_of(entry)))


def read_missed(row: Sequence[Any]) -> Foreign:
    """Read what ``append.lua`` answers of other hubs' records.

    Raises:
        ValueError: it is damaged.
    """
    topic, epoch, owner, entries = row
    records = tuple(record for entry in entries for record in records_of(entry))
    return Foreign(topic.decode(), epoch.decode(), owner.decode(), records)


def read_death(fields: Sequence[Any]) -> Death | None:
    """Read the hash of a death."""
    epoch, seq, received, row = fields
    if epoch is None:
        return None
    kind, node_id, body = _decode_record(row)
    return Death(epoch.decode(), Record(int(seq), kind, node_id, int(received), _bytes_of(body)))


def _packed_interaction(one: Interaction) -> list[Any]:
    rest = pack((one.received, one.deadline, one.digest, one.body))
    return [one.id, one.kind, list(one.topics), one.owner, one.name, binary(rest)]


def read_interaction(name: bytes, fields: Sequence[Any]) -> Interaction:
    """Read the hash of a prompt or command."""
    kind, settled, topics, owner, called, rest, place, outcome = fields
    received, deadline, digest, body = _decode_rest(rest)
    return Interaction(
        name.decode(),
        kind.decode(),
        _decode_topics(topics),
        received,
        deadline,
        digest,
        body,
        settled=None if settled is None else int(settled),
        outcome=outcome or b"",
        place=int(place),
        owner=owner.decode(),
        name=called.decode(),
    )


def read_known(row: bytes, digest: bytes) -> Duplicate | Conflict:
    """Read what is known of a publish: the length of its digest, its digest, the positions it got."""
    rest = 1 + row[0]
    if row[1:rest] != digest:
        return Conflict()
    project_id, epoch, first, count, _ = _decode_known(row[rest:])
    return Duplicate(project_id, epoch, first, count)
