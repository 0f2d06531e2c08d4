"""Orchestrators: pipelined, idempotent; what is unanswered when a connection is lost is sent again."""

from __future__ import annotations

import json
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tasktree_rt.core.access import OPEN
from tasktree_rt.dialects.tasktree import Orchestrator
from tasktree_rt.hub.sessions.producer import ProducerSession
from tests.simulation.interactions import Attempt
from tests.simulation.peer import Peer
from tests.simulation.truth import Publish
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

DIALECT: Final = Orchestrator()
PASSING: Final = ("store_unavailable", "overloaded", "draining")
MOST: Final = 60
"""Publishes that a producer leaves unanswered."""
WRONG: Final = "wrong"
"""Begins the ids of requests that must be refused."""


class Producer(Peer):
    """See the module's docstring.

    Attributes:
        unanswered: what has to be sent again should the connection be lost.
        serves: the projects whose commands it takes.
        held: the commands that it was given on this connection, and what it said of each.
    """

    kind = "producer"

    def __init__(self, world: World, index: int) -> None:
        super().__init__(world, index)
        self.name = f"o{index}"
        self.unanswered: deque[Publish] = deque()
        self.held: dict[str, str] = {}
        dice = Random(f"serves {index} {world.seed}")
        self.serves = tuple(one for one in world.projects if dice.random() < 0.7)
        self._asked: deque[tuple[str, Publish | Attempt | None]] = deque()
        self._done: list[Publish] = []
        self._number = 0
        self._refusing = False

    def connect(self) -> None:
        """Open a connection and send what is not answered."""
        self._asked.clear()
        self._refusing = False
        self.held.clear()
        self.carry(
            ProducerSession(self.world.process.hub, DIALECT, self.name, grants=OPEN, serves=self.serves)
        )
        for publish in self.unanswered:
            self._say(publish)

    def publish(self, project: str, events: list[tuple[str, dict[str, Any]]]) -> None:
        """Send events of one project, now or when there is a connection again."""
        if len(self.unanswered) >= MOST:
            return
        self._number += 1
        tag = f"{self.name}.{self._number}"
        tagged = [(kind, {**data, "tag": f"{tag}.{place}"}) for place, (kind, data) in enumerate(events)]
        publish = Publish(tag, self.name, self._number, project, tagged)
        while len(tagged) > 1 and len(json.dumps(request(publish))) > self.world.message_size:
            tagged.pop()
        self.world.truth.publishes[tag] = publish
        self.unanswered.append(publish)
        self._say(publish)

    def again(self) -> None:
        """Send once more what was acked long ago."""
        if self._done and self._may_speak:
            publish = self.dice.choice(self._done)
            self._asked.append((publish.tag, publish))
            self.send(request(publish))

    def wrong(self, how: str, project: str) -> None:
        """Send what must be refused, and leave no trace."""
        if not self._may_speak:
            return
        number = f"{WRONG}-{how}-{self.dice.randrange(1 << 30)}"
        good: dict[str, Any] = {"type": "log", "project_id": project, "data": {"level": "i", "message": "m"}}
        events = [good, {**good, "project_id": f"{project}x"} if how == "mixed" else {**good, "data": {}}]
        if how == "conflict":
            if not self._done:
                return
            number, events = self.dice.choice(self._done).tag, [good]
        self._asked.append((WRONG, None))
        self.send({"type": "publish", "id": number, "events": events})

    def obey(self, status: str) -> None:
        """Say something of a command that it has, the oldest that it has not settled."""
        waiting = [name for name, told in self.held.items() if told in ("", "accepted")]
        if not waiting or not self._may_speak:
            return
        name = waiting[0]
        self.held[name] = status
        attempt = self.world.interactions.attempt("result", name, status=status)
        self._asked.append((attempt.tag, attempt))
        result = {"command_id": name, "status": status, "message": attempt.tag}
        self.send({"type": "command_result", "id": attempt.tag, **result})

    @property
    def busy(self) -> bool:
        """Whether it holds a command that is not settled."""
        return any(self.world.interactions.all[name].outcome is None for name in self.held)

    @property
    def _may_speak(self) -> bool:
        return self.line is not None and not self.leaving and len(self._asked) < MOST

    def _say(self, publish: Publish) -> None:
        if self.line is not None and not self.leaving:
            publish.sent += 1
            self._asked.append((publish.tag, publish))
            self.send(request(publish))

    # --- answers ------------------------------------------------------------------------------------

    def take(self, said: dict[str, Any]) -> None:
        if said["type"] == "draining":
            return
        if said["type"] == "command":
            self._given(said)
            return
        if not self._asked:
            raise Violation("answers in order", f"{self}: {said}, and nothing was asked")
        number, publish = self._asked.popleft()
        if publish is not None and said.get("id") != number:
            raise Violation("answers in order", f"{self}: {said}, and {number} was next")
        if isinstance(publish, Attempt):
            self._obeyed(publish, said)
        elif said["type"] == "ack" and publish is not None:
            self._acked(publish, said)
        elif said["type"] == "error":
            self._refused(publish, said["code"], said)
        else:
            raise Violation("nothing of a refused publish", f"{self}: {said}")

    def _given(self, said: dict[str, Any]) -> None:
        name = said["command_id"]
        one = self.world.interactions.all.get(name)
        if one is None or {**one.data, "type": "command", "project_id": one.topics[0]} != said:
            raise Violation("committed first", f"{self} was given {said}")
        if name in self.held or one.topics[0] not in self.serves:
            raise Violation("one orchestrator at a time", f"{self} was given {name} again, or unasked")
        self.held[name] = ""

    def _obeyed(self, attempt: Attempt, said: dict[str, Any]) -> None:
        if said["type"] == "reply":
            self.world.interactions.done(attempt)
            return
        if said["type"] != "error":
            raise Violation("answers in order", f"{self}: {said} for {attempt.tag}")
        self.world.interactions.refused(attempt, said["code"], said.get("outcome"))
        self._refusing = self._refusing or said["code"] in PASSING

    def lost(self) -> None:
        self.held.clear()

    def _acked(self, publish: Publish, said: dict[str, Any]) -> None:
        if self._refusing and not said["duplicate"]:
            raise Violation("order of a producer", f"{self}: {publish.tag} acked behind a refused one")
        positions = [(one["project_id"], one["epoch"], one["seq"]) for one in said["positions"]]
        if publish.acked and not said["duplicate"]:
            raise Violation("exactly once", f"{self}: {publish.tag} acked anew")
        self.world.truth.acked(publish, positions)
        self._answered(publish)

    def _answered(self, publish: Publish) -> None:
        if publish in self.unanswered:
            self.unanswered.remove(publish)
        if publish.acked:
            self._done.append(publish)

    def _refused(self, publish: Publish | None, code: str, said: dict[str, Any]) -> None:
        passing = code in PASSING
        self._refusing = self._refusing or passing
        if publish is None or publish.acked:
            if not passing and publish is not None:
                raise Violation("exactly once", f"{self}: {publish.tag} was acked, now {said}")
            return
        allowed = passing or (code == "invalid_transition" and self.world.settings.lifecycle == "enforce")
        if not allowed:
            raise Violation("no fault of the hub's", f"{self}: {publish.tag} refused: {said}")
        self.world.truth.refused(publish, code, final=not passing)
        if not passing:
            self._answered(publish)


def request(publish: Publish) -> dict[str, Any]:
    """A publish as it goes over the wire."""
    events = [
        {"type": kind, "project_id": publish.project, "data": data, "timestamp": "2026-01-02T03:04:05Z"}
        for kind, data in publish.events
    ]
    return {"type": "publish", "id": publish.tag, "events": events}
