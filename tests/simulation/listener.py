"""Clients of AIECS and of AutoGPT: no positions, no projects. What they miss they can only be told of."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.session import ConfirmingSession
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.protocol import Policy
from tests.simulation.foreign import EXECUTIONS, GRAPHS, Due, Key, Said
from tests.simulation.interactions import USER, Attempt, ModelInteraction
from tests.simulation.violation import Violation
from tests.simulation.watcher import SLOW, Watcher

if TYPE_CHECKING:
    from tests.simulation.world import World

Message = dict[str, Any]
AUTOGPT: Final = AutoGpt()
GOING_AWAY: Final = 1001
SUBSCRIBE: Final = {
    "graph_exec": "subscribe_graph_execution",
    "graph": "subscribe_graph_executions",
    "graph_execs": "subscribe_graph_execs",
}
NOTIFICATION: Final = "notification"


class Listener(Watcher):
    """What both have in common.

    Attributes:
        user: whose client it is.
        begun: the hub has said that it listens; from then on nothing may be missing.
        due: what this connection is to be told.
    """

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        dice = Random(f"{self.kind} user {index} {world.seed}")
        self.user = dice.choice(world.users)
        self.begun = False
        self.due = Due()
        super().__init__(world, index, Policy.NEWEST, wishes)

    def lost(self) -> None:
        self.begun = False
        self.due.forget()

    def closed(self, code: int, reason: str) -> None:
        if code not in (SLOW, GOING_AWAY):
            super().closed(code, reason)

    def behind(self) -> str | None:
        told = self.due.missing if self.begun else "the hub has not said that it listens"
        return None if told is None else f"{self}: {told}"

    def resumes(self, project: str) -> None:
        return None

    def _notified(self, key: Key, tag: str) -> None:
        attempt = self.world.interactions.attempts.get(tag)
        if attempt is None or not attempt.stands:
            raise Violation("committed first", f"{self} is notified of {tag}")
        self.due.came(key, tag, begun=True)

    def wrong(self, said: Message) -> Violation:
        """It is not told that, or not so."""
        return Violation("as the protocol says", f"{self}: {said}")


class AiecsWatcher(Listener):
    """Hears what its user is told, some of them what everybody is; is asked, and confirms."""

    kind = "aiecs"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(world, index, policy, wishes)
        self.wishes = (f"{USER}{self.user}",)
        self._everything = index % 2 == 0
        self._dialect = Aiecs(lambda: world.wall() / 1_000_000)
        self._asked: dict[ModelInteraction, None] = {}
        self._awaited: set[str] = set()
        self._confirmed = 0

    def connect(self) -> None:
        process, everything = self.world.process, self._everything
        self.carry(
            ConfirmingSession(process.hub, self._dialect, process.relay, everything=everything, grants=OPEN)
        )
        self.send({"action": "subscribe", "user_id": self.user})

    def confirm(self, attempt: Attempt, prompt: ModelInteraction, proceed: object) -> None:
        """Answer yes or no. Nobody says what became of it, and which answer an error is for."""
        attempt.counted = True
        self._confirmed += 1
        said = {"callback_id": prompt.id, "proceed": proceed, "feedback": attempt.tag}
        self.send({"action": "confirm", **said})

    def lost(self) -> None:
        super().lost()
        self._asked.clear()
        self._awaited.clear()
        self._confirmed = 0

    def _hears(self, user: str | None) -> bool:
        return self.line is not None and (self._everything or user in (None, self.user))

    def is_told(self, user: str | None, number: int) -> None:
        if self._hears(user):
            self.due.expect(("message",), (user, number), must=self.begun)

    def hears_of(self, topic: str, kind: str, data: Message) -> None:
        user = topic.removeprefix(USER)
        if topic == user or not self._hears(user):
            return
        if kind == NOTIFICATION:
            self.due.expect((NOTIFICATION, user), data["title"], must=self.begun)
        elif kind == "prompt" and self.begun:
            self._awaited.add(data["prompt_id"])

    def take(self, said: Message) -> None:
        match said["type"]:
            case "subscription_confirmed":
                if said["user_id"] != self.user or self.begun:
                    raise self.wrong(said)
                self.begun = True
                self._asked.clear()
            case "task_step_result":
                self._is_asked(said)
            case "heartbeat":
                self._is_for(said["user_id"], said)
                if (said["user_id"], said["task_id"]) not in self.world.foreign.work:
                    raise Violation("nothing unasked", f"{self}: {said}")
            case "note":
                self._is_for(said.get("target_user_id"), said)
                self.due.came(("message",), (said.get("target_user_id"), said["number"]))
            case "notification":
                self._is_for(said["target_user_id"], said)
                self._notified((NOTIFICATION, said["target_user_id"]), said["title"])
            case "error" if self._confirmed:
                self._confirmed -= 1
            case _:
                raise self.wrong(said)

    def _is_for(self, user: str | None, said: Message) -> None:
        if not self._hears(user):
            raise Violation("for its user alone", f"{self}: {said}")

    def _is_asked(self, said: Message) -> None:
        name = said["callback_id"]
        one = self.world.interactions.all.get(name)
        if one is None or one.kind != "prompt":
            raise Violation("committed first", f"{self} is asked {said}")
        self._is_for(one.data.get("user_id"), said)
        if (said["message"], said["user_id"]) != (one.data["message"], one.data.get("user_id")):
            raise Violation("unchanged", f"{self} is asked {said}, not {one.data}")
        if one in self._asked:
            raise Violation("at most once", f"{self} is asked {name} again")
        self._asked[one] = None
        self._awaited.discard(name)

    def behind(self) -> str | None:
        if self.begun:
            missing = [one.id for one in self.world.interactions.open("prompt") if self._lacks(one)]
            if missing or self._awaited:
                return f"{self} is not asked {missing or sorted(self._awaited)}"
        return super().behind()

    def _lacks(self, one: ModelInteraction) -> bool:
        return self.wishes[0] in one.told and one not in self._asked


class AutoGptWatcher(Listener):
    """Subscribes to executions and graphs, and takes that back."""

    kind = "autogpt"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(world, index, policy, ())
        self._wanted: dict[tuple[str, str], None] = {}
        self._subscribed: dict[str, bool] = {}
        """By channel: whether the hub has said so and nothing is on its way that takes it back."""
        self._asked: deque[tuple[str, str | None]] = deque()
        for kind in SUBSCRIBE:
            if self.dice.random() < 0.7:
                self._wanted[kind, self._name(kind, self.dice)] = None

    @staticmethod
    def _name(kind: str, dice: Random) -> str:
        return dice.choice(EXECUTIONS if kind == "graph_exec" else GRAPHS)

    def connect(self) -> None:
        self.carry(ViewSession(self.world.process.hub, AUTOGPT, self.user))
        self.send({"method": "heartbeat"})
        for kind, name in self._wanted:
            self._subscribe(kind, name)

    def listen(self, dice: Random) -> None:
        """Want something more, or no longer."""
        if self.line is None or self.line.eof or self._asked:
            return
        kind = dice.choice(tuple(SUBSCRIBE))
        name = self._name(kind, dice)
        if self._wanted and dice.random() < 0.5:
            kind, name = dice.choice(tuple(self._wanted))
        if (kind, name) not in self._wanted:
            self._wanted[kind, name] = None
            self._subscribe(kind, name)
        else:
            # A graph's two channels are taken back together.
            kinds = [one for one in SUBSCRIBE if (one == "graph_exec") == (kind == "graph_exec")]
            for one in kinds:
                self._wanted.pop((one, name), None)
            self._unsubscribe(kinds, name)

    def _subscribe(self, kind: str, name: str) -> None:
        field = "graph_exec_id" if kind == "graph_exec" else "graph_id"
        self._subscribed.setdefault(self._channel(kind, name), False)
        self._asked.append((SUBSCRIBE[kind], self._channel(kind, name)))
        self.send({"method": SUBSCRIBE[kind], "data": {field: name}})

    def _unsubscribe(self, kinds: list[str], name: str) -> None:
        channels = [self._channel(kind, name) for kind in kinds]
        known = [one for one in channels if one in self._subscribed]
        for one in known:
            self._subscribed[one] = False
            self.due.relax((one,))
        field = "graph_exec_id" if kinds == ["graph_exec"] else "graph_id"
        self._asked.append(("unsubscribe", known[0]))
        self.send({"method": "unsubscribe", "data": {field: name}})

    def _channel(self, kind: str, name: str) -> str:
        rest = {"graph": f"graph#{name}|executions"}.get(kind, f"{kind}#{name}")
        return f"{self.user}|{rest}"

    def lost(self) -> None:
        super().lost()
        self._asked.clear()
        self._subscribed.clear()

    def happens(self, said: Said) -> None:
        if self.line is not None and said.user == self.user:
            for channel in said.channels:
                if channel in self._subscribed:
                    key = (channel, said.execution, said.key)
                    self.due.expect(key, said.number, must=self._subscribed[channel])

    def hears_of(self, topic: str, kind: str, data: Message) -> None:
        if self.line is not None and kind == NOTIFICATION and topic == f"{USER}{self.user}":
            self.due.expect((NOTIFICATION,), data["title"], must=self.begun)

    def take(self, said: Message) -> None:
        match said["method"]:
            case "heartbeat":
                self.begun = True
            case "graph_execution_event" | "node_execution_event":
                self._pushed(said)
            case "notification":
                self._notified((NOTIFICATION,), said["data"]["title"])
            case method if self._asked and said["success"]:
                self._answered(method, said["channel"])
            case _:
                raise self.wrong(said)

    def _pushed(self, said: Message) -> None:
        data, channel = said["data"], said["channel"]
        if data["user_id"] != self.user or not channel.startswith(f"{self.user}|"):
            raise Violation("for its user alone", f"{self}: {said}")
        told = Said(
            data["user_id"],
            data["graph_id"],
            data.get("graph_exec_id") or data["id"],
            data.get("node_exec_id", ""),
            data["status"],
            data["number"],
        )
        if told.payload != data or channel not in told.channels:
            raise Violation("unchanged", f"{self}: {said}")
        self.due.came((channel, told.execution, told.key), told.number, newest=True)

    def _answered(self, method: str, channel: str | None) -> None:
        asked, about = self._asked.popleft()
        if (asked, about) != (method, channel):
            raise Violation("answers in order", f"{self}: {method} {channel}, not {asked} {about}")
        assert about is not None
        if method != "unsubscribe":
            self._subscribed[about] = True
            return
        for one in [one for one, stands in self._subscribed.items() if not stands]:
            del self._subscribed[one]
            self.due.forget((one,))

    def behind(self) -> str | None:
        return f"{self}: no answer to {self._asked[0]}" if self._asked else super().behind()
