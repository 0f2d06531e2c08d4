"""Nobody is ever shown what is another's, in any language, whatever is asked and however slowly it is read.

Three users hold tokens for their own projects; each has a connection of every kind, asks for what is theirs
and for what is the others'. Everything that is pushed bears the mark of its owner: a frame tells whose it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import jwt
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.direct_messages import MESSAGE
from tasktree_rt.compat.aiecs.session import ConfirmingSession, task_project
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.payloads import read_execution
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.events import Json
from tasktree_rt.core.executions import PREFIX
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.hub.interactions.registry import OpenInteraction
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tasktree_rt.settings import Auth
from tasktree_rt.settings import Execution as Executions
from tasktree_rt.web.auth.authenticator import Authenticator
from tests.at_once import at_once
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, made, relay_of, run, small, update
from tests.web.realhub import TOMORROW

AUTH: Final = Auth(secret="s" * 32)
AT_ONCE: Final = Executions(status_interval=0.0)
USERS: Final = {"a": "ada", "b": "bob", "c": "3:ada:e|graph_exec#e"}
"""By the letter that marks what is theirs; the last is called so as to be confused with the first."""
LETTERS: Final = tuple(USERS)
KINDS: Final = ("plain", "native", "execution", "autogpt", "aiecs")
MARK: Final = re.compile(r"<<(\w):(\w[\w ]*):\d+>>")
LONG: Final = 1_000_000.0
ANSWERS: Final = ("error", "unsubscribed", None)
"""What names whom it was asked about, whoever asked."""


def grants_of(letter: str) -> Grants:
    """What the hub makes of a user's token."""
    mine = [f"{letter}-*", f"execution:{letter}-*", f"aiecs:{letter}-*"]
    allowed = {"watch": mine, "answer": mine, "command": mine}
    claims = {"sub": USERS[letter], "exp": TOMORROW, "aud": "authenticated", "tasktree": allowed}
    token = jwt.encode(claims, AUTH.secret, "HS256")
    return at_once(Authenticator(AUTH).authenticate(token, audience="authenticated"))


@define
class Member:
    """A connection of a user's."""

    letter: str
    kind: str
    carried: Carried
    stalled: bool = False
    seen: set[str] = field(factory=set)

    def check(self) -> None:
        """Everything that came is this user's; it is noted what was pushed."""
        for frame in self.carried.received():
            text = json.dumps(frame)
            for letter, pushed in MARK.findall(text):
                assert letter == self.letter, f"{self.kind} of {self.letter}: {text}"
                self.seen.add(pushed)
            if frame.get("type") not in ANSWERS:
                for place in ("user_id", "target_user_id"):
                    assert frame.get(place) in (None, USERS[self.letter], "anybody"), text
            channel = frame.get("channel")
            assert channel is None or channel.startswith(f"{USERS[self.letter]}|"), text

    def say(self, message: Json) -> None:
        """Unless the connection is over."""
        transport = self.carried.transport
        if not (transport.aborted or transport.shut or transport.close_made):
            self.carried.send(message)


class Town:
    """A hub, its members, and what was asked of whom."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hub = world.hub
        self.relay = relay_of(world.hub)
        self.intake = Intake(world.hub, mirror=False)
        self.members: list[Member] = []
        self.prompts: dict[str, OpenInteraction] = {}
        self.pushed = 0

    def join(self, letter: str, kind: str, target: str) -> Member:
        """One more connection of a user's; where a kind of them names what it watches, of `target`."""
        session = self._session(letter, kind, target)
        found = Member(letter, kind, Carried(session, self.world.nursery))
        self.members.append(found)
        return found

    def _session(self, letter: str, kind: str, target: str) -> ConnectionSession:
        hub, mine = self.hub, grants_of(letter)
        match kind:
            case "plain":
                wishes = (Subscribe("*"),) if target == letter else (Subscribe(f"{target}-p"),)
                return PlainSession(hub, Plain(), wishes, grants=mine, policy=Policy.DISCONNECT)
            case "native":
                return NativeSession(
                    hub,
                    Native(),
                    (Subscribe(f"{target}-p"),),
                    grants=mine,
                    policy=Policy.CONFLATE,
                    authenticate=Authenticator(AUTH).authenticate,
                )
            case "execution":
                return ExecutionSession(hub, Execution(), f"{target}-e", nodes=True, logs=True, grants=mine)
            case "autogpt":
                return ViewSession(hub, AutoGpt(), mine.subject, expires=mine.expires)
            case _:
                return ConfirmingSession(hub, Aiecs(lambda: 1.5), self.relay, everything=False, grants=mine)

    async def settle(self) -> None:
        """Until nothing happens by itself; then look at what came."""
        await self.world.settle()
        for one in self.members:
            if not one.stalled:
                one.check()

    # --- what is pushed -----------------------------------------------------------------------------

    async def push(self, what: str, letter: str) -> None:
        """Something of a user's, with their mark."""
        self.pushed += 1
        await PUSHES[what](self, letter, f"<<{letter}:{what}:{self.pushed}>>")

    async def ask(self, letter: str, **given: Any) -> None:
        self.prompts[letter], _ = await self.hub.prompts.ask({"timeout": LONG, **given}, grants=OPEN)

    async def say(self, letter: str, kind: str, what: str, target: str) -> None:
        """All of a user's connections of a kind ask for something of `target`."""
        asked = self.prompts.get(target)
        before = None if asked is None else asked.outcome
        for one in self.members:
            if (one.letter, one.kind) == (letter, kind) and not one.stalled:
                one.say(SAYINGS[kind][what](self, target))
        await self.settle()
        if asked is not None and letter != target:
            assert asked.outcome is before, "answered by another"


async def _node(town: Town, letter: str, mark: str) -> None:
    await town.hub.publish(made(f"{letter}-p", update("n", title=mark)))


async def _log(town: Town, letter: str, mark: str) -> None:
    line = {"type": "log", "data": {"level": "info", "message": mark}}
    await town.hub.publish(made(f"{letter}-p", line))


async def _execution(town: Town, letter: str, mark: str) -> None:
    said = {"type": "project_update", "data": {"changes": {"message": mark}}}
    await town.hub.publish(made(f"{PREFIX}{letter}-e", said, update("n", title=mark)))


async def _prompt(town: Town, letter: str, mark: str) -> None:
    await town.ask(letter, project_id=f"{letter}-p", user_id=USERS[letter], message=mark)


async def _user_prompt(town: Town, letter: str, mark: str) -> None:
    await town.ask(letter, user_id=USERS[letter], message=mark)


async def _step(town: Town, letter: str, mark: str) -> None:
    data = {"step": mark, "result": {"r": mark}, "task_id": f"{letter}-t"}
    project = task_project(f"{letter}-t")
    await town.ask(letter, project_id=project, user_id=USERS[letter], message="Go on?", data=data)


async def _notification(town: Town, letter: str, mark: str) -> None:
    await town.hub.notifications.notify(USERS[letter], {"title": mark}, grants=OPEN)


async def _message(town: Town, letter: str, mark: str) -> None:
    town.relay.show(USERS[letter], MESSAGE, {"type": "x", "text": mark, "user_id": "anybody"})


async def _heartbeat(town: Town, letter: str, mark: str) -> None:
    town.relay.start_task(USERS[letter], mark, LONG)


async def _graph(town: Town, letter: str, mark: str) -> None:
    event = {**GRAPH, "user_id": USERS[letter], "outputs": {"o": [mark]}}
    town.intake.event(read_execution(body(event)))


async def _graph_node(town: Town, letter: str, mark: str) -> None:
    event = {**NODE, "user_id": USERS[letter], "output_data": mark}
    town.intake.event(read_execution(body(event)))


async def _platform(town: Town, letter: str, mark: str) -> None:
    await town.intake.notify(USERS[letter], {"type": "t", "event": mark}, grants=OPEN)


PUSHES: Final[dict[str, Callable[[Town, str, str], Awaitable[None]]]] = {
    "node": _node,
    "log": _log,
    "execution": _execution,
    "prompt": _prompt,
    "user prompt": _user_prompt,
    "step": _step,
    "notification": _notification,
    "message": _message,
    "heartbeat": _heartbeat,
    "graph": _graph,
    "graph node": _graph_node,
    "platform": _platform,
}
SHOWN: Final = {
    "plain": {"node", "log", "execution", "prompt", "step"},
    "native": {
        *("node", "log", "execution", "prompt", "step"),
        *("user prompt", "notification", "platform"),
    },
    "execution": {"execution"},
    "autogpt": {"graph", "graph node", "notification", "platform"},
    "aiecs": {"prompt", "user prompt", "step", "notification", "message", "heartbeat", "platform"},
}
"""What each kind of connection is shown of its own user's."""


# --- what is asked --------------------------------------------------------------------------------------


def _prompt_id(town: Town, target: str) -> str:
    return town.prompts[target].id if target in town.prompts else "none"


def _about(kind: str, place: str, **more: Any) -> Callable[[Town, str], Json]:
    """A native request about a project of `target`'s, or about them."""

    def made_of(town: Town, target: str) -> Json:
        named = {"user_id": USERS[target]} if place == "user" else {"project_id": place.format(target)}
        return {"type": kind, **named, **more}

    return made_of


SAYINGS: Final[dict[str, dict[str, Callable[[Town, str], Json]]]] = {
    "plain": {"anything": lambda town, target: {"type": "subscribe", "project_id": f"{target}-p"}},
    "native": {
        "subscribe": _about("subscribe", "{}-p"),
        "state": _about("subscribe", "{}-p", state=True),
        "since": _about("subscribe", "{}-p", since=":0"),
        "execution": _about("subscribe", "execution:{}-e", state=True),
        "task": _about("subscribe", "aiecs:{}-t", state=True),
        "all": _about("subscribe", "*"),
        "all since": _about("subscribe", "*", since={}),
        "user": _about("subscribe", "user", state=True),
        "user since": _about("subscribe", "user", since=":0"),
        "unsubscribe": _about("unsubscribe", "{}-p"),
        "unsubscribe all": _about("unsubscribe", "*"),
        "unsubscribe user": _about("unsubscribe", "user"),
        "command": _about("command", "{}-p", name="cancel"),
        "read": _about("ack", "user", seq=1),
        "answer": lambda town, target: {
            "type": "answer",
            "prompt_id": _prompt_id(town, target),
            "proceed": True,
        },
    },
    "execution": {"ping": lambda town, target: {"type": "ping"}},
    "autogpt": {
        "execution": lambda town, target: {
            "method": "subscribe_graph_execution",
            "data": {"graph_exec_id": "e"},
        },
        "graph": lambda town, target: {"method": "subscribe_graph_executions", "data": {"graph_id": "g"}},
        "older": lambda town, target: {"method": "subscribe_graph_execs", "data": {"graph_id": "g"}},
        "confusing": lambda town, target: {
            "method": "subscribe_graph_exec",
            "data": {"graph_exec_id": f"{len(USERS[target])}:{USERS[target]}:e"},
        },
        "leave": lambda town, target: {"method": "unsubscribe", "data": {"graph_exec_id": "e"}},
    },
    "aiecs": {
        "subscribe": lambda town, target: {"action": "subscribe", "user_id": USERS[target]},
        "cancel": lambda town, target: {
            "action": "cancel",
            "user_id": USERS[target],
            "task_id": f"{target}-t",
        },
        "confirm": lambda town, target: {
            "action": "confirm",
            "callback_id": _prompt_id(town, target),
            "proceed": True,
        },
    },
}
LETTER = st.sampled_from(LETTERS)
SAY = st.sampled_from([(kind, what) for kind in KINDS for what in SAYINGS[kind]])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), LETTER, SAY, LETTER),
        st.tuples(st.just("push"), LETTER, st.sampled_from(sorted(PUSHES))),
        st.tuples(st.just("join"), LETTER, st.sampled_from(KINDS), LETTER),
        st.tuples(st.just("stall"), LETTER, st.sampled_from(KINDS)),
        st.tuples(st.just("flow"), LETTER, st.sampled_from(KINDS)),
        st.tuples(st.just("delete"), LETTER),
    ),
    max_size=25,
)


async def take(town: Town, step: tuple[Any, ...]) -> None:
    match step:
        case "say", letter, (kind, what), target:
            await town.say(letter, kind, what, target)
        case "push", letter, what:
            await town.push(what, letter)
        case "join", letter, kind, target:
            town.join(letter, kind, target)
        case "delete", letter:
            if (project := town.hub.cache.get(f"{letter}-p")) is not None and project.epoch:
                await town.hub.delete_project(f"{letter}-p")
        case how, letter, kind:
            for one in town.members:
                if (one.letter, one.kind) == (letter, kind):
                    one.stalled = how == "stall"
                    one.carried.transport.allow(0 if one.stalled else None)
    await town.settle()


async def play(steps: list[tuple[Any, ...]]) -> None:
    async with a_world(small(auth=AUTH, execution=AT_ONCE)) as world:
        town = Town(world)
        for letter in LETTERS:
            await town.push("execution", letter)
            for kind in KINDS:
                town.join(letter, kind, letter)
        await town.settle()
        for step in steps:
            await take(town, step)
        for one in town.members:
            one.stalled = False
            one.carried.transport.allow(None)
        await town.settle()
        await everything(town)


async def everything(town: Town) -> None:
    """Whatever went before: who comes now is shown all of their own, in every language as it should be."""
    fresh = [town.join(letter, kind, letter) for letter in LETTERS for kind in KINDS]
    await town.settle()
    for letter in LETTERS:
        for kind, whats in (
            ("native", ("all", "user")),
            ("autogpt", ("execution", "graph")),
            ("aiecs", ("subscribe",)),
        ):
            for what in whats:
                await town.say(letter, kind, what, letter)
    for one in fresh:
        one.seen.clear()
    for letter in LETTERS:
        for what in PUSHES:
            await town.push(what, letter)
            await town.settle()
    for one in fresh:
        assert one.seen == SHOWN[one.kind], (one.kind, one.letter)


def test_everybody_is_shown_all_that_is_theirs_and_it_is_what_each_language_has_words_for() -> None:
    run(partial(play, []))


def test_who_asks_for_everything_of_everybody_is_shown_what_is_theirs() -> None:
    joins = [
        ("join", one, kind, other) for one in LETTERS for kind in KINDS for other in LETTERS if one != other
    ]
    prompts = [("push", one, what) for one in LETTERS for what in ("user prompt", "prompt", "step")]
    asked = [
        ("say", one, (kind, what), other)
        for kind in KINDS
        for what in SAYINGS[kind]
        for one in LETTERS
        for other in LETTERS
        if not what.startswith(("unsubscribe", "leave"))
    ]
    asked.sort(key=lambda step: step[1] == step[3])  # what is one's own comes last: it settles prompts
    run(partial(play, [*joins, *prompts, *asked]))


@settings(deadline=None)
@given(STEPS)
def test_no_schedule_lets_a_frame_reach_another_user(steps: list[tuple[Any, ...]]) -> None:
    run(partial(play, steps))
