"""Encode what a feed makes in a connection's language; a part of a shared snapshot is encoded once."""

from __future__ import annotations

from tasktree_rt.core.protocol import Message, StatePart
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.resume.feed import Events, Finished


def encoded(dialect: Dialect, message: Message | Events | Finished) -> tuple[bytes | None, int]:
    """Encode a message; returns the bytes and the number of messages; None and 0 if the dialect has no
    such message.
    """
    if isinstance(message, Finished):
        return message.data, message.count
    if isinstance(message, Events):
        encoding = dialect.encode_events(message.records, message.epoch)
        return encoding.data, len(encoding.ends)
    data = _part(dialect, message) if isinstance(message, StatePart) else dialect.encode(message)
    return data, int(data is not None)


def _part(dialect: Dialect, part: StatePart) -> bytes | None:
    origin = part.origin
    if not isinstance(origin, SharedSnapshot):
        return dialect.encode(part)
    key = (dialect.name, part.reason, part.part)
    found = origin.recall(key)
    if found is None:
        found = dialect.encode(part)
        origin.remember(key, found)
    return found
