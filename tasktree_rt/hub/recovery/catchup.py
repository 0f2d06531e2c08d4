"""How a watcher comes to the present: replay, whole state, or one conflated message.

A `Catchup` stands for one project of one subscriber while that project is not live there. It is a
generator in slow motion: the outbox asks it for one message at a time, whenever the socket takes bytes
and nothing else waits, and it looks at the project as it is *then*. The step that finds nothing left
makes the subscriber live again, in the same breath, so that no event can fall between.

Its three modes::

    REPLAY ── the events after a position, from memory or the store ──────────────▶ live
      └─ trimmed meanwhile ─▶ STATE (gap)
    STATE ─── the parts of one frozen snapshot ─▶ LAG (conflate) or REPLAY ───────▶ live
    LAG ───── one `Conflated` ────────────────────────────────────────────────────▶ live
      └─ too much for one message ─▶ STATE (shed)

Whenever the project's life has ended meanwhile, the watcher is told (``project_deleted``), and goes on
with the new life, if there is one, from its beginning.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered
from tasktree_rt.core.protocol import Conflated, Message, Policy, RequestId, StatePart, Subscribed
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.recovery.feed import Events, Reader, ResumePoint, Source

MAX_NODES: Final = 1_000
REPLAY_EVENTS: Final = 256
REPLAY_BYTES: Final = 256 * 1024
SMALL_REPLAY: Final = 256


class Catchup:
    """See the module's docstring.

    Attributes:
        must_fetch: `fetch` has to be awaited before the next `step`.
    """

    __slots__ = (
        "_buffer",
        "_epoch",
        "_has",
        "_opening",
        "_part",
        "_policy",
        "_project",
        "_reader",
        "_reason",
        "_seq",
        "_snapshot",
        "_source",
        "must_fetch",
        "project_id",
        "replaying",
    )

    def __init__(
        self,
        source: Source,
        reader: Reader,
        project: Project,
        position: Position,
        policy: Policy,
        *,
        opening: Subscribed | None = None,
        replay: bool = False,
        state: str | None = None,
        has: Position | None = None,
    ) -> None:
        self._source = source
        self._reader = reader
        self._project = project
        self.project_id = str(project.project_id)
        self._epoch = position.epoch
        self._seq = position.seq
        self._has = has
        self._policy = policy
        self._opening = opening
        self.replaying = replay
        self._buffer: tuple[Record, ...] = ()
        self._snapshot: SharedSnapshot | None = None
        self._part = 0
        self._reason = ""
        self.must_fetch = False
        if state is not None:
            self._take_state(state, self._seq)

    @property
    def position(self) -> Position:
        """From where it goes on."""
        return Position(self._epoch, self._seq)

    @property
    def unanswered(self) -> Subscribed | None:
        """The answer to a request, if it was not given yet."""
        return None if self._opening is None or self._opening.id is None else self._opening

    @property
    def standing(self) -> ResumePoint:
        """What the watcher has got."""
        if self._snapshot is None:
            return ResumePoint(self.position)
        return ResumePoint(self._has or self.position, self._reason)

    def step(self) -> Message | Events | None:
        """The next message; None when the subscriber has just become live, or this has to be asked again."""
        if self._opening is not None:
            opening, self._opening = self._opening, None
            return opening
        if self._epoch != self._project.epoch:
            return self._change_lives()
        if self._snapshot is not None:
            return self._state_part()
        if self._seq == self._project.tree.head:
            self._reader.went_live(self.project_id)
            return None
        return self._replay() if self.replaying else self._conflate()

    async def fetch(self) -> None:
        """Read what the next step needs from the store."""
        epoch, after = self._epoch, self._seq
        found = await self._source.read(self._project, Position(epoch, after), REPLAY_EVENTS)
        self.must_fetch = False
        if epoch == self._epoch and after == self._seq:
            if isinstance(found, Recovered) and found.records:
                # The store runs ahead of what is applied; that will come as it is.
                head = self._project.tree.head
                self._buffer = tuple(one for one in found.records if one.seq <= head)
            elif epoch == self._project.epoch:
                self._take_newer_state("gap")

    def _take_newer_state(self, reason: str) -> None:
        """Go on with the whole state, newer than what the watcher has: one that others are being sent, which
        brings it no further, would be taken again and again."""
        self._take_state(reason, self._seq + 1)

    def _take_state(self, reason: str, least: int) -> None:
        """Begin with the whole state; it is not older than seq `least`."""
        self._snapshot = self._project.snapshot(least)
        self._part = 0
        self._reason = reason

    def _state_part(self) -> StatePart:
        snapshot = self._snapshot
        assert snapshot is not None
        part = snapshot.part(self._part, self._reason)
        self._part += 1
        if self._part == snapshot.parts:
            self._snapshot = self._has = None
            self._epoch, self._seq = snapshot.epoch, snapshot.seq
            few = self._project.tree.head - self._seq <= SMALL_REPLAY
            self.replaying = self._policy is Policy.DISCONNECT or (self._policy is Policy.RESYNC and few)
            self._reader.meter.caught_up(f"state:{self._reason}")
        return part

    def _replay(self) -> Events | None:
        records, self._buffer = self._buffer, ()
        if not records:
            found = self._project.log.since(self.position, REPLAY_EVENTS)
            if isinstance(found, Gap):
                self._beyond_memory()
                return None
            records = found.records
        now = _within(records, REPLAY_BYTES)
        self._buffer = records[len(now) :]
        self._seq = now[-1].seq
        return Events(self.project_id, self._epoch, now)

    def _beyond_memory(self) -> None:
        if self._seq >= self._project.floor:
            self.must_fetch = True
        else:
            self._take_newer_state("gap")

    def _conflate(self) -> Message | None:
        project, after = self._project, self._seq
        if self._policy is Policy.RESYNC:
            self._take_newer_state("shed")
            return None
        difference = project.tree.since(after, MAX_NODES)
        shown = project.shown.since(after)
        if difference is not None and shown is not None:
            size = sum(node.bound for _, node in difference.nodes) + sum(len(one.body) for one in shown[0])
            size += sum(map(len, difference.removed)) + sum(map(len, shown[1]))
            if size < self._source.message_limit // 2:
                self._seq = project.tree.head
                self._reader.meter.caught_up("conflated")
                return Conflated(
                    self.project_id,
                    after,
                    project.position,
                    difference.removed,
                    difference.nodes,
                    difference.top,
                    shown[0],
                    shown[1],
                )
        self._take_newer_state("shed")
        return None

    def _change_lives(self) -> Message | Events | None:
        """The life this watcher knows is over: say so, then go on with the present one, if there is one.

        Its position changes with each of the two words, not before: a subscription that replaces this
        one in between must say the other.
        """
        project, death = self._project, self._project.death
        told = self._epoch or (self._has.epoch if self._has is not None else "")
        self._snapshot, self._has, self._buffer = None, None, ()
        if told != "" and death is not None:
            self._epoch, self._seq = "", 0
            return Events(self.project_id, death.epoch, (death.record,))
        self._epoch, self._seq = project.epoch, 0
        self.replaying = True
        return None if project.epoch == "" else Subscribed(self.project_id, project.position_at(0), None)


def _within(records: tuple[Record, ...], size: int) -> tuple[Record, ...]:
    total = 0
    for index, record in enumerate(records):
        total += len(record.body)
        if total > size and index:
            return records[:index]
    return records


def resumes(project: Project, since: Position, max_replay: int) -> bool:
    """Whether exactly the events after `since` can be given."""
    known = since == BEGINNING or since.epoch == project.epoch
    head = project.tree.head
    return known and project.floor <= since.seq <= head and head - since.seq <= max_replay


def resuming(
    source: Source,
    reader: Reader,
    project: Project,
    since: Position,
    policy: Policy,
    max_replay: int,
    request: RequestId = None,
) -> Catchup:
    """For a watcher that says how far it has come. Exact, or a gap and the state."""
    name = str(project.project_id)
    if resumes(project, since, max_replay):
        start = project.position_at(since.seq)
        opening = Subscribed(name, start, True, request)
        return Catchup(source, reader, project, start, policy, opening=opening, replay=True)
    opening = Subscribed(name, project.position, False, request)
    if project.epoch == "" and since.epoch != "" and project.death is not None:
        return Catchup(source, reader, project, since, policy, opening=opening, replay=True)
    return _with_state(source, reader, project, policy, "gap", opening, since)


def joining(
    source: Source,
    reader: Reader,
    project: Project,
    policy: Policy,
    *,
    state: bool,
    standing: ResumePoint | None = None,
    request: RequestId = None,
) -> Catchup:
    """For a watcher that wants what comes from now on, or goes on where it stands, or the state first."""
    name, at = str(project.project_id), project.position if standing is None else standing.position
    if state:
        opening = Subscribed(name, project.position, None, request)
        has = BEGINNING if standing is None else at
        return _with_state(source, reader, project, policy, "initial", opening, has)
    opening = Subscribed(name, at, None, request)
    if standing is not None and standing.owed is not None and project.epoch != "":
        return _with_state(source, reader, project, policy, standing.owed, opening, at)
    few = at.epoch != project.epoch or project.tree.head - at.seq <= SMALL_REPLAY
    replay = few or policy is Policy.DISCONNECT
    return Catchup(source, reader, project, at, policy, opening=opening, replay=replay)


def _with_state(
    source: Source,
    reader: Reader,
    project: Project,
    policy: Policy,
    reason: str,
    opening: Subscribed,
    has: Position,
) -> Catchup:
    """Begin with the state, for a watcher that has `has` until it has all of it."""
    least = has.seq if has.epoch == project.epoch else 0
    snapshot = project.snapshot(min(least, project.tree.head))
    at = project.position_at(snapshot.seq)
    if opening.position == project.position:
        # A snapshot that others are being sent may be some events old: the subscription stands where it does.
        opening = evolve(opening, position=at)
    return Catchup(source, reader, project, at, policy, opening=opening, state=reason, has=has)
