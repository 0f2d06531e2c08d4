"""New events of one project on their way to its watchers, encoded once for each language in use."""

from __future__ import annotations

from attrs import define

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Subscribed
from tasktree_rt.core.topics import BRANCH
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.dialects.deflate import Deflated
from tasktree_rt.hub.delivery.branch_encoding import encode_branch
from tasktree_rt.hub.projects.project import Project


@define
class Run:
    """New records of one epoch of a project, in order. `opens`: the epoch begins with them."""

    project: Project
    epoch: str
    opens: bool
    records: list[Record]


class Runs:
    """The runs of one tick, in order."""

    def __init__(self) -> None:
        self.found: list[Run] = []
        self._newest: dict[str, Run] = {}

    def of(self, project: Project, epoch: str, owner: str) -> Run:
        """Return the run that the next record of `epoch` belongs to; begin the epoch if it is new."""
        opens = epoch != project.epoch
        if opens:
            project.begin_epoch(epoch, owner)
        run = self._newest.get(project.project_id)
        if run is None or run.epoch != epoch:
            run = self._newest[project.project_id] = Run(project, epoch, opens, [])
            self.found.append(run)
        return run


class Batch:
    """The new events of one project, or of a branch of one, and of one epoch in one tick.

    `opens`: the epoch begins here; a dialect that has a message for that sends it before the events.
    `ends`: the last record is ``project_deleted``. `after`: the position of a watcher that has all before it.
    """

    __slots__ = ("_encodings", "after", "ends", "epoch", "opens", "project_id", "records")

    def __init__(
        self,
        project_id: str,
        epoch: str,
        records: tuple[Record, ...],
        *,
        opens: bool = False,
        after: int | None = None,
    ) -> None:
        self.project_id = project_id
        self.epoch = epoch
        self.records = records
        self.opens = opens
        self.after = records[0].seq - 1 if after is None else after
        self.ends = records[-1].type == "project_deleted"
        self._encodings: dict[Dialect, Encoding] = {}

    @property
    def size(self) -> int:
        """Return the bytes of all bodies."""
        return sum(len(record.body) for record in self.records)

    @property
    def subscribed(self) -> Subscribed:
        """Return the message that announces the new epoch to watchers."""
        return Subscribed(self.project_id, Position(self.epoch, 0), None)

    def encoding(self, dialect: Dialect) -> Encoding:
        """Return the batch encoded for the wire; each dialect encodes it once, at its first call. It is
        compressed once too, from that encoding, when the first reader needs it; an event of a branch may be
        several messages, each compressed by itself."""
        found = self._encodings.get(dialect)
        if found is None:
            if self.project_id.startswith(BRANCH):
                found = self._begun(
                    dialect, encode_branch(dialect, self.project_id, self.records, self.epoch)
                )
            elif isinstance(dialect, Deflated):
                found = dialect.compress(self.encoding(dialect.plain))
            else:
                found = self._begun(dialect, dialect.encode_events(self.records, self.epoch))
            self._encodings[dialect] = found
        return found

    def _begun(self, dialect: Dialect, found: Encoding) -> Encoding:
        """Return the encoding of the events with what comes before them."""
        subscribed = dialect.encode(self.subscribed) if self.opens else None
        if subscribed is None:
            return found
        ends = (len(subscribed), *(end + len(subscribed) for end in found.ends))
        return Encoding(subscribed + found.data, ends)

    def only_last(self, dialect: Dialect) -> Encoding:
        """Return the encoding of the last message alone."""
        encoding = self.encoding(dialect)
        data = encoding.data[encoding.ends[-2] :] if len(encoding.ends) > 1 else encoding.data
        return Encoding(data, (len(data),))

    def before(self, start: int, messages: int) -> tuple[int, bool]:
        """Return the seq of a watcher that has the messages before number `start` of `messages`, and whether
        the begin of the epoch is not announced to it yet."""
        extra = messages - len(self.records)
        has = start - extra
        return self.records[has - 1].seq if has > 0 else self.after, start < extra
