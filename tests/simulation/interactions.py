"""Prompts, commands and notifications, as the logs tell of them, and what those who made them were told.

Independent of the hub: it reads the events that the auditor finds committed, knows every attempt by a tag
that its maker gave it, and holds both against the store's own table of what is open. Exactly one outcome,
told in every log that tells of the question; an attempt that was refused never stands; who is told that an
attempt is done finds it standing for ever; a default stands only behind its deadline.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import Factory, define

from tests.simulation.violation import Violation

Fields = dict[str, Any]
Note = Callable[[str, "ModelInteraction"], None]
USER: Final = "@"
OPENING: Final = ("prompt", "command")
KINDS: Final = (*OPENING, "prompt_resolved", "command_result", "notification", "notifications_read")
PASSING: Final = ("store_unavailable", "overloaded", "draining", "rate_limited")
CLOSED: Final = ("prompt_closed", "gone")
LATE: Final = 1_000_000
"""Microseconds behind its deadline at which a default was held up by something."""
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_ROWS: Final = "SELECT name, kind, topic, mirror, settled, outcome, received FROM matter"


@define(eq=False)
class Attempt:
    """Somebody tries something, once.

    Attributes:
        kind: "ask", "answer", "cancel", "command", "result", "notify" or "read".
        interaction: the id of what it is about.
        said: what was asked, or said.
        jumps: how often the wall clock had jumped before.
        code: what it was refused with; "done": it was not.
        stands: it is in the log.
        counted: it is in the table of coverage.
    """

    kind: str
    tag: str
    interaction: str
    said: Fields
    jumps: int
    code: str = ""
    stands: bool = False
    counted: bool = False


@define(eq=False)
class ModelInteraction:
    """A prompt or a command. `told` and `resolved`: at which seq in which topic; `home`: the life of the log
    that it belongs to."""

    id: str
    kind: str
    topics: tuple[str, ...]
    data: Fields
    asked: Attempt
    received: int
    home: str = ""
    told: dict[str, int] = Factory(dict)
    resolved: dict[str, int] = Factory(dict)
    outcome: Fields | None = None
    ended: bool = False
    """Its project was deleted."""


@define
class _Row:
    topic: str
    epoch: str
    seq: int
    kind: str
    data: Fields
    received: int


class Interactions:
    """See the module's docstring.

    Attributes:
        all: the newest interaction of each id.
        attempts: by their tags.
    """

    def __init__(self, wall: Callable[[], int], patience: float, felt: Note) -> None:
        self._wall = wall
        self._patience = round(patience * 1_000_000)
        self._felt = felt
        self._jumps: list[tuple[int, int]] = []
        self._new: list[_Row] = []
        self._outcomes: dict[str, list[Fields]] = {}
        self._number = 0
        self.all: dict[str, ModelInteraction] = {}
        self.attempts: dict[str, Attempt] = {}

    # --- who tries what ---------------------------------------------------------------------------

    def attempt(self, kind: str, interaction: str = "", **said: Any) -> Attempt:
        """A new one."""
        self._number += 1
        made = Attempt(kind, f"{kind}-{self._number}", interaction, said, len(self._jumps))
        self.attempts[made.tag] = made
        return made

    def jumped(self, before: int) -> None:
        """The wall clock said `before` and says something else now."""
        self._jumps.append((before, self._wall()))

    def open(self, kind: str = "") -> list[ModelInteraction]:
        """Those that are not settled, the oldest first."""
        return [one for one in self.all.values() if one.outcome is None and kind in ("", one.kind)]

    def overdue(self, before: int) -> list[ModelInteraction]:
        """Those that should have been settled at `before`, wherever the hub was then."""
        return [one for one in self.open("prompt") if deadline(one) < before]

    def done(self, attempt: Attempt, interaction: str = "") -> None:
        """It was told that it is done."""
        attempt.code = "done"
        about = self.all.get(attempt.interaction or interaction)
        if attempt.kind == "ask":
            kept = about is not None
        elif attempt.kind == "read":
            kept = True
        else:
            kept = attempt.stands
        if not kept:
            raise Violation(
                "acked is in the log", f"{attempt.tag} about {attempt.interaction or interaction}"
            )

    def refused(self, attempt: Attempt, code: str, outcome: Fields | None) -> None:
        """It was told that it is not."""
        attempt.code = code
        if attempt.stands:
            raise Violation("nothing refused stands", f"{attempt.tag} was refused: {code}")
        if code in CLOSED:
            if outcome is None or outcome not in self._outcomes.get(attempt.interaction, ()):
                raise Violation("one outcome", f"{attempt.tag} was told {outcome} of {attempt.interaction}")
        elif code not in (*PASSING, *_ALLOWED.get(attempt.kind, ())):
            raise Violation("no fault of the hub's", f"{attempt.tag} refused: {code}")

    def unheard(self) -> None:
        """The process is gone: what stands and was not answered never will be."""
        for one in self.attempts.values():
            if one.stands and not one.code and not one.counted and one.kind in ("answer", "result"):
                one.counted = True
                self._felt("unheard", self.all[one.interaction])

    # --- what is committed ------------------------------------------------------------------------

    def take(self, topic: str, epoch: str, seq: int, kind: str, data: Fields, received: int) -> None:
        """An event of the hub's own."""
        self._new.append(_Row(topic, epoch, seq, kind, data, received))

    def judge(self, connection: sqlite3.Connection) -> set[str]:
        """All that was committed together is taken in: it must fit. Returns the topics it was told in."""
        new, self._new = self._new, []
        touched: dict[str, ModelInteraction] = {}
        for row in new:
            if row.kind in OPENING:
                one = self._opened(row)
            elif row.kind in ("prompt_resolved", "command_result"):
                one = self._said(row)
            elif row.kind == "project_deleted":
                ended = self._ended(row)
                touched.update((one.id, one) for one in ended)
                continue
            else:
                self._called(row)
                continue
            touched[one.id] = one
        if touched:
            stored = {row[0]: row for row in connection.execute(_ROWS)}
            for one in touched.values():
                self._whole(one, stored)
            self.compare(stored)
        return {row.topic for row in new}

    def _opened(self, row: _Row) -> ModelInteraction:
        name = row.data[f"{row.kind}_id"]
        tag = row.data["message"] if row.kind == "prompt" else row.data["args"]["tag"]
        asked = self.attempts.get(tag)
        if asked is None or (asked.code not in ("", "done") and row.kind == "command"):
            raise Violation("nothing unasked", f"{name} in {row.topic}: {row.data}")
        topics = topics_of(row.data) if row.kind == "prompt" else (row.topic,)
        one = self.all.get(name)
        if one is None or (one.outcome is not None and row.topic in one.told):
            # An id may be used again once it is forgotten; while it is not, the store refuses it.
            self.all.pop(name, None)
            one = self.all[name] = ModelInteraction(name, row.kind, topics, row.data, asked, row.received)
            asked.stands = True
            same = all(row.data.get(key) == value for key, value in asked.said.items())
            if not same:
                raise Violation("unchanged", f"{name}: asked {asked.said}, told {row.data}")
        if row.topic in one.told or row.topic not in topics or one.data != row.data:
            raise Violation("told to all once", f"{name} in {row.topic} {row.epoch}:{row.seq}")
        one.told[row.topic] = row.seq
        if row.topic == topics[0]:
            one.home = row.epoch
        return one

    def _said(self, row: _Row) -> ModelInteraction:
        data = row.data
        one = self.all.get(data.get("prompt_id") or data["command_id"])
        at = f"{row.topic} {row.epoch}:{row.seq}: {data}"
        if one is None or row.topic not in one.topics:
            raise Violation("nothing unasked", at)
        if data.get("status") == "accepted":
            if one.outcome is not None:
                raise Violation("one outcome", f"{at}, after {one.outcome}")
            self._by(one, data["message"], "result", data)
            return one
        if row.topic in one.resolved or one.outcome not in (None, data):
            raise Violation("one outcome", f"{at}, and before: {one.outcome}")
        one.resolved[row.topic] = row.seq
        if one.outcome is None:
            self._settles(one, data)
        return one

    def _ended(self, row: _Row) -> list[ModelInteraction]:
        found = [one for one in self.open() if (one.topics[0], one.home) == (row.topic, row.epoch)]
        for one in found:
            one.ended = True
        return found

    def _settles(self, one: ModelInteraction, outcome: Fields) -> None:
        one.outcome = outcome
        self._outcomes.setdefault(one.id, []).append(outcome)

    def _called(self, row: _Row) -> None:
        if row.kind == "notification":
            attempt = self.attempts.get(row.data["title"])
            if attempt is None or attempt.stands or attempt.code:
                raise Violation("exactly once", f"{row.topic}:{row.seq} {row.data}")
            attempt.stands = True
        elif not 0 < row.data["seq"] < row.seq:
            raise Violation("nothing unasked", f"{row.topic}:{row.seq} read up to {row.data['seq']}")

    # --- what must hold ---------------------------------------------------------------------------

    def _whole(self, one: ModelInteraction, stored: dict[str, tuple[Any, ...]]) -> None:
        """Its logs say the same, and what they say is what somebody did, or its time."""
        if one.told.keys() != set(one.topics):
            raise Violation("told to all once", f"{one.id} is asked in {list(one.told)} of {one.topics}")
        if one.id in stored:
            one.received = stored[one.id][6]
        if one.ended and one.outcome is None and len(one.topics) == 1 and one.id in stored:
            self._settles(one, json.loads(stored[one.id][5] or b"null"))
        if one.ended and (one.outcome is None or one.outcome.get("how", one.outcome.get("status")) is None):
            raise Violation("told to all once", f"{one.id} has ended with its project, unsettled")
        if one.outcome is None:
            return
        if one.resolved.keys() | ({one.topics[0]} if one.ended else set()) != set(one.topics):
            raise Violation(
                "told to all once", f"{one.id} is settled in {list(one.resolved)} of {one.topics}"
            )
        self._justified(one, one.outcome)

    def _justified(self, one: ModelInteraction, outcome: Fields) -> None:
        how = outcome["how"] if one.kind == "prompt" else outcome["status"]
        if how == "timeout":
            jumps = self._jumps[one.asked.jumps :]
            newest = max([*(before for before, _ in jumps), self._wall()])
            # A command gets its time anew, by the clock as it is then, when it is to be given again.
            begun = min([one.received, *(after for _, after in jumps)])
            due = deadline(one) if one.kind == "prompt" else begun + self._patience
            if newest < due:
                raise Violation("not before its time", f"{one.id}: {outcome} at {newest}, due {due}")
            if one.kind == "prompt" and not same_answer(outcome, one.data["default"]):
                raise Violation("unchanged", f"{one.id}: {outcome} for {one.data['default']}")
            if one.kind == "prompt" and self._wall() > due + LATE:
                self._felt("late", one)
        elif how == "answered":
            self._by(one, outcome["feedback"], "answer", outcome)
        elif one.kind == "command" and how != "cancelled":
            self._by(one, outcome["message"], "result", outcome)
        elif not one.ended:
            self._by(one, outcome.get("via", {}).get("tag", ""), "cancel", outcome)

    def _by(self, one: ModelInteraction, tag: str, kind: str, outcome: Fields) -> None:
        """Somebody has said this, and was not told that it does not hold."""
        attempt = self.attempts.get(tag)
        if attempt is None or (attempt.kind, attempt.interaction) != (kind, one.id):
            raise Violation("nothing unasked", f"{one.id}: {outcome}")
        if attempt.code not in ("", "done"):
            raise Violation("nothing refused stands", f"{one.id}: {outcome}, refused: {attempt.code}")
        said = attempt.said
        if any(outcome.get(key) != value for key, value in said.items()):
            raise Violation("unchanged", f"{one.id}: {outcome}, not {said}")
        attempt.stands = True

    def compare(self, stored: dict[str, tuple[Any, ...]]) -> None:
        """The store's table says the same as the logs. What is settled may be forgotten."""
        for name, one in self.all.items():
            row = stored.get(name)
            if row is None:
                if one.outcome is None:
                    raise Violation("durable", f"{name} is open and not in the store")
                continue
            outcome = None if row[4] is None else json.loads(row[5])
            topics = tuple(topic for topic in row[2:4] if topic is not None)
            if (row[1], topics, outcome) != (one.kind, one.topics, one.outcome):
                raise Violation("one outcome", f"{name}: stored {row[1:]}, told {one.topics} {one.outcome}")
        if not stored.keys() <= self.all.keys():
            raise Violation("nothing unasked", f"stored: {sorted(stored.keys() - self.all.keys())}")

    def prompts(self, topic: str) -> list[Fields]:
        """The open ones of a topic, as its state must have them."""
        found = [one for one in self.open("prompt") if topic in one.told]
        return [one.data for one in sorted(found, key=lambda one: one.told[topic])]

    def is_whole(self, connection: sqlite3.Connection) -> None:
        """The store still says what the logs said."""
        self.compare({row[0]: row for row in connection.execute(_ROWS)})


_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "ask": ("idempotency_conflict",),
    "answer": ("not_found", "invalid_message"),
    "cancel": ("not_found",),
    "command": ("no_orchestrator",),
    "result": ("not_found", "forbidden"),
}


def topics_of(data: Fields) -> tuple[str, ...]:
    """Where a prompt is told of, its home first."""
    project, user = data.get("project_id"), data.get("user_id")
    return tuple(name for name in (project, user and f"{USER}{user}") if name)


def same_answer(outcome: Fields, answer: Fields) -> bool:
    """Whether an outcome says what an answer, or a default, says."""
    return all(outcome.get(key) == answer.get(key) for key in ("proceed", "value"))


def deadline(one: ModelInteraction) -> int:
    """Of a prompt, in microseconds since the Unix epoch."""
    return (datetime.fromisoformat(one.data["deadline"]) - _EPOCH) // timedelta(microseconds=1)
