"""Cut large values out of the events and nodes that the hub holds in memory and sends.

The store has each event and each checkpoint whole. What comes from a producer or from the store passes
through here, before the hub reduces it: the tree then holds a `LargeValue`, and an event for watchers its
marker. Both reducers merge fields without looking at these values, so a tree of cut events equals the cut
tree.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from tasktree_rt.core.events import Event, Json, Record
from tasktree_rt.core.large_value import LARGE_FIELDS, LargeValue
from tasktree_rt.dialects.base import decode_body, encode_json, encode_shown

_TASKS: Final = frozenset({"task_created", "task_updated"})
"""Events whose data are a node's fields."""


class LargeValues:
    """Cuts values whose encoding is larger than `most` bytes."""

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        self.most = most

    def fields(self, fields: Json) -> Json:
        """A node's fields, with a `LargeValue` in place of each large value."""
        cut = {name: found for name in LARGE_FIELDS if (found := self._large(fields.get(name))) is not None}
        return {**fields, **cut} if cut else fields

    def events(
        self, events: Sequence[Event], sizes: Sequence[int]
    ) -> tuple[Sequence[Event], Mapping[int, bytes]]:
        """Cut the events of a publish; `sizes` are those of their encodings.

        Returns the events to reduce, and the bodies for watchers of those that are others, by index.
        """
        cut = [self._event(event, size) for event, size in zip(events, sizes, strict=True)]
        return cut, {
            index: encode_shown(one)
            for index, (one, event) in enumerate(zip(cut, events, strict=True))
            if one is not event
        }

    def stored(self, record: Record) -> tuple[Record, Event]:
        """Cut a record from the store. Returns the record for watchers, and the event to reduce."""
        event = decode_body(record.body)
        cut = self._event(event, len(record.body))
        return (record if cut is event else evolve(record, body=encode_shown(cut))), cut

    def shown(self, record: Record) -> Record:
        """A record from the store as watchers get it."""
        return record if len(record.body) <= self.most else self.stored(record)[0]

    def _event(self, event: Event, size: int) -> Event:
        if size <= self.most:
            return event
        if event.type in _TASKS:
            cut = self.fields(event.data)
            return event if cut is event.data else evolve(event, data=cut)
        changes = event.data.get("changes") if event.type == "node_update" else None
        if not isinstance(changes, dict) or (cut := self.fields(changes)) is changes:
            return event
        return evolve(event, data={**event.data, "changes": cut})

    def _large(self, value: Any) -> LargeValue | None:  # noqa: ANN401 - any JSON
        if not isinstance(value, (str, list, dict)):
            return None
        body = encode_json(value)
        return LargeValue(body) if len(body) > self.most else None


WHOLE: Final = LargeValues(sys.maxsize)
"""Cuts nothing."""
