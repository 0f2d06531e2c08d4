"""New events of one project on their way to its watchers, encoded once for each language in use."""

from __future__ import annotations

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Subscribed
from tasktree_rt.dialects.base import Dialect, Encoding


class Batch:
    """What one tick brings a project's watchers, in one life of its log.

    `opens`: the life begins here; where the dialect has a word for that, it comes before the events.
    `ends`: the last record is ``project_deleted``.
    """

    __slots__ = ("_encodings", "ends", "epoch", "opens", "project_id", "records")

    def __init__(
        self,
        project_id: str,
        epoch: str,
        records: tuple[Record, ...],
        *,
        opens: bool = False,
    ) -> None:
        self.project_id = project_id
        self.epoch = epoch
        self.records = records
        self.opens = opens
        self.ends = records[-1].type == "project_deleted"
        self._encodings: dict[str, Encoding] = {}

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(len(record.body) for record in self.records)

    @property
    def opening(self) -> Subscribed:
        """What watchers are told when a new life begins."""
        return Subscribed(self.project_id, Position(self.epoch, 0), None)

    def encoding(self, dialect: Dialect) -> Encoding:
        """The batch finished for the wire, made at the first call for each dialect."""
        found = self._encodings.get(dialect.name)
        if found is None:
            found = dialect.encode_events(self.records, self.epoch)
            opening = dialect.encode(self.opening) if self.opens else None
            if opening is not None:
                ends = (len(opening), *(end + len(opening) for end in found.ends))
                found = Encoding(opening + found.data, ends)
            self._encodings[dialect.name] = found
        return found

    def only_last(self, dialect: Dialect) -> Encoding:
        """The last message alone."""
        encoding = self.encoding(dialect)
        data = encoding.data[encoding.ends[-2] :] if len(encoding.ends) > 1 else encoding.data
        return Encoding(data, (len(data),))

    def before(self, start: int, messages: int) -> tuple[int, bool]:
        """Where a watcher stands who has the messages before the `start`-th of `messages`: the seq, and
        whether the word that a life begins is still to be said."""
        extra = messages - len(self.records)
        return self.records[0].seq - 1 + max(0, start - extra), start < extra
