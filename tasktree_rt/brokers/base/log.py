"""Logs: a project's events in order, appended once and read from any position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from tasktree_rt.brokers.base.following import Foreign
from tasktree_rt.brokers.base.interactions import Interaction, Settled
from tasktree_rt.brokers.base.publish_ids import Conflict, Duplicate, Key
from tasktree_rt.brokers.base.states import Checkpoint
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.value_class import fixed


@fixed
class Draft:
    """An event to append; `Record` explains the fields."""

    type: str
    node_id: str | None
    body: bytes


@fixed
class Append:
    """Events of one topic (a project, or a user), kept all or none.

    Attributes:
        drafts: at least one.
        received: time of receipt in microseconds since the Unix epoch; the broker raises it to the
            newest one of the project, over all its lives, so that it never decreases there.
        ends: the last draft is ``project_deleted``: the life ends with it.
        state, nodes, about: what the project's summary says after these events: state, number of nodes, the
            rest.
        key, digest: idempotency; without a key the broker records no id.
        new_epoch: names the life that begins with these events, should there be none.
        opens, settles: prompts and commands that they open and settle, in the same transaction.
        owner: the subject that a life counts for which begins with these events, opaque; "" is none.
        seen: the position that the hub had applied when it accepted these events. This and what follows only
            count in a store that several hubs share.
        conditional: keep these events only if no other hub has appended anything after `seen`.
        once: keep them only if none of `opens` is known, and none of `settles` is settled.
        joined: keep them only if those before them in the batch are kept.
    """

    project_id: str
    drafts: Sequence[Draft]
    received: int
    new_epoch: str
    ends: bool = False
    state: str | None = None
    nodes: int = 0
    key: Key | None = None
    digest: bytes = b""
    opens: Sequence[Interaction] = ()
    settles: Sequence[Settled] = ()
    about: bytes = b""
    owner: str = ""
    seen: Position | None = None
    conditional: bool = False
    once: bool = False
    joined: bool = False


@fixed
class Appended:
    """Kept durably, at `first`, `first` + 1, … of life `epoch`, with this time of receipt.

    `missed` are the records of that life between `Append.seen` and `first` that other hubs appended; this
    hub's own may be among them. None if there are none.
    """

    epoch: str
    first: int
    received: int
    missed: Foreign | None = None


@fixed
class Moved:
    """Not kept: other hubs have appended, or opened or settled a prompt or command (`Append.conditional`,
    `Append.once`).

    Attributes:
        missed: the records after `Append.seen`; None if they cannot be given, or there are none.
        settled: by id the outcome of each of `Append.settles` that is settled.
    """

    missed: Foreign | None
    settled: Mapping[str, bytes]


Outcome = Appended | Duplicate | Conflict | Moved


@frozen
class Death:
    """How a project's last ended life ended: with this ``project_deleted`` record."""

    epoch: str
    record: Record


@frozen
class Life:
    """What the hub needs to know of a project that it loads.

    Attributes:
        epoch: "" if the project has no log now.
        head, floor: `head` 0 and `floor` 0 then; events floor+1 … head can be read.
        received: time of receipt of the newest event ever, over all lives.
        checkpoint: the newest one.
        tail: every event after the checkpoint (after 0 without one).
        death: the end of the newest ended life, if there was one.
        owner: of the `Append` that it began with; "" if the project has no log now.
        bytes: of the bodies of events floor+1 … head.
    """

    epoch: str
    head: int
    floor: int
    received: int
    checkpoint: Checkpoint | None
    tail: tuple[Record, ...]
    death: Death | None
    owner: str = ""
    bytes: int = field(default=0, eq=False)


class Log(Protocol):
    """The store of events, a log for each project and user."""

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch`, in order, in one durable transaction. Returns one outcome each.

        A `Duplicate` or `Conflict` concerns its own entry only. Within one batch too: the second of
        two entries with one key is the duplicate. In a store that several hubs share a batch may be kept in
        part: `Moved` concerns an entry and those joined to it; those of one project are kept in order.

        Raises:
            StoreUnavailable: nothing of the batch was kept.
        """

    async def load(self, project_id: str) -> Life:
        """Return the project's present life."""

    async def read(
        self,
        project_id: str,
        since: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Return at most `limit` events after `since`, about `max_bytes` of them but at least one if there is
        any. Filters: events of one type, of one node.

        ``":0"`` is the beginning of the present life, and gives an empty `Recovered` if there is none. With a
        filter the broker may have to look through the whole log; it does so in slices.
        """

    async def read_back(
        self,
        project_id: str,
        before: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Return the newest events up to and including the one at `before`, the oldest first: at most
        `limit`, about `max_bytes` but at least one if there is any. Filters as in `read`.

        Events that `Broker.trim` deleted are left out. A `Gap` is only another life, or a position beyond the
        head.
        """
