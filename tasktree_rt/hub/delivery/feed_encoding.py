"""Encode what a feed makes in a connection's language; a part of a shared snapshot is encoded once, and
compressed once."""

from __future__ import annotations

from tasktree_rt.core.protocol import Message, StatePart
from tasktree_rt.core.topics import BRANCH
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.dialects.deflate import Deflated, wire_name
from tasktree_rt.hub.delivery.branch_encoding import encode_branch
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.resume.feed import Events, Finished


def encoded(dialect: Dialect, message: Message | Events | Finished) -> tuple[bytes | None, int]:
    """Encode a message; returns the bytes and the number of messages; None and 0 if the dialect has no
    such message.
    """
    if isinstance(message, (Finished, Events)):
        encoding = _finished(dialect, message)
        return encoding.data, len(encoding.ends)
    data = _part(dialect, message) if isinstance(message, StatePart) else dialect.encode(message)
    return data, int(data is not None)


def _finished(dialect: Dialect, message: Finished | Events) -> Encoding:
    if isinstance(message, Events):
        if message.project_id.startswith(BRANCH):
            return encode_branch(dialect, message.project_id, message.records, message.epoch)
        return dialect.encode_events(message.records, message.epoch)
    return dialect.compress(message.encoding) if isinstance(dialect, Deflated) else message.encoding


def _part(dialect: Dialect, part: StatePart) -> bytes | None:
    origin = part.origin
    if not isinstance(origin, SharedSnapshot):
        return dialect.encode(part)
    key = (wire_name(dialect), part.reason, part.part)
    found = origin.recall(key)
    if found is None:
        found = dialect.encode(part)
        origin.remember(key, found)
    return found
