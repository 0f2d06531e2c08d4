"""Bring a watcher to the present: by replay, by the whole state, or by one conflated message.

A subscriber has a `Catchup` for each project that is not live for it. The writer asks the catch-up for one
message at a time, when the socket takes bytes and nothing else waits, and the catch-up makes it of the
project as it is *then*. The step that finds nothing left makes the project live in the same call, so that no
event is lost between.

Its three modes::

    REPLAY ── the events after a position, from memory or the store ──────────────▶ live
      └─ trimmed meanwhile ─▶ STATE (gap)
    STATE ─── the parts of one frozen snapshot ─▶ LAG (conflate) or REPLAY ───────▶ live
    LAG ───── one `Conflated` ────────────────────────────────────────────────────▶ live
      └─ too much for one message ─▶ STATE (shed)

When the project's epoch has ended meanwhile, the catch-up sends ``project_deleted`` and continues with the
new epoch, if there is one, from its beginning.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered
from tasktree_rt.core.protocol import Conflated, Message, Policy, RequestId, StatePart, Subscribed
from tasktree_rt.hub.access.policy import may
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.resume.feed import Events, Reader, ResumePoint, Source, Watched

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
        "_part",
        "_policy",
        "_project",
        "_reader",
        "_reason",
        "_seq",
        "_snapshot",
        "_source",
        "_subscribed",
        "must_fetch",
        "project_id",
        "replaying",
    )

    def __init__(
        self,
        source: Source,
        reader: Reader,
        project: Watched,
        position: Position,
        policy: Policy,
        *,
        subscribed: Subscribed | None = None,
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
        self._subscribed = subscribed
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
        """Return the position that the catch-up continues from."""
        return Position(self._epoch, self._seq)

    @property
    def unanswered(self) -> Subscribed | None:
        """Return the reply to a request, if it was not sent yet."""
        return None if self._subscribed is None or self._subscribed.id is None else self._subscribed

    @property
    def resume_point(self) -> ResumePoint:
        """Return what the watcher has got."""
        if self._snapshot is None:
            return ResumePoint(self.position)
        return ResumePoint(self._has or self.position, self._reason)

    def step(self) -> Message | Events | None:
        """Return the next message; None if the project became live, or the caller has to ask again."""
        if self._subscribed is not None:
            subscribed, self._subscribed = self._subscribed, None
            return subscribed
        if self._epoch != self._project.epoch:
            return self._change_epochs()
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
                # The store may be ahead of the applied head; later events come with their tick.
                head = self._project.tree.head
                self._buffer = tuple(one for one in found.records if one.seq <= head)
            elif epoch == self._project.epoch:
                self._take_newer_state("gap")

    def _take_newer_state(self, reason: str) -> None:
        """Continue with a state that is newer than the watcher's.

        A shared snapshot that brings it no further would be taken again and again.
        """
        self._take_state(reason, self._seq + 1)

    def _take_state(self, reason: str, least: int) -> None:
        """Begin with the whole state, at seq `least` or newer."""
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
        events = project.shown.since(after)
        if difference is not None and events is not None:
            size = sum(node.bound for _, node in difference.nodes) + sum(len(one.body) for one in events[0])
            size += sum(map(len, difference.removed)) + sum(map(len, events[1]))
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
                    events[0],
                    events[1],
                )
        self._take_newer_state("shed")
        return None

    def _change_epochs(self) -> Message | Events | None:
        """End the epoch that the watcher knows, then continue with the present one, if there is one.

        The position changes with each of the two messages, not before: a subscription that replaces this one
        in between must send the other message.
        """
        project, tombstone = self._project, self._project.death
        known_epoch = self._epoch or (self._has.epoch if self._has is not None else "")
        self._snapshot, self._has, self._buffer = None, None, ()
        if known_epoch != "" and tombstone is not None:
            self._epoch, self._seq = "", 0
            return Events(self.project_id, tombstone.epoch, (tombstone.record,))
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


def replayable(project: Watched, grants: Grants, max_replay: int) -> int:
    """Return how many of the newest events a reader may resume over.

    To resume is part of ``watch`` as far as the hub has the events in memory, which is what a reconnect
    needs; beyond that it reads the past (``history``).
    """
    recent = project.tree.head - project.log.floor
    return max_replay if may(grants, Verb.HISTORY, project.project_id) else min(max_replay, recent)


def resumes(project: Watched, since: Position, max_replay: int) -> bool:
    """Return whether the hub can send exactly the events after `since`."""
    known = since == BEGINNING or since.epoch == project.epoch
    head = project.tree.head
    return known and project.floor <= since.seq <= head and head - since.seq <= max_replay


def resuming(
    source: Source,
    reader: Reader,
    project: Watched,
    since: Position,
    policy: Policy,
    max_replay: int,
    request: RequestId = None,
) -> Catchup:
    """Make the catch-up of a watcher that gives its position: the exact events, or a gap and the state."""
    name = str(project.project_id)
    if resumes(project, since, max_replay):
        start = project.position_at(since.seq)
        subscribed = Subscribed(name, start, True, request)
        return Catchup(source, reader, project, start, policy, subscribed=subscribed, replay=True)
    subscribed = Subscribed(name, project.position, False, request)
    if project.epoch == "" and since.epoch != "" and project.death is not None:
        return Catchup(source, reader, project, since, policy, subscribed=subscribed, replay=True)
    return _with_state(source, reader, project, policy, "gap", subscribed, since)


def joining(
    source: Source,
    reader: Reader,
    project: Watched,
    policy: Policy,
    *,
    state: bool,
    resume_point: ResumePoint | None = None,
    request: RequestId = None,
) -> Catchup:
    """Make the catch-up of a watcher that wants new events only, or to continue, or the state first."""
    name, at = str(project.project_id), project.position if resume_point is None else resume_point.position
    if state:
        subscribed = Subscribed(name, project.position, None, request)
        has = BEGINNING if resume_point is None else at
        return _with_state(source, reader, project, policy, "initial", subscribed, has)
    subscribed = Subscribed(name, at, None, request)
    if resume_point is not None and resume_point.owed is not None and project.epoch != "":
        return _with_state(source, reader, project, policy, resume_point.owed, subscribed, at)
    few = at.epoch != project.epoch or project.tree.head - at.seq <= SMALL_REPLAY
    replay = few or policy is Policy.DISCONNECT
    return Catchup(source, reader, project, at, policy, subscribed=subscribed, replay=replay)


def _with_state(
    source: Source,
    reader: Reader,
    project: Watched,
    policy: Policy,
    reason: str,
    subscribed: Subscribed,
    has: Position,
) -> Catchup:
    """Make a catch-up that begins with the state; the watcher has `has` until it has all parts."""
    least = has.seq if has.epoch == project.epoch else 0
    snapshot = project.snapshot(min(least, project.tree.head))
    at = project.position_at(snapshot.seq)
    if subscribed.position == project.position:
        # A shared snapshot may be some events old: the subscription begins at its position.
        subscribed = evolve(subscribed, position=at)
    return Catchup(source, reader, project, at, policy, subscribed=subscribed, state=reason, has=has)
