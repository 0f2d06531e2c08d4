"""What was committed, as an auditor reads it from the database, and what the producers were told of it.

Independent of the hub: the tree at each position is `tests.model.NaiveTree`'s, every event is known by the
tag that its producer gave it, and what does not fit is a `Violation`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from attrs import define, frozen

from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, SEQ_BITS
from tests.model import NaiveTree
from tests.simulation.interactions import KINDS, USER, Interactions
from tests.simulation.violation import Violation

Fields = dict[str, Any]
Picture = dict[str, Any]
Position = tuple[str, int]
TAG: Final = "tag"
Heard = Callable[[str, str, Fields], bool]
"""Is told of each event that is no producer's; whether it is the hub's own."""
Clock = Callable[[], float]
_EVENTS: Final = "SELECT key & ?, type, received, body FROM event WHERE key > ? AND key <= ? ORDER BY key"


class Tree(NaiveTree):
    """Never changes a node in place, so that pictures may share them. A user's has `read`."""

    def clear(self) -> None:
        super().clear()
        self.read = 0

    def picture(self) -> Picture:
        return {**super().picture(), "read": self.read}

    def on_notifications_read(self, data: Fields) -> None:
        self.read = max(self.read, data["seq"])


EMPTY: Final[Picture] = Tree("").picture()


@define(eq=False)
class Publish:
    """One publish, over all times it was sent.

    Attributes:
        tag: "producer.number"; the hub's own have no producer.
        refused: for good.
        sent: how often.
    """

    tag: str
    producer: str
    number: int
    project: str
    events: list[tuple[str, Fields]]
    epoch: str = ""
    first: int = 0
    sent: int = 0
    acked: bool = False
    refused: str = ""


@frozen
class Row:
    seq: int
    kind: str
    received: int
    body: bytes


@define
class _Life:
    project: str
    epoch: str
    number: int
    head: int = 0
    over: bool = False


class Truth:
    """See the module's docstring.

    Attributes:
        lives: the events of each life of each project, in order.
        heads: where each project stands; ("", 0) when it has no log.
        floors: what is trimmed of the present lives.
        times: when each event was received, in microseconds.
        moved: when something was committed last of each project, in seconds of the run.
        judged: publishes may be refused for what the tree is at the time.
    """

    def __init__(self, matters: Interactions, heard: Heard, clock: Clock, *, judged: bool = False) -> None:
        self._heard = heard
        self._clock = clock
        self.judged = judged
        self.interactions = matters
        self.lives: dict[tuple[str, str], list[tuple[str, Fields]]] = {}
        self.heads: dict[str, Position] = {}
        self.floors: dict[str, Position] = {}
        self.bodies: dict[tuple[str, str], list[bytes]] = {}
        self.times: dict[tuple[str, str], list[int]] = {}
        self.moved: dict[str, float] = {}
        self.publishes: dict[str, Publish] = {}
        self.events = 0
        self._known: dict[int, _Life] = {}
        self._received: dict[str, int] = {}
        self._touched: list[Publish] = []
        self._newest: dict[tuple[str, str], int] = {}
        self._pictures: dict[tuple[str, str], list[Picture]] = {}

    # --- what the views ask -------------------------------------------------------------------------

    def head(self, project: str) -> Position:
        """Where a project stands."""
        return self.heads.get(project, ("", 0))

    def tree(self, project: str, position: Position) -> Picture:
        """The state at a position."""
        life = self.lives.get((project, position[0]), ())
        if position[1] > len(life):
            raise Violation("committed first", f"{project} at {position}, which is not in the log")
        pictures = self._pictures.setdefault((project, position[0]), [EMPTY])
        while len(pictures) <= position[1]:
            pictures.append(after(project, pictures[-1], *life[len(pictures) - 1]))
        return pictures[position[1]]

    # --- the auditor --------------------------------------------------------------------------------

    def look(self, connection: sqlite3.Connection) -> None:
        """Take in what was committed since the last time."""
        self._touched.clear()
        rows = connection.execute("SELECT life, project, epoch, head, floor FROM life").fetchall()
        present = {row[0] for row in rows}
        gone = [life for life in self._known.values() if life.number not in present and not life.over]
        newest = max(self._known, default=0)
        graves = connection.execute(
            "SELECT life, project, epoch, head FROM grave WHERE life > ? ORDER BY life", (newest,)
        ).fetchall()
        for life in gone:
            found = connection.execute("SELECT head FROM grave WHERE life = ?", (life.number,)).fetchone()
            if found is None:
                raise Violation("durable", f"life {life.epoch} of {life.project} is gone")
            self._advance(connection, life, found[0], True)
        for number, project, epoch, head in graves:
            self._advance(connection, self._begun(number, project, epoch), head, True)
        for number, project, epoch, head, floor in rows:
            life = self._known.get(number) or self._begun(number, project, epoch)
            if (project, epoch) != (life.project, life.epoch):
                raise Violation(
                    "one life, one epoch", f"{life.project} {life.epoch} is now {project} {epoch}"
                )
            self.floors[project] = (epoch, floor)
            if head != life.head:
                self._advance(connection, life, head, False)
        for publish in self._touched:
            have = self.lives[publish.project, publish.epoch][publish.first - 1 :]
            if have[: len(publish.events)] != publish.events:
                raise Violation("all or nothing", f"{publish.tag} is in the log in part")
        self._judge_matters(connection)

    def _judge_matters(self, connection: sqlite3.Connection) -> None:
        for topic in sorted(self.interactions.judge(connection)):
            told = self.tree(topic, self.head(topic))["prompts"] if self.head(topic)[0] else []
            if told != self.interactions.prompts(topic):
                raise Violation(
                    "one outcome", f"open in {topic}: {told}, not {self.interactions.prompts(topic)}"
                )

    def _begun(self, number: int, project: str, epoch: str) -> _Life:
        if (project, epoch) in self.lives:
            raise Violation("one life, one epoch", f"{project}: {epoch} again")
        life = self._known[number] = _Life(project, epoch, number)
        self.lives[project, epoch] = []
        self.bodies[project, epoch] = []
        self.times[project, epoch] = []
        return life

    def _advance(self, connection: sqlite3.Connection, life: _Life, head: int, over: bool) -> None:
        if head < life.head:
            raise Violation("durable", f"{life.project} {life.epoch}: {head} after {life.head}")
        key = life.number << SEQ_BITS
        rows = [Row(*row) for row in connection.execute(_EVENTS, (MAX_SEQ, key | life.head, key | head))]
        if [row.seq for row in rows] != list(range(life.head + 1, head + 1)):
            raise Violation("complete", f"{life.project} {life.epoch}: {[row.seq for row in rows]}")
        for row in rows:
            self._take(life, row)
        life.head, life.over = head, over
        self.heads[life.project] = ("", 0) if over else (life.epoch, head)

    def _take(self, life: _Life, row: Row) -> None:
        said = json.loads(row.body)
        at = f"{life.project} {life.epoch}:{row.seq}"
        if row.received < self._received.get(life.project, 0):
            raise Violation("time", f"{at} was received before the event before it")
        self._received[life.project] = row.received
        self.events += 1
        self.lives[life.project, life.epoch].append((row.kind, said["data"]))
        self.bodies[life.project, life.epoch].append(row.body)
        self.times[life.project, life.epoch].append(row.received)
        self.moved[life.project] = self._clock()
        if said["type"] != row.kind or topic_of(said) != life.project:
            raise Violation("unchanged", at)
        if row.kind in KINDS or row.kind == "project_deleted":
            self.interactions.take(life.project, life.epoch, row.seq, row.kind, said["data"], row.received)
        tag = said["data"].get(TAG)
        if tag is not None:
            self._stored(life, row.seq, tag, said)
        elif not (self._heard(life.project, row.kind, said["data"]) or row.kind == "project_deleted"):
            raise Violation("nothing unasked", f"{at}: {said}")

    def _stored(self, life: _Life, seq: int, tag: str, said: Fields) -> None:
        name, _, index = tag.rpartition(".")
        publish = self.publishes[name]
        place = int(index)
        at = f"event {place} of {name} at {life.project} {life.epoch}:{seq}"
        if publish.refused:
            raise Violation("nothing of a refused publish", f"{at} ({publish.refused})")
        if place == 0:
            if publish.first:
                raise Violation("exactly once", f"{at}, and at {publish.epoch}:{publish.first}")
            publish.epoch, publish.first = life.epoch, seq
            self._touched.append(publish)
            self._in_order(publish, at)
        if (publish.epoch, publish.first + place) != (life.epoch, seq) or publish.project != life.project:
            raise Violation("whole and in order", at)
        if publish.events[place] != (said["type"], said["data"]):
            raise Violation("unchanged", at)

    def _in_order(self, publish: Publish, at: str) -> None:
        key = (publish.producer, publish.project)
        # One that was refused on the tree as it was, unheard, may be taken on the tree as it is now.
        if publish.number <= self._newest.get(key, -1) and not (self.judged and publish.sent > 1):
            raise Violation("order of a producer", f"{at}, after number {self._newest[key]}")
        self._newest[key] = max(publish.number, self._newest.get(key, 0))

    # --- what the producers hear --------------------------------------------------------------------

    def acked(self, publish: Publish, positions: list[tuple[str, str, int]]) -> None:
        """A producer was told where its events are."""
        expected = [(publish.project, publish.epoch, publish.first + n) for n in range(len(publish.events))]
        if not publish.first or positions != expected:
            kept = expected[:1] if publish.first else None
            raise Violation("acked is in the log", f"{publish.tag} acked at {positions[:1]}, kept: {kept}")
        publish.acked = True

    def refused(self, publish: Publish, code: str, *, final: bool) -> None:
        """A producer was told that nothing was kept. (A copy refused for now says nothing of the first.)"""
        if publish.first and (final or publish.sent == 1):
            raise Violation("nothing of a refused publish", f"{publish.tag} ({code}) is at {publish.first}")
        if final:
            publish.refused = code

    # --- at the end ---------------------------------------------------------------------------------

    def is_whole(self, connection: sqlite3.Connection) -> None:
        """The database still holds exactly what was committed, as far back as it is kept."""
        self.look(connection)
        self.interactions.is_whole(connection)
        for life in self._known.values():
            if life.over:
                continue
            floor = self.floors[life.project][1]
            key = life.number << SEQ_BITS
            rows = connection.execute(
                "SELECT key & ?, body FROM event WHERE key > ? AND key <= ? ORDER BY key",
                (MAX_SEQ, key | floor, key | MAX_SEQ),
            ).fetchall()
            bodies = self.bodies[life.project, life.epoch]
            if rows != list(enumerate(bodies[floor:], floor + 1)):
                raise Violation("durable", f"the log of {life.project} is not what was committed")
        for publish in self.publishes.values():
            if publish.acked and not publish.first:
                raise Violation("acked is in the log", publish.tag)


def topic_of(said: Fields) -> str:
    """The log that an event belongs to."""
    return str(said["project_id"]) if "project_id" in said else f"{USER}{said['user_id']}"


def after(project: str, before: Picture, kind: str, data: Fields) -> Picture:
    """The state after one more event."""
    tree = Tree(project)
    for name, value in before.items():
        setattr(tree, name, value)
    tree.nodes = dict(tree.nodes)
    tree.apply(kind, data)
    return tree.picture()
