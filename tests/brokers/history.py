"""What a broker must amount to, said as simply as possible: every event of every life kept for ever,
looked through anew for each answer; and a run of any operations against both."""

from __future__ import annotations

from attrs import Factory, define, frozen
from hypothesis import strategies as st

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Broker,
    Checkpoint,
    Conflict,
    Death,
    Draft,
    Duplicate,
    Key,
    Life,
    Outcome,
    Retention,
)
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered
from tests.brokers.making import DAY, HOUR, NOW

PROJECTS = ("a", "b")


@define
class NaiveLife:
    epoch: str
    floor: int = 0
    ended: bool = False
    events: list[Record] = Factory(list)
    checkpoints: list[Checkpoint] = Factory(list)


@define
class Naive:
    """The model."""

    lives: dict[str, list[NaiveLife]] = Factory(lambda: {project: [] for project in PROJECTS})
    keys: list[tuple[Key, bytes, Duplicate, int]] = Factory(list)
    forgotten: dict[str, list[NaiveLife]] = Factory(lambda: {project: [] for project in PROJECTS})

    def live(self, project: str) -> NaiveLife | None:
        lives = self.lives[project]
        return lives[-1] if lives and not lives[-1].ended else None

    def newest(self, project: str) -> int:
        return max((event.received for life in self.lives[project] for event in life.events), default=0)

    def append(self, one: Append) -> Outcome:
        for key, digest, first, _ in self.keys:
            if key == one.key:
                return first if digest == one.digest else Conflict()
        life = self.live(one.project_id)
        if life is None:
            life = NaiveLife(one.new_epoch)
            self.lives[one.project_id].append(life)
        received = max(one.received, self.newest(one.project_id))
        first_seq = len(life.events) + 1
        for draft in one.drafts:
            life.events.append(Record(len(life.events) + 1, draft.type, draft.node_id, received, draft.body))
        if one.key is not None:
            answer = Duplicate(one.project_id, life.epoch, first_seq, len(one.drafts))
            self.keys.append((one.key, one.digest, answer, one.received))
        life.ended = one.ends
        return Appended(life.epoch, first_seq, received)

    def trim(self, retention: Retention, now: int) -> dict[str, Position]:
        moved = {}
        for project in PROJECTS:
            life = self.live(project)
            if life is None or not life.checkpoints:
                continue
            covered = max(checkpoint.seq for checkpoint in life.checkpoints)
            unwanted = [
                event.seq
                for event in life.events[:covered]
                if event.seq <= len(life.events) - retention.max_events
                or event.received < now - retention.max_age * 1_000_000
            ]
            newest = max(unwanted, default=0)
            floor = max((c.seq for c in life.checkpoints if c.seq <= newest), default=0)
            if floor > life.floor:
                life.floor = floor
                moved[project] = Position(life.epoch, floor)
                life.checkpoints = [c for c in life.checkpoints if c.seq >= floor]
        self.keys = [known for known in self.keys if known[3] >= now - DAY]
        cutoff = now - max(2 * DAY, round(retention.max_age * 1_000_000))
        for project, lives in self.lives.items():
            gone = [life for life in lives if life.ended and life.events[-1].received < cutoff]
            self.forgotten[project] += gone
            self.lives[project] = [life for life in lives if life not in gone]
        return moved

    def load(self, project: str) -> Life:
        dead = [life for life in self.lives[project] if life.ended]
        death = Death(dead[-1].epoch, dead[-1].events[-1]) if dead else None
        life = self.live(project)
        if life is None:
            return Life("", 0, 0, self.newest(project), None, (), death)
        newest = max(life.checkpoints, key=lambda checkpoint: checkpoint.seq, default=None)
        tail = tuple(life.events[newest.seq if newest else 0 :])
        return Life(life.epoch, len(life.events), life.floor, self.newest(project), newest, tail, death)

    def read(self, project: str, since: Position, limit: int, kind: str | None, node: str | None) -> object:
        life = self.live(project)
        if life is None:
            return Recovered(()) if since == Position("", 0) else Gap("epoch")
        if since.epoch != life.epoch and since != Position("", 0):
            return Gap("epoch")
        if since.seq > len(life.events):
            return Gap("ahead")
        if since.seq < life.floor:
            return Gap("trimmed")
        found = [
            event
            for event in life.events[since.seq :]
            if kind in (None, event.type) and node in (None, event.node_id)
        ]
        return Recovered(tuple(found[:limit]))

    def read_back(
        self, project: str, before: Position, limit: int, kind: str | None, node: str | None
    ) -> object:
        life = self.live(project)
        if life is None or before.epoch != life.epoch:
            return Gap("epoch")
        if before.seq > len(life.events):
            return Gap("ahead")
        found = [
            event
            for event in life.events[life.floor : max(life.floor, before.seq)]
            if kind in (None, event.type) and node in (None, event.node_id)
        ]
        return Recovered(tuple(found[-limit:]))

    def checkpoint_at(self, project: str, position: Position) -> Checkpoint | None:
        life = self.live(project)
        if life is None or life.epoch != position.epoch:
            return None
        before = [checkpoint for checkpoint in life.checkpoints if checkpoint.seq <= position.seq]
        return max(before, key=lambda checkpoint: checkpoint.seq, default=None)


@frozen
class Save:
    """Save a checkpoint so many events below the head, of the life that goes on or of the one before."""

    project: str
    below: int
    stale: bool


@frozen
class Trim:
    retention: Retention


@frozen
class Wait:
    micros: int


_PROJECT = st.sampled_from(PROJECTS)
_DRAFT = st.builds(
    Draft,
    st.sampled_from(("log", "node_update")),
    st.sampled_from((None, "n1", "n2")),
    st.sampled_from((b"{}", b'{"data":1}', b"x" * 5_000)),
)
_KEY = st.one_of(
    st.none(),
    st.builds(Key, st.sampled_from(("s", "t")), st.just("k"), st.sampled_from(("1", '"1"', "2", "3"))),
)
_APPEND = st.builds(
    Append,
    _PROJECT,
    st.lists(_DRAFT, min_size=1, max_size=4).map(tuple),
    st.sampled_from((0, -HOUR, HOUR)),
    st.just(""),
    ends=st.sampled_from((False, False, False, False, True)),
    state=st.sampled_from((None, "running")),
    nodes=st.integers(0, 5),
    key=_KEY,
    digest=st.sampled_from((b"d1", b"d1", b"d2")),
)
_RETENTION = st.builds(Retention, st.integers(1, 8), st.sampled_from((3_600.0, 90_000.0, 1e7)))
OPERATIONS = st.lists(
    st.one_of(
        st.lists(_APPEND, min_size=1, max_size=5),
        st.lists(_APPEND, min_size=1, max_size=5),
        st.builds(Save, _PROJECT, st.integers(0, 3), st.booleans()),
        st.builds(Trim, _RETENTION),
        st.builds(Wait, st.sampled_from((HOUR, 23 * HOUR, 30 * HOUR))),
    ),
    max_size=25,
)
Operation = list[Append] | Save | Trim | Wait


class Run:
    """Does operations to a broker and to the model, and compares every answer."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.naive = Naive()
        self.now = NOW
        self.epochs = 0

    async def do(self, operation: Operation) -> None:
        if isinstance(operation, Wait):
            self.now += operation.micros
        elif isinstance(operation, Trim):
            expected = self.naive.trim(operation.retention, self.now)
            assert await self.broker.trim(operation.retention, self.now) == expected
        elif isinstance(operation, Save):
            await self.save(operation)
        else:
            batch = [self.finished(one) for one in operation]
            outcomes = await self.broker.append(batch)
            assert outcomes == [self.naive.append(one) for one in batch]

    def finished(self, one: Append) -> Append:
        """With a time near now (keys by the clock, which here only goes forward) and an epoch of its own."""
        self.epochs += 1
        received = self.now if one.key else self.now + one.received
        return Append(
            one.project_id,
            one.drafts,
            received,
            f"e{self.epochs}",
            ends=one.ends,
            state=one.state,
            nodes=one.nodes,
            key=one.key,
            digest=one.digest,
            about=one.about,
        )

    async def save(self, operation: Save) -> None:
        lives = self.naive.lives[operation.project]
        if not lives:
            return
        life = lives[0] if operation.stale else lives[-1]
        seq = max(life.floor, len(life.events) - operation.below)
        parts = (b"%d" % seq, life.epoch.encode(), b"x" * 300_000)
        checkpoint = Checkpoint(life.epoch, seq, parts)
        await self.broker.save_checkpoint(operation.project, checkpoint)
        if not life.ended:
            life.checkpoints = [kept for kept in life.checkpoints if kept.seq != seq] + [checkpoint]

    async def compare(self) -> None:
        """Everything that can be asked."""
        for project in PROJECTS:
            assert await self.broker.load(project) == self.naive.load(project)
            for life in [NaiveLife(""), *self.naive.forgotten[project], *self.naive.lives[project]]:
                for seq in range(len(life.events) + 2):
                    await self.compare_at(project, Position(life.epoch, seq))
        summaries = await self.broker.projects()
        living = [(project, one) for project in PROJECTS if (one := self.naive.live(project))]
        assert [(one.project_id, one.epoch, one.seq) for one in summaries] == [
            (project, life.epoch, len(life.events)) for project, life in living
        ]
        assert await self.broker.count_projects() == len(living)
        for subject in ("s", "t"):
            known = [key.id for key, *_ in self.naive.keys if key.subject == subject]
            assert await self.broker.producer_ids(subject, "k") == known
        for key, digest, answer, _ in self.naive.keys:
            assert await self.broker.recorded(key, digest) == answer
            assert await self.broker.recorded(key, b"other") == Conflict()

    async def compare_at(self, project: str, position: Position) -> None:
        at = await self.broker.checkpoint_at(project, position)
        assert at == self.naive.checkpoint_at(project, position)
        for limit, kind, node in ((100, None, None), (2, None, None), (3, "log", None), (100, "log", "n1")):
            found = await self.broker.read(project, position, limit=limit, type=kind, node_id=node)
            assert found == self.naive.read(project, position, limit, kind, node)
            back = await self.broker.read_back(project, position, limit=limit, type=kind, node_id=node)
            assert back == self.naive.read_back(project, position, limit, kind, node)
