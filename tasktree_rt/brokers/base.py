"""What the hub asks of a store. The docstrings are the contract; ``tests/brokers/contract.py`` holds every
broker to it.

A broker keeps, per project, one *life*: an epoch, a head, a log of records, checkpoints. Bodies and
checkpoint parts are bytes it never looks into. All methods are called from one Trio task tree; a
broker makes itself safe against its own threads. Cancelling a call may or may not have done what it
was for, except `append`, which is not cancellable once begun.

Every method raises `StoreUnavailable` for a passing fault (disk full, I/O error, locked). After one
the broker must work again, by itself, as soon as the cause is gone. Where it says `lasting` (the file is
gone, its pages are damaged) nothing is kept any more until the broker is opened anew; reading may go on.

`load`, `read`, `read_back`, `checkpoint_at` and `snapshot` raise `StoreDamaged` where something of the
project is missing or cannot be read. Everything else works then, the deletion of that project too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

from attrs import frozen

from tasktree_rt.core.events import Record
from tasktree_rt.core.fixed import fixed
from tasktree_rt.core.log import Gap, Position, Recovered

KEPT_IDS: Final = 10_000
"""How many of a producer's newest publishes are known again, at least."""
KEPT_IDS_AGE: Final = 86_400_000_000
"""How long a publish is known again, at least, in microseconds."""
KEPT_DEATHS_AGE: Final = 2 * KEPT_IDS_AGE
"""How long it is known how a life ended, at least; as long as events are kept if that is longer."""


class Key(NamedTuple):
    """What makes a publish the same publish. `id` is text with its JSON kind (``5`` or ``"5"``)."""

    subject: str
    producer_id: str
    id: str

    @property
    def producer(self) -> tuple[str, str]:
        """Whose publish it is."""
        return (self.subject, self.producer_id)


@fixed
class Draft:
    """One event to be appended; see `Record`."""

    type: str
    node_id: str | None
    body: bytes


@frozen
class Matter:
    """A prompt or a command that waits to be settled, or was.

    Attributes:
        id: unique over all of them.
        kind: ``prompt`` or ``command``.
        topics: in whose logs it is told of; the first is its home.
        received: when it was opened, microseconds.
        deadline: when it settles itself, microseconds.
        digest: of what was asked; tells a repeat from another one under the same id.
        body: what was asked, opaque.
        settled, outcome: when and how; None and b"" while it is open.
        place: its place in the order of opening, given by the broker.
        owner: whose it counts as, opaque; "" is nobody's.
    """

    id: str
    kind: str
    topics: tuple[str, ...]
    received: int
    deadline: int
    digest: bytes
    body: bytes
    settled: int | None = None
    outcome: bytes = b""
    place: int = 0
    owner: str = ""


@frozen
class Settled:
    """What became of a matter, opaque."""

    id: str
    outcome: bytes


@fixed
class Append:
    """Events of one topic (a project, or a user), kept all or none.

    Attributes:
        drafts: at least one.
        received: time of receipt in microseconds since the Unix epoch; the broker raises it to the
            newest one of the project, over all its lives, so that it never decreases there.
        ends: the last draft is ``project_deleted``: the life ends with it.
        state, nodes, about: the project's state, number of nodes, and what else its summary says after these
            events, for `projects`.
        key, digest: idempotency; no key, no record.
        new_epoch: names the life that begins with these events, should there be none.
        opens, settles: what waits and what waits no more because of them, in the same transaction.
        owner: whose a life counts as that begins with these events, opaque; "" is nobody's.
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
    opens: Sequence[Matter] = ()
    settles: Sequence[Settled] = ()
    about: bytes = b""
    owner: str = ""


@fixed
class Appended:
    """Kept durably, at `first`, `first` + 1, … of life `epoch`, with this time of receipt."""

    epoch: str
    first: int
    received: int


@fixed
class Duplicate:
    """The key is known and the digest the same: what the first one got. Nothing was stored."""

    project_id: str
    epoch: str
    first: int
    count: int


@frozen
class Conflict:
    """The key is known with another digest. Nothing was stored."""


Outcome = Appended | Duplicate | Conflict


@frozen
class Checkpoint:
    """A project's state at a position, as opaque parts in order.

    The parts must not repeat the epoch: a store restored from a backup hands them out under a new one.
    """

    epoch: str
    seq: int
    parts: tuple[bytes, ...]


@frozen
class Death:
    """How a project's last ended life ended: with this ``project_deleted`` record."""

    epoch: str
    record: Record


@frozen
class Life:
    """What there is to know of one project when the hub first uses it.

    Attributes:
        epoch: "" if the project has no log now.
        head, floor: `head` 0 and `floor` 0 then; events floor+1 … head can be read.
        received: time of receipt of the newest event ever, over all lives.
        checkpoint: the newest one.
        tail: every event after the checkpoint (after 0 without one).
        death: the end of the newest ended life, if there was one.
        owner: of the `Append` that it began with; "" if the project has no log now.
    """

    epoch: str
    head: int
    floor: int
    received: int
    checkpoint: Checkpoint | None
    tail: tuple[Record, ...]
    death: Death | None
    owner: str = ""


@frozen
class Outline:
    """What there is to know of a project without reading its log: its life, with neither checkpoint nor tail;
    its row in the list of projects, if it has a log; and the seq of its newest event, which is the head
    unless that is what is damaged."""

    life: Life
    summary: Summary | None
    newest: int


@frozen
class Salvaged:
    """What is left of a stretch of a log: records in order, as far as `reached`. What is not among them is
    lost."""

    records: tuple[Record, ...]
    reached: int


@frozen
class Summary:
    """One row of the list of projects; `received` is the newest event's time in microseconds.

    `about` is that of the newest `Append`, opaque; b"" where it said nothing. `damaged` is the hub's to set.
    """

    project_id: str
    epoch: str
    seq: int
    state: str | None
    nodes: int
    received: int
    about: bytes = b""
    damaged: bool = False


@frozen
class Snapshot:
    """A named copy of a state, kept until it or its project is deleted. `created` in microseconds; `owner` is
    whose it counts as, opaque; "" is nobody's."""

    snapshot_id: str
    project_id: str
    name: str
    epoch: str
    seq: int
    created: int
    owner: str = ""


@frozen
class Retention:
    """How much of a log is kept: at most so many events, none older than so many seconds."""

    max_events: int
    max_age: float


class Broker(Protocol):
    """A store of logs. See the module's docstring for what holds of every method."""

    @property
    def name(self) -> str:
        """For people: ``sqlite:/path`` or ``memory:``."""

    @property
    def durable(self) -> bool:
        """Whether an `Appended` survives the death of the process."""

    async def open(self) -> None:
        """Make ready. Called once, before anything else.

        Raises:
            StoreUnusable: foreign, newer, corrupt, not writable, or open in another hub.
        """

    async def aclose(self) -> None:
        """Finish what was begun and let go of everything. May be called twice."""

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch`, in order, in one durable transaction; one outcome each.

        A `Duplicate` or `Conflict` concerns its own entry only. Within one batch too: the second of
        two entries with one key is the duplicate.

        Raises:
            StoreUnavailable: nothing of the batch was kept.
        """

    async def load(self, project_id: str) -> Life:
        """The project's life as it stands."""

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
        """At most `limit` events after `since`, at most about `max_bytes` of them but at least one if
        there is any; only those of a type or a node if asked. ``":0"`` is the beginning of whatever
        life there is, and an empty `Recovered` if there is none. With a filter the whole log may have
        to be looked through; that is done in slices.
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
        """The newest of the events up to and including the one at `before`: at most `limit`, and about
        `max_bytes`, of them but at least one if there is any, the oldest first; filtered as `read`. What
        trimming took is merely not there: a `Gap` is only another life, or a position beyond the head.
        """

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """The `Key.id`s known of a producer, oldest first."""

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """What a publish with this key would get now; None if it would be new."""

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; whole or not at all. Ignored if that life is over. Does not hold up appends.

        One at the same position again replaces it.
        """

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """The newest checkpoint at or before `position` of that life."""

    async def trim(
        self, retention: Retention, now: int, *, spared: Collection[str] = ()
    ) -> dict[str, Position]:
        """Drop events that retention no longer wants, up to the newest checkpoint that none of the wanted
        ones precedes, so that the state at every position left can be told; with them the checkpoints
        before that one, idempotency records that nobody can need (older than 24 h or beyond a
        producer's newest 10,000), matters settled longer ago than events are kept or, of one owner, beyond as
        many newest as events of a project are, and what is left of
        ended lives; how they ended too, after `KEPT_DEATHS_AGE`. In small steps; `now` in
        microseconds. Logs of the projects `spared` are left as they are. Returns the new floors of the
        projects that lost events.
        """

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """At most `limit` projects whose newest event was received before `before` (microseconds) and is
        not covered by a checkpoint: what `trim` cannot do for them until somebody writes one.
        """

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Projects with a log, by id, after one; users' logs are not among them."""

    async def count_projects(self) -> int:
        """How many projects have a log."""

    async def owned(self) -> dict[tuple[str, bool], int]:
        """How many logs there are of each owner: of users (True) and of projects (False)."""

    async def matter(self, matter_id: str) -> Matter | None:
        """A prompt or a command, open or settled; those settled are kept as events are, see `trim`."""

    async def matters(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Matter]:
        """Matters after a place, in order; only the open or the settled ones, of a kind, told of in a
        topic, if asked.
        """

    async def outline(self, project_id: str) -> Outline:
        """A project as it stands, whatever of its log can be read."""

    async def checkpoints(self, project_id: str) -> list[int]:
        """The seqs of a project's checkpoints, the newest first."""

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Whatever can be read of the events after seq `after`, at most `limit`, up to `Outline.newest`.

        There is nothing more once `reached` is the newest, or 0 without a log.
        """

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Let a damaged life go on under `new_epoch`, from the checkpoint at `at` (seq 0: from nothing).

        The events up to it and all other checkpoints go, the events after it stay, up to the newest.
        `settles` are those of its matters that cannot be read. False if that life is over.
        """

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot; the same snapshot_id of that project again replaces it. Ignored if the
        life it is of is over.
        """

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """A project's snapshots, oldest first; those of all projects, in no order, for None."""

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """One of them with its parts."""

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Forget one of them; whether there was one. What it took of the store's room `trim` frees."""

    async def probe(self) -> None:
        """Raise `StoreUnavailable` if an append would (checked by really writing, cheaply)."""

    async def verify(self) -> None:
        """Raise `StoreUnavailable` if the next to open the store would not find what was kept, as far as that
        can be told without writing; cheap enough for once a second.
        """
